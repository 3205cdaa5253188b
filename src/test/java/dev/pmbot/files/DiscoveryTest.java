package dev.pmbot.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.files.Discovery.Announcement;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DiscoveryTest {
  @TempDir Path folder;
  private Path home;
  private Path data;
  private Discovery discovery;

  @BeforeEach
  void makeFolders() throws IOException {
    home = Files.createDirectory(folder.resolve("home"));
    data = Files.createDirectory(folder.resolve("data"));
    discovery = new Discovery(Map.of(), home);
  }

  private Announcement server(Path directory, long pid) {
    return new Announcement("127.0.0.1:7433", directory, "0.1.0", pid);
  }

  @Test
  void saysWhereTheServerIs() throws IOException {
    discovery.announce(server(data, 7));
    for (Path file : List.of(data.resolve("server.json"), home.resolve(".pmbot/server.json"))) {
      assertEquals(
          ("{\"address\":\"127.0.0.1:7433\",\"data_directory\":\"%s\",\"pid\":7,"
                  + "\"version\":\"0.1.0\"}\n")
              .formatted(data),
          Files.readString(file));
      assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    }
    assertEquals(
        "rwx------",
        PosixFilePermissions.toString(Files.getPosixFilePermissions(home.resolve(".pmbot"))));
  }

  @Test
  void prefersTheUsersRuntimeFolder() throws IOException {
    Path runtime = Files.createDirectory(folder.resolve("runtime"));
    Discovery there = new Discovery(Map.of("XDG_RUNTIME_DIR", runtime.toString()), home);
    assertEquals(runtime.resolve("pmbot/server.json"), there.userFile());
    there.announce(server(data, 7));
    assertTrue(Files.exists(runtime.resolve("pmbot/server.json")));
    assertFalse(Files.exists(home.resolve(".pmbot")));
    for (String useless : List.of("", "relative/folder")) {
      assertEquals(
          home.resolve(".pmbot/server.json"),
          new Discovery(Map.of("XDG_RUNTIME_DIR", useless), home).userFile());
    }
  }

  @Test
  void aStopRemovesBothFiles() {
    discovery.announce(server(data, 7));
    discovery.withdraw(server(data, 7));
    assertFalse(Files.exists(data.resolve("server.json")));
    assertFalse(Files.exists(discovery.userFile()));
    discovery.withdraw(server(data, 7));
  }

  @Test
  void aStopLeavesWhatNamesAnotherServer() throws IOException {
    Path otherData = Files.createDirectory(folder.resolve("other"));
    discovery.announce(server(data, 7));
    discovery.announce(server(otherData, 8));
    discovery.withdraw(server(data, 7));
    assertFalse(Files.exists(data.resolve("server.json")));
    assertTrue(Files.exists(otherData.resolve("server.json")));
    assertTrue(Files.readString(discovery.userFile()).contains("\"pid\":8"));
    discovery.withdraw(server(otherData, 9));
    discovery.withdraw(server(data, 8));
    assertTrue(Files.exists(discovery.userFile()));
    Files.writeString(discovery.userFile(), "not JSON");
    discovery.withdraw(server(otherData, 8));
    assertTrue(Files.exists(discovery.userFile()));
    assertFalse(Files.exists(otherData.resolve("server.json")));
  }

  @Test
  void runsWithoutAHome() throws IOException {
    Files.writeString(home.resolve(".pmbot"), "a file where the folder should be");
    discovery.announce(server(data, 7));
    assertTrue(Files.exists(data.resolve("server.json")));
    discovery.withdraw(server(data, 7));
    assertFalse(Files.exists(data.resolve("server.json")));
  }
}
