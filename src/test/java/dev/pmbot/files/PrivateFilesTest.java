package dev.pmbot.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PrivateFilesTest {
  @TempDir Path folder;

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private String content(String name) throws IOException {
    return new String(PrivateFiles.read(folder.resolve(name)), StandardCharsets.UTF_8);
  }

  @Test
  void createsAFileButReplacesNone() throws IOException {
    Path file = folder.resolve("operator.token");
    PrivateFiles.create(file, bytes("first"));
    assertThrows(NameTaken.class, () -> PrivateFiles.create(file, bytes("second")));
    assertEquals("first", content("operator.token"));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(1, files.count());
    }
  }

  @Test
  void replacesAFileAndItsMode() throws IOException {
    Path file = Files.writeString(folder.resolve("a"), "wide open");
    PrivateFiles.replace(file, bytes("new"));
    assertEquals("new", content("a"));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    PrivateFiles.replace(folder.resolve("b"), bytes("fresh"));
    assertEquals("fresh", content("b"));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(2, files.count());
    }
  }

  @Test
  void readsNoLinkAndNothingLarge() throws IOException {
    Files.writeString(folder.resolve("a"), "x".repeat(64 * 1024));
    assertEquals(64 * 1024, content("a").length());
    Files.writeString(folder.resolve("large"), "x".repeat(64 * 1024 + 1));
    assertThrows(IOException.class, () -> content("large"));
    Files.createSymbolicLink(folder.resolve("link"), folder.resolve("a"));
    assertThrows(IOException.class, () -> content("link"));
    assertThrows(IOException.class, () -> content("nothing"));
  }
}
