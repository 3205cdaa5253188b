package dev.pmbot.files;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DataDirectoryTest {
  @TempDir Path folder;

  /** Holds a data directory until its input ends; run by the tests in a Java of its own. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] arguments) throws IOException {
      try (DataDirectory held = DataDirectory.open(Path.of(arguments[0]))) {
        System.out.println("held " + held.isNew());
        int end = System.in.read();
        System.out.println("released " + end);
      } catch (DataDirectoryProblem e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static Process startHolder(Path directory) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Holder.class.getName(),
            directory.toString())
        .redirectErrorStream(true)
        .start();
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  @Test
  void makesTheLayout() throws IOException {
    Path data = folder.resolve("some/data");
    try (DataDirectory directory = DataDirectory.open(data)) {
      assertTrue(directory.isNew());
      assertEquals(data.toRealPath(), directory.root());
      try (Stream<Path> all = Files.walk(data)) {
        assertEquals(
            List.of(
                "",
                "artifacts",
                "artifacts/.incoming",
                "checkpoints",
                "checkpoints/.incoming",
                "control_plane",
                "control_plane/keys",
                "control_plane/lock",
                "tokens"),
            all.map(path -> data.relativize(path).toString()).sorted().toList());
      }
      for (Path secret : List.of(directory.controlPlane(), directory.keys(), directory.tokens())) {
        assertEquals("rwx------", mode(secret));
      }
      assertEquals("rw-------", mode(directory.controlPlane().resolve("lock")));
      assertTrue(
          Files.isDirectory(directory.artifacts()) && Files.isDirectory(directory.checkpoints()));
    }
    try (DataDirectory again = DataDirectory.open(data)) {
      assertFalse(again.isNew());
    }
  }

  @Test
  void takesADirectoryWithAReadmeForNew() throws IOException {
    Files.writeString(folder.resolve("README.md"), "x");
    Files.writeString(folder.resolve(".gitignore"), "*");
    try (DataDirectory directory = DataDirectory.open(folder)) {
      assertTrue(directory.isNew());
    }
    assertEquals("x", Files.readString(folder.resolve("README.md")));
  }

  @Test
  void refusesADirectoryThatIsNotOurs() throws IOException {
    Files.writeString(folder.resolve("thesis.txt"), "x");
    DataDirectoryProblem problem =
        assertThrows(DataDirectoryProblem.class, () -> DataDirectory.open(folder));
    assertEquals(
        folder.toRealPath()
            + " is not empty and not a data directory of this server; name an empty directory, or"
            + " one that does not exist yet.",
        problem.getMessage());
    try (Stream<Path> entries = Files.list(folder)) {
      assertEquals(1, entries.count());
    }
    assertThrows(
        DataDirectoryProblem.class, () -> DataDirectory.open(folder.resolve("thesis.txt")));
  }

  @Test
  void narrowsWhatIsTooOpen() throws IOException {
    DataDirectory.open(folder).close();
    for (String secret : List.of("control_plane", "control_plane/keys", "tokens")) {
      Files.setPosixFilePermissions(
          folder.resolve(secret), PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    try (DataDirectory directory = DataDirectory.open(folder)) {
      for (Path secret : List.of(directory.controlPlane(), directory.keys(), directory.tokens())) {
        assertEquals("rwx------", mode(secret));
      }
    }
  }

  @Test
  void removesWhatAnEarlierServerHadNotFinished() throws IOException {
    DataDirectory.open(folder).close();
    Path outside = Files.writeString(folder.resolve("control_plane/kept"), "x");
    Path kept = Files.createDirectories(folder.resolve("artifacts/run_1")).resolve("a");
    Files.writeString(kept, "x");
    for (String root : List.of("artifacts", "checkpoints")) {
      Path incoming = folder.resolve(root).resolve(".incoming");
      Files.writeString(incoming.resolve("half"), "x");
      Files.createDirectories(incoming.resolve("d/e"));
      Files.createSymbolicLink(incoming.resolve("link"), outside.getParent());
    }
    DataDirectory.open(folder).close();
    for (String root : List.of("artifacts", "checkpoints")) {
      try (Stream<Path> left = Files.list(folder.resolve(root).resolve(".incoming"))) {
        assertEquals(0, left.count());
      }
    }
    assertTrue(Files.exists(outside) && Files.exists(kept));
  }

  @Test
  void refusesAnIncomingFolderThatIsALink() throws IOException {
    DataDirectory.open(folder).close();
    Path elsewhere = Files.createDirectory(folder.resolve("control_plane/elsewhere"));
    Files.writeString(elsewhere.resolve("kept"), "x");
    Files.delete(folder.resolve("artifacts/.incoming"));
    Files.createSymbolicLink(folder.resolve("artifacts/.incoming"), elsewhere);
    assertThrows(DataDirectoryProblem.class, () -> DataDirectory.open(folder));
    assertTrue(Files.exists(elsewhere.resolve("kept")));
    Files.delete(folder.resolve("artifacts/.incoming"));
    DataDirectory.open(folder).close(); // and the failure above has kept no lock
  }

  @Test
  void letsOneHoldItInThisProcess() throws IOException {
    DataDirectory first = DataDirectory.open(folder);
    Path link = Files.createSymbolicLink(folder.resolve("artifacts/again"), folder);
    for (Path path : List.of(folder, link)) {
      DataDirectoryProblem problem =
          assertThrows(DataDirectoryProblem.class, () -> DataDirectory.open(path));
      assertEquals(heldBy(ProcessHandle.current().pid()), problem.getMessage());
    }
    first.close();
    DataDirectory second = DataDirectory.open(folder);
    first.close(); // closing twice must not free what the second holds
    assertThrows(DataDirectoryProblem.class, () -> DataDirectory.open(folder));
    second.close();
  }

  @Test
  void letsOneProcessHoldIt() throws Exception {
    Process holder = startHolder(folder);
    try (BufferedReader output = holder.inputReader(StandardCharsets.UTF_8)) {
      assertEquals("held true", output.readLine());
      DataDirectoryProblem problem =
          assertThrows(DataDirectoryProblem.class, () -> DataDirectory.open(folder));
      assertEquals(heldBy(holder.pid()), problem.getMessage());
      holder.destroyForcibly().waitFor();
    } finally {
      holder.destroyForcibly();
    }
    // A process that was killed holds nothing any more.
    try (DataDirectory here = DataDirectory.open(folder)) {
      assertFalse(here.isNew());
      // Neither does a second try in this process free the lock for others.
      assertThrows(DataDirectoryProblem.class, () -> DataDirectory.open(folder));
      Process other = startHolder(folder);
      try (BufferedReader output = other.inputReader(StandardCharsets.UTF_8)) {
        assertEquals(heldBy(ProcessHandle.current().pid()), output.readLine());
        assertEquals(0, other.waitFor());
      } finally {
        other.destroyForcibly();
      }
    }
  }

  private String heldBy(long pid) throws IOException {
    return ("Another server (pid %d) holds the data directory %s; stop it, or name another"
            + " directory.")
        .formatted(pid, folder.toRealPath());
  }

  @Test
  void makesASecretOnceAndKeepsIt() throws IOException {
    byte[] secret;
    try (DataDirectory directory = DataDirectory.open(folder)) {
      secret = directory.secret("payload_hmac", 32);
      assertEquals(32, secret.length);
      assertArrayEquals(secret, directory.secret("payload_hmac", 32));
      assertNotEquals(
          HexFormat.of().formatHex(secret),
          HexFormat.of().formatHex(directory.secret("other", 32)));
      Path file = directory.keys().resolve("payload_hmac");
      assertEquals("rw-------", mode(file));
      try (Stream<Path> keys = Files.list(directory.keys())) {
        assertEquals(2, keys.count(), "nothing is left of how it was written");
      }
      assertThrows(DataDirectoryProblem.class, () -> directory.secret("payload_hmac", 16));
      for (String name : List.of("", "../x", "a/b", ".x", "A")) {
        assertThrows(IllegalArgumentException.class, () -> directory.secret(name, 16));
      }
      Files.createSymbolicLink(directory.keys().resolve("link"), file);
      assertThrows(DataDirectoryProblem.class, () -> directory.secret("link", 32));
    }
    try (DataDirectory again = DataDirectory.open(folder)) {
      assertArrayEquals(secret, again.secret("payload_hmac", 32));
    }
  }

  @Test
  void pointsNativeLibrariesIntoTheDirectory() throws IOException {
    List<String> properties =
        List.of("org.sqlite.tmpdir", "io.grpc.netty.shaded.io.netty.native.workdir");
    List<String> before = properties.stream().map(name -> System.getProperty(name, "")).toList();
    try (DataDirectory directory = DataDirectory.open(folder)) {
      properties.forEach(System::clearProperty);
      directory.useForNativeLibraries();
      Path nativeFolder = directory.controlPlane().resolve("native");
      assertEquals("rwx------", mode(nativeFolder));
      for (String property : properties) {
        assertEquals(nativeFolder.toString(), System.getProperty(property));
      }
      System.setProperty(properties.get(0), "chosen");
      directory.useForNativeLibraries();
      assertEquals("chosen", System.getProperty(properties.get(0)));
    } finally {
      for (int i = 0; i < properties.size(); i++) {
        if (before.get(i).isEmpty()) {
          System.clearProperty(properties.get(i));
        } else {
          System.setProperty(properties.get(i), before.get(i));
        }
      }
    }
  }
}
