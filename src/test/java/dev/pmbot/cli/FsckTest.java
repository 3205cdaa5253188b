package dev.pmbot.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.Main;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.ChildJvm;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.store.StoreException;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.CreateWorkspaceRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code fsck} as a person or a script runs it. */
final class FsckTest {
  @TempDir Path folder;

  private ChildJvm pmbot(String... arguments) {
    return ChildJvm.start(
        Main.class, Map.of("XDG_RUNTIME_DIR", folder.resolve("runtime").toString()), arguments);
  }

  private ChildJvm fsck(String... options) {
    String[] arguments = new String[options.length + 2];
    arguments[0] = "fsck";
    arguments[1] = "--data=" + folder.resolve("data");
    System.arraycopy(options, 0, arguments, 2, options.length);
    return pmbot(arguments);
  }

  @Test
  void whatIsFoundStandsOnStandardOutputAndInTheExitCode() throws IOException {
    Artifact artifact;
    Path file;
    try (TestServer server = TestServer.in(folder)) {
      Scenario scenario = new Scenario(server);
      artifact =
          scenario.upload(scenario.running(scenario.workspace()), "a.log", new byte[] {1, 2, 3});
      file = server.dataDirectory().resolve(artifact.getUri());
    }
    Files.write(file.resolveSibling("orphan"), new byte[1]);
    try (ChildJvm child = fsck()) {
      assertEquals(0, child.awaitExit(), child.errors().toString());
      assertEquals(
          List.of(
              "harmless: "
                  + artifact.getUri().replace("a.log", "orphan")
                  + ": no row is about this file"),
          child.output());
    }
    Files.write(file, new byte[] {1, 2, 4});
    try (ChildJvm child = fsck("--no-hashes")) {
      assertEquals(0, child.awaitExit(), child.errors().toString());
    }
    Files.delete(file);
    try (ChildJvm child = fsck()) {
      assertEquals(1, child.awaitExit(), child.errors().toString());
      assertEquals(2, child.output().size(), child.output().toString());
      assertEquals(
          "disagreement: "
              + artifact.getUri()
              + " of "
              + artifact.getArtifactId()
              + ": there is no such file",
          child.output().get(0));
      assertTrue(
          child.errors().contains("1 disagreements, 1 harmless orphans"),
          child.errors().toString());
    }
  }

  @Test
  void aDirectoryThatIsServedOrIsNoneIsExitCodeTwo() {
    try (TestServer server = TestServer.in(folder);
        ChildJvm child = fsck()) {
      assertEquals(2, child.awaitExit());
      assertEquals(List.of(), child.output());
      assertEquals(1, child.errors().size(), child.errors().toString());
      assertTrue(
          child.errors().get(0).contains(server.dataDirectory().toString()),
          child.errors().toString());
    }
    try (ChildJvm child = pmbot("fsck", "--data=" + folder.resolve("nowhere"))) {
      assertEquals(2, child.awaitExit());
      assertEquals(1, child.errors().size(), child.errors().toString());
      assertFalse(Files.exists(folder.resolve("nowhere")));
    }
    try (ChildJvm child = fsck("--nonsense")) {
      assertEquals(2, child.awaitExit());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "DROP TABLE flyway_schema_history",
        "ALTER TABLE flyway_schema_history RENAME COLUMN success TO outcome",
        "DELETE FROM flyway_schema_history WHERE version = '2'",
        "UPDATE flyway_schema_history SET version = 'first' WHERE version = '1'",
        "UPDATE flyway_schema_history SET checksum = 1 WHERE version = '1'",
        "UPDATE flyway_schema_history SET success = 0 WHERE version = '3'",
      })
  void aDamagedRecordOfMigrationsIsSaidInOneLine(String damage) throws SQLException {
    Path database;
    try (TestServer server = TestServer.in(folder)) {
      database = server.database();
    }
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + database);
        Statement statement = connection.createStatement()) {
      statement.execute(damage);
    }
    try (ChildJvm child = fsck()) {
      assertEquals(2, child.awaitExit());
      assertEquals(List.of(), child.output());
      assertEquals(1, child.errors().size(), child.errors().toString());
      String line = child.errors().get(0);
      assertTrue(line.startsWith("pmbot: the database's record of its migrations"), line);
      assertTrue(line.endsWith("; put a backup back"), line);
    }
    StoreException refused =
        assertThrows(StoreException.class, () -> TestServer.in(folder), "nor is it served");
    assertEquals(1, String.valueOf(refused.getMessage()).lines().count(), refused.getMessage());
  }

  @Test
  void whatAKilledServerLeavesIsClean() throws IOException {
    try (ChildJvm child = pmbot("serve", "--data=" + folder.resolve("data"), "--port=0")) {
      Await.until(
          "it serves, not " + child.errors(),
          () -> child.output().stream().anyMatch(line -> line.contains("Try:")));
      String first = child.output().get(0);
      Path token = folder.resolve("data").resolve("tokens").resolve("operator.token");
      Client client =
          Client.connect(
              first.substring(first.lastIndexOf(' ') + 1), Files.readString(token).strip());
      for (int number = 0; number < 20; number++) {
        client
            .workspaces()
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("w" + number).build());
      }
      client.managed().shutdownNow();
      child.process().destroyForcibly();
      child.awaitExit();
    }
    try (ChildJvm child = fsck()) {
      assertEquals(0, child.awaitExit(), child.output().toString());
      assertEquals(List.of(), child.output());
    }
  }
}
