package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.config.Config;
import dev.pmbot.files.DataDirectory;
import dev.pmbot.files.Discovery;
import dev.pmbot.kit.Folders;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.server.Finding.Verdict;
import dev.pmbot.store.Synchronous;
import dev.pmbot.store.SystemTime;
import dev.pmbot.store.Time;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is not well is said, what is well is said to be, and nothing is touched. */
final class DoctorTest {
  /** What is the machine's, and none of a test's business. */
  private static final Set<String> OF_THE_MACHINE = Set.of("room", "file system", "open files");

  @TempDir Path folder;

  private Path data() {
    return folder.resolve("data");
  }

  private Path database() {
    return data().resolve("control_plane").resolve("pmbot.sqlite3");
  }

  private List<Finding> examine(int port, Time time) {
    List<Finding> found = new ArrayList<>();
    new Doctor(new Config(data(), "127.0.0.1", port, Synchronous.NORMAL), time, found::add)
        .examine();
    return found;
  }

  private List<Finding> examine() {
    return examine(0, new SystemTime());
  }

  /** What it finds of a directory, which must be afterwards as it was before. */
  private List<Finding> examineWithoutTouching() throws IOException {
    Map<String, String> before = state();
    List<Finding> found = examine();
    Map<String, String> after = state();
    // Where a server that runs keeps what its own readers look at.
    Stream.of(before, after).forEach(state -> state.keySet().removeIf(key -> key.endsWith("-shm")));
    assertEquals(before, after);
    return found;
  }

  /** Every file and folder, with what it holds and when it was changed. */
  private Map<String, String> state() throws IOException {
    Map<String, String> state = new TreeMap<>(Folders.contents(data()));
    try (Stream<Path> paths = Files.walk(data())) {
      for (Path path : paths.toList()) {
        FileTime changed = Files.getLastModifiedTime(path);
        state.merge(data().relativize(path).toString(), changed.toString(), String::concat);
      }
    }
    return state;
  }

  private static List<Finding> notWell(List<Finding> found) {
    return found.stream()
        .filter(each -> each.verdict() != Verdict.OK && !OF_THE_MACHINE.contains(each.about()))
        .toList();
  }

  private static void says(List<Finding> found, Verdict verdict, String about, String said) {
    List<Finding> matching = found.stream().filter(each -> each.about().equals(about)).toList();
    assertEquals(1, matching.size(), found.toString());
    assertEquals(verdict, matching.get(0).verdict(), found.toString());
    assertTrue(matching.get(0).said().contains(said), found.toString());
  }

  private void stoppedServer() {
    try (TestServer server = TestServer.in(folder)) {
      new Scenario(server).workspace();
    }
  }

  @Test
  void beforeTheFirstStartAllIsWell() {
    List<Finding> found = examine();
    assertEquals(List.of(), notWell(found));
    says(found, Verdict.OK, "data directory", "is new");
    says(found, Verdict.OK, "java", "MiB of heap");
    says(found, Verdict.OK, "sqlite", "takes WAL");
    says(found, Verdict.OK, "port", "any free one");
    assertEquals(
        1, found.stream().filter(each -> each.about().equals("open files")).count(), "told");
    assertFalse(Files.exists(data()));
  }

  @Test
  void aStoppedServersDirectoryIsWellAndStaysAsItIs() throws IOException {
    stoppedServer();
    List<Finding> found = examineWithoutTouching();
    assertEquals(List.of(), notWell(found));
    says(found, Verdict.OK, "data directory", "no server has it");
    says(found, Verdict.OK, "secrets", "4 tokens and keys");
    says(found, Verdict.OK, "database", "no damage");
    says(found, Verdict.OK, "clock", "Z");
  }

  @Test
  void aServerThatRunsIsAskedAndItsFilesAreLeftAlone() throws IOException {
    try (TestServer server = TestServer.in(folder)) {
      new Scenario(server).workspace();
      List<Finding> found = examineWithoutTouching();
      assertEquals(List.of(), notWell(found));
      says(found, Verdict.OK, "server", server.address() + " serves");
      says(found, Verdict.OK, "data directory", "pid " + ProcessHandle.current().pid());
      says(found, Verdict.OK, "database", "it is the server's");
      says(found, Verdict.OK, "load", "0 streams open");
      assertTrue(new Scenario(server).verify("system").getValid());
    }
  }

  @Test
  void whatAKilledServerLeftIsToldAndLeftAlone() throws IOException {
    stoppedServer();
    Files.write(data().resolve("control_plane").resolve("pmbot.sqlite3-wal"), new byte[5_000]);
    Discovery discovery =
        new Discovery(Map.of("XDG_RUNTIME_DIR", folder.resolve("runtime").toString()), folder);
    discovery.announce(new Discovery.Announcement("127.0.0.1:1", data().toRealPath(), "1", 12345));
    List<Finding> found = examineWithoutTouching();
    says(found, Verdict.WARN, "database", "a log of 4 KiB");
    says(found, Verdict.WARN, "server", "pid 12345");
  }

  @Test
  void aServerThatHoldsTheDirectoryAndDoesNotAnswerFails() throws IOException {
    stoppedServer();
    try (DataDirectory held = DataDirectory.open(data());
        ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      says(examine(), Verdict.WARN, "server", "does not say where it is");
      String address = "127.0.0.1:" + silent.getLocalPort();
      silent.close();
      new Discovery(Map.of("XDG_RUNTIME_DIR", folder.resolve("runtime").toString()), folder)
          .announce(new Discovery.Announcement(address, held.root(), "1", 12345));
      says(examineWithoutTouching(), Verdict.FAIL, "server", address + " does not answer");
    }
  }

  @Test
  void aPortThatIsTakenFails() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      int port = taken.getLocalPort();
      taken.close();
      says(examine(port, new SystemTime()), Verdict.OK, "port", port + " is free");
    }
    try (TestServer other = TestServer.in(folder.resolve("other"))) {
      int port = Integer.parseInt(other.address().substring(other.address().indexOf(':') + 1));
      says(examine(port, new SystemTime()), Verdict.FAIL, "port", "another server of ours");
    }
  }

  @Test
  void aDirectoryThatIsSomethingElseFails() throws IOException {
    Files.createDirectories(data());
    Files.writeString(data().resolve("thesis.txt"), "chapter one");
    says(examine(), Verdict.FAIL, "data directory", "no data directory of this server");
  }

  @Test
  void tokensThatOthersMayReadFail() throws IOException {
    stoppedServer();
    Path token = data().resolve("tokens").resolve("worker.token");
    Files.setPosixFilePermissions(token, PosixFilePermissions.fromString("rw-r--r--"));
    says(examine(), Verdict.FAIL, "secrets", token.toRealPath().toString());
  }

  @Test
  void aClockThatCannotBeRightIsTold() {
    stoppedServer();
    TestTime time = new TestTime(); // It stands in the past, seen from the files.
    says(examine(0, time), Verdict.WARN, "clock", "one of them was wrong");
    time.stepWall(Duration.ofDays(-400));
    says(examine(0, time), Verdict.FAIL, "clock", "before this program was written");
  }

  @Test
  void aDatabaseThatCannotBeServedIsTold() throws Exception {
    stoppedServer();
    byte[] well = Files.readAllBytes(database());
    try (RandomAccessFile file = new RandomAccessFile(database().toFile(), "rw")) {
      // Far behind the schema and the record of migrations, where tables and indexes are.
      for (long page = file.length() / 4096 - 3; page < file.length() / 4096; page++) {
        file.seek(page * 4096);
        file.write(new byte[] {9, 9, 9, 9, 9, 9, 9, 9});
      }
    }
    says(examineWithoutTouching(), Verdict.FAIL, "database", "damaged");
    Files.write(database(), well);
    says(examine(), Verdict.OK, "database", "no damage");
    Files.writeString(database(), "Dear diary,\n".repeat(500));
    says(examineWithoutTouching(), Verdict.FAIL, "database", "cannot be opened");
    Files.write(database(), well);
    change(
        "INSERT INTO flyway_schema_history SELECT 999, '999', 'later', type, 'V999__later.sql', checksum,"
            + " installed_by, installed_on, execution_time, success FROM flyway_schema_history"
            + " WHERE version = '1'");
    says(examineWithoutTouching(), Verdict.FAIL, "database", "newer than this program");
    Files.write(database(), well);
    change(
        "DELETE FROM flyway_schema_history WHERE installed_rank ="
            + " (SELECT max(installed_rank) FROM flyway_schema_history)");
    says(examineWithoutTouching(), Verdict.WARN, "database", "older than this program");
    Files.delete(database());
    says(examineWithoutTouching(), Verdict.WARN, "database", "none yet");
  }

  private void change(String sql) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + database());
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }
}
