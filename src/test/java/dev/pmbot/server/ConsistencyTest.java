package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.ControlPlane;
import dev.pmbot.changeset.Proposals;
import dev.pmbot.files.DataDirectoryProblem;
import dev.pmbot.files.Disagreement;
import dev.pmbot.kit.Folders;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.store.StoreException;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.Changeset;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Workspace;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Each kind of disagreement is made in a copy of a data directory, and must be named. */
final class ConsistencyTest {
  @TempDir static Path folder;
  private static Path original;
  private static Workspace workspace;
  private static Workspace otherWorkspace;
  private static Repo repo;
  private static Artifact artifact;
  private static Changeset changeset;
  private static Scenario.Held blocked;
  private static Scenario.Held ended;
  private static Interrupt pendingCall;
  private static Interrupt answered;
  private static Approval proposed;
  private static List<AuditEvent> log;
  private static int copies;

  @BeforeAll
  static void work() {
    try (TestServer server = TestServer.in(folder.resolve("server"))) {
      Scenario scenario = new Scenario(server);
      workspace = scenario.workspace();
      otherWorkspace = scenario.workspace();
      repo = scenario.repo(workspace);
      blocked = scenario.running(repo);
      artifact = scenario.upload(blocked, "a.log", new byte[] {1, 2, 3});
      scenario.upload(blocked, "b.log", new byte[100_000]);
      changeset = Proposals.propose(server, scenario, blocked).getChangeset();
      List<Interrupt> raised =
          scenario.raise(blocked, Scenario.question("q1", "One?"), Scenario.toolCall("t1", "Two?"));
      answered = scenario.answer(raised.get(0), "this one");
      pendingCall = raised.get(1);
      scenario.pause(blocked);
      // A yes to what the graph then did not ask any more.
      Scenario.Held changed = scenario.running(scenario.workspace());
      scenario.approve(scenario.raise(changed, Scenario.toolCall("t2", "Two?")).get(0));
      scenario.raise(changed, Scenario.toolCall("t2", "Or something else?"));
      proposed = scenario.propose(workspace).getApproval();
      ended = scenario.running(workspace);
      scenario.complete(ended);
      scenario.reject(scenario.propose(workspace).getApproval());
      log = scenario.events(workspace.getWorkspaceId());
      original = server.dataDirectory();
    }
  }

  private static Path copy() {
    Path copy = folder.resolve("copy-" + ++copies);
    Folders.copy(original, copy);
    return copy;
  }

  private static List<Disagreement> look(Path data, boolean hashes) {
    List<Disagreement> found = new ArrayList<>();
    try (Consistency consistency = ControlPlane.consistency(data, new TestTime())) {
      Consistency.Result result = consistency.run(hashes, found::add, progress -> {});
      assertEquals(found.stream().filter(Disagreement::harmless).count(), result.orphans());
      assertEquals(found.size(), result.orphans() + result.disagreements());
    }
    return found;
  }

  /** What is done to a data directory. */
  private interface Spoiling {
    void of(Path data) throws Exception;
  }

  private static DynamicTest named(
      String what, boolean harmless, String where, String said, Spoiling spoiling) {
    return DynamicTest.dynamicTest(
        what,
        () -> {
          Path data = copy();
          spoiling.of(data);
          List<Disagreement> found = look(data, true);
          assertEquals(1, found.size(), found.toString());
          assertEquals(where, found.get(0).where(), found.toString());
          assertTrue(found.get(0).what().contains(said), found.toString());
          assertEquals(harmless, found.get(0).harmless(), found.toString());
        });
  }

  private static DynamicTest disagreement(
      String what, String where, String said, Spoiling spoiling) {
    return named(what, false, where, said, spoiling);
  }

  private static DynamicTest harmless(String what, String where, String said, Spoiling spoiling) {
    return named(what, true, where, said, spoiling);
  }

  private static Path file(Path data) {
    return data.resolve(artifact.getUri());
  }

  private static Path database(Path data) {
    return data.resolve("control_plane").resolve("pmbot.sqlite3");
  }

  /** Changes rows past every guard, and puts the guards back. */
  private static Spoiling sql(String... statements) {
    return data -> {
      try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + database(data));
          Statement statement = connection.createStatement()) {
        List<String> triggers = new ArrayList<>();
        try (ResultSet rows =
            statement.executeQuery("SELECT sql FROM sqlite_master WHERE type = 'trigger'")) {
          while (rows.next()) {
            triggers.add(rows.getString(1));
          }
        }
        statement.execute("DROP TRIGGER audit_events_no_update");
        statement.execute("DROP TRIGGER audit_events_no_delete");
        for (String change : statements) {
          assertNotEquals(0, statement.executeUpdate(change), change);
        }
        for (String trigger : triggers) {
          statement.execute(trigger);
        }
      }
    };
  }

  @Test
  void aDirectoryThatNobodySpoiltAgreesWithItself() {
    assertEquals(List.of(), look(copy(), true));
    assertEquals(List.of(), look(copy(), false));
  }

  @Test
  void lookingChangesNothing() {
    Path data = copy();
    Map<String, String> before = Folders.contents(data);
    look(data, true);
    Map<String, String> after = Folders.contents(data);
    // Whose lock it is, and the native library of who looks.
    before.keySet().removeIf(path -> path.endsWith("lock") || path.contains("native"));
    after.keySet().removeIf(path -> path.endsWith("lock") || path.contains("native"));
    assertEquals(before, after);
  }

  @TestFactory
  Stream<DynamicTest> filesAndTheirRows() {
    String of = artifact.getUri() + " of " + artifact.getArtifactId();
    String run = "artifacts/" + blocked.runId() + "/";
    return Stream.of(
        disagreement(
            "a row without its file", of, "no such file", data -> Files.delete(file(data))),
        disagreement(
            "a file cut short",
            of,
            "has 2 bytes, the row says 3",
            data -> Files.write(file(data), new byte[] {1, 2})),
        disagreement(
            "a file that grew",
            of,
            "has 4 bytes, the row says 3",
            data -> Files.write(file(data), new byte[] {1, 2, 3, 4})),
        disagreement(
            "a file with other content of the same length",
            of,
            "SHA-256 is ",
            data -> Files.write(file(data), new byte[] {1, 2, 4})),
        disagreement(
            "a link in the place of a file",
            of,
            "link",
            data -> {
              Path aside = data.resolve("aside");
              Files.move(file(data), aside);
              Files.createSymbolicLink(file(data), aside);
            }),
        disagreement(
            "a row that points out of the folder",
            "artifacts/../tokens/operator.token of " + artifact.getArtifactId(),
            "cannot be its place",
            data -> {
              sql("UPDATE artifacts SET uri = 'artifacts/../tokens/operator.token' WHERE artifact_id = '"
                      + artifact.getArtifactId()
                      + "'")
                  .of(data);
              Files.delete(file(data));
            }),
        harmless(
            "a file without a row",
            run + "c.log",
            "no row",
            data -> Files.write(file(data).resolveSibling("c.log"), new byte[] {1})),
        harmless(
            "a file that lies in no run's folder",
            "artifacts/stray",
            "no row",
            data -> Files.write(data.resolve("artifacts").resolve("stray"), new byte[] {1})),
        harmless(
            "a row that is gone",
            artifact.getUri(),
            "no row",
            sql(
                "DELETE FROM artifacts WHERE artifact_id = '" + artifact.getArtifactId() + "'",
                "UPDATE artifact_totals SET artifacts = artifacts - 1, size_bytes = size_bytes - 3")),
        disagreement(
            "a count of artifacts that does not count",
            "artifact_totals",
            "it says 4 artifacts of",
            sql("UPDATE artifact_totals SET artifacts = artifacts + 1")),
        harmless(
            "an upload that a crash cut short",
            "artifacts/.incoming/1234",
            "not finished",
            data ->
                Files.write(
                    data.resolve("artifacts").resolve(".incoming").resolve("1234"),
                    new byte[] {1})));
  }

  @Test
  void withoutHashesSizesAreSeenAndContentIsNot() throws Exception {
    Path data = copy();
    Files.write(file(data), new byte[] {1, 2, 4});
    assertEquals(List.of(), look(data, false));
    Files.write(file(data), new byte[] {1, 2});
    assertEquals(1, look(data, false).size());
    Files.delete(file(data));
    assertEquals(1, look(data, false).size());
  }

  @Test
  void withoutItsFolderEveryArtifactIsMissed() throws IOException {
    Path data = copy();
    Files.move(data.resolve("artifacts"), data.resolve("elsewhere"));
    List<Disagreement> found = look(data, true);
    assertEquals(3, found.size(), found.toString());
    assertTrue(found.stream().allMatch(each -> each.what().contains("no such file")));
  }

  private static String event(String set, long seq) {
    return "UPDATE audit_events SET %s WHERE workspace_id = '%s' AND seq = %d"
        .formatted(set, workspace.getWorkspaceId(), seq);
  }

  private static String ofChain(String table) {
    return table + " WHERE workspace_id = '" + workspace.getWorkspaceId() + "'";
  }

  @TestFactory
  Stream<DynamicTest> theAuditLog() {
    String chain = "chain of " + workspace.getWorkspaceId();
    long last = log.size();
    return Stream.of(
        disagreement(
            "a changed payload",
            chain + ", event 3",
            "payload",
            sql(event("payload_json = '{}'", 3))),
        disagreement(
            "a changed field", chain + ", event 4", "fields", sql(event("actor = 'nobody'", 4))),
        disagreement(
            "an event taken out",
            chain + ", event 5",
            "missing",
            sql("DELETE FROM " + ofChain("audit_events") + " AND seq = 5")),
        disagreement(
            "the end cut off",
            chain + ", event " + last,
            "missing",
            sql("DELETE FROM " + ofChain("audit_events") + " AND seq = " + last)),
        disagreement(
            "a head that says something else",
            chain + ", event " + last,
            "another hash",
            sql(
                "UPDATE audit_heads SET hash = zeroblob(32) WHERE workspace_id = '"
                    + workspace.getWorkspaceId()
                    + "'")),
        disagreement(
            "a head put back",
            chain + ", event " + last,
            "behind the head",
            sql(
                "UPDATE audit_heads SET seq = seq - 1, hash = (SELECT e.prev_hash FROM audit_events e"
                    + " WHERE e.workspace_id = audit_heads.workspace_id AND e.seq = audit_heads.seq)"
                    + " WHERE workspace_id = '"
                    + workspace.getWorkspaceId()
                    + "'")),
        disagreement(
            "events without a head",
            chain,
            "no head",
            sql("DELETE FROM " + ofChain("audit_heads"))),
        disagreement(
            "a head that says nothing of its events",
            chain + ", event 1",
            "behind the head",
            sql(
                "UPDATE audit_heads SET seq = 0, hash = zeroblob(32) WHERE workspace_id = '"
                    + workspace.getWorkspaceId()
                    + "'")),
        disagreement(
            "the log made changeable",
            "audit log",
            "audit_events_no_update",
            data -> {
              try (Connection connection =
                      DriverManager.getConnection("jdbc:sqlite:" + database(data));
                  Statement statement = connection.createStatement()) {
                statement.execute("DROP TRIGGER audit_events_no_update");
              }
            }));
  }

  @Test
  void everyEventThatIsWrongIsNamedNotOnlyTheFirst() throws Exception {
    Path data = copy();
    sql(
            event("payload_json = '{}'", 2),
            event("type = 'run.forged'", 7),
            event("payload_json = '{}'", log.size()),
            "UPDATE audit_events SET actor = 'nobody' WHERE seq = 1 AND workspace_id = '"
                + otherWorkspace.getWorkspaceId()
                + "'")
        .of(data);
    String chain = "chain of " + workspace.getWorkspaceId();
    assertEquals(
        List.of(
            chain + ", event 2",
            chain + ", event 7",
            chain + ", event " + log.size(),
            "chain of " + otherWorkspace.getWorkspaceId() + ", event 1"),
        look(data, true).stream().map(Disagreement::where).toList());
  }

  private static Spoiling approval(String set, Approval approval) {
    return sql(
        "UPDATE approvals SET " + set + " WHERE approval_id = '" + approval.getApprovalId() + "'");
  }

  private static Spoiling interrupt(String set, Interrupt interrupt) {
    return sql(
        "UPDATE interrupts SET "
            + set
            + " WHERE interrupt_id = '"
            + interrupt.getInterruptId()
            + "'");
  }

  private static Spoiling run(String set, String runId) {
    return sql("UPDATE runs SET " + set + " WHERE run_id = '" + runId + "'");
  }

  private static String openedAgain() {
    return "status = 'pending', resolved_at = NULL, closed_by = NULL";
  }

  @TestFactory
  Stream<DynamicTest> statesThatContradictEachOther() {
    String proposedRun = proposed.getRunId();
    String ofEndedRun =
        "(SELECT approval_id FROM approvals WHERE run_id = '" + ended.runId() + "')";
    return Stream.of(
        disagreement(
            "a run that went on without a yes",
            proposedRun,
            "never approved",
            run("status = 'approved'", proposedRun)),
        disagreement(
            "a run whose yes was taken back",
            blocked.runId(),
            "never approved",
            sql(
                "UPDATE approvals SET status = 'rejected' WHERE kind = 'run_start' AND run_id = '"
                    + blocked.runId()
                    + "'")),
        disagreement(
            "a run that waits, but nobody is asked",
            proposedRun,
            "no approval of its start is pending",
            sql("DELETE FROM approvals WHERE approval_id = '" + proposed.getApprovalId() + "'")),
        disagreement(
            "a run that waits for nothing",
            blocked.runId(),
            "nothing is pending",
            sql(
                "UPDATE interrupts SET status = 'approved', resolved_at = 1, closed_by = 'decision' WHERE interrupt_id = '"
                    + pendingCall.getInterruptId()
                    + "'",
                "UPDATE approvals SET status = 'approved', resolved_at = 1, closed_by = 'decision' WHERE approval_id = '"
                    + pendingCall.getApprovalId()
                    + "'")),
        disagreement(
            "a lease on a run that has ended",
            ended.runId(),
            "leased",
            run("lease_token = 'token'", ended.runId())),
        disagreement(
            "a decision without its time",
            proposed.getApprovalId(),
            "does not fit",
            approval("resolved_at = 5", proposed)),
        disagreement(
            "an approval in another workspace than its run",
            proposed.getApprovalId(),
            "another workspace",
            approval("workspace_id = '" + otherWorkspace.getWorkspaceId() + "'", proposed)),
        disagreement(
            "a question of a run that has ended",
            answered.getInterruptId(),
            "its run has ended",
            interrupt(openedAgain() + ", run_id = '" + ended.runId() + "'", answered)),
        disagreement(
            "an answer without its time",
            answered.getInterruptId(),
            "does not fit",
            interrupt("resolved_at = NULL", answered)),
        disagreement(
            "a question in another workspace than its run",
            answered.getInterruptId(),
            "another workspace",
            interrupt("workspace_id = '" + otherWorkspace.getWorkspaceId() + "'", answered)),
        disagreement(
            "a question decided without its approval",
            pendingCall.getInterruptId(),
            "do not go together",
            data -> {
              interrupt("status = 'edited', resolved_at = 1, closed_by = 'decision'", pendingCall)
                  .of(data);
            }),
        disagreement(
            "a changeset that was applied without a yes",
            changeset.getChangesetId(),
            "not the one that its approval gives it",
            sql(
                "UPDATE changeset_bundles SET status = 'applied' WHERE changeset_id = '"
                    + changeset.getChangesetId()
                    + "'")),
        DynamicTest.dynamicTest(
            "an approval of a run that has ended",
            () -> {
              Path data = copy();
              sql("UPDATE approvals SET " + openedAgain() + " WHERE approval_id = " + ofEndedRun)
                  .of(data);
              // The same change also takes the run's yes away.
              assertEquals(
                  List.of("its run has ended", "never approved"),
                  look(data, true).stream()
                      .map(
                          each ->
                              each.what()
                                  .replaceAll(".*(its run has ended|never approved).*", "$1"))
                      .sorted()
                      .toList());
            }));
  }

  @TestFactory
  Stream<DynamicTest> theDatabaseItself() {
    return Stream.of(
        disagreement(
            "a row that names another which is not there",
            "row 1 of runs",
            "a row of repos that is not there",
            data -> {
              // Nothing else is about the repo but the changeset, which goes elsewhere.
              sql(
                      "INSERT INTO repos SELECT 'repo_other', workspace_id, 'octo/other', default_branch, status,"
                          + " added_at, last_sync_at, version FROM repos",
                      "UPDATE changeset_bundles SET repo_id = 'repo_other'",
                      "DELETE FROM repos WHERE repo_id = '" + repo.getRepoId() + "'")
                  .of(data);
            }),
        disagreement(
            "a row that an index does not know",
            "database",
            "runs",
            data -> {
              try (Connection connection =
                      DriverManager.getConnection("jdbc:sqlite:" + database(data));
                  Statement statement = connection.createStatement()) {
                statement.execute("PRAGMA writable_schema = ON");
                // The index is taken for one of fewer rows while a row is changed.
                statement.execute(
                    "UPDATE sqlite_master SET sql = sql || ' WHERE 0' WHERE name = 'runs_repo_status_updated'");
                statement.execute("PRAGMA writable_schema = RESET");
                statement.execute(
                    "UPDATE runs SET updated_at = updated_at + 1 WHERE run_id = '"
                        + ended.runId()
                        + "'");
                statement.execute("PRAGMA writable_schema = ON");
                statement.execute(
                    "UPDATE sqlite_master SET sql = replace(sql, ' WHERE 0', '') WHERE name = 'runs_repo_status_updated'");
                statement.execute("PRAGMA writable_schema = RESET");
              }
            }));
  }

  @Test
  void aDamagedPageIsNamedAndTheRestIsStillLookedAt() throws Exception {
    Path data = copy();
    long page = rootPage(data, "runs");
    try (RandomAccessFile file = new RandomAccessFile(database(data).toFile(), "rw")) {
      file.seek((page - 1) * 4096);
      file.write(new byte[4096]);
    }
    Files.delete(file(data));
    List<Disagreement> found = look(data, true);
    assertTrue(found.stream().anyMatch(each -> each.where().equals("database")), found.toString());
    assertTrue(
        found.stream().anyMatch(each -> each.where().startsWith(artifact.getUri())),
        found.toString());
    assertTrue(found.stream().noneMatch(Disagreement::harmless), found.toString());
    assertTrue(found.stream().noneMatch(each -> each.what().contains("\n")), found.toString());
  }

  private static long rootPage(Path data, String table) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + database(data));
        Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT rootpage FROM sqlite_master WHERE name = '" + table + "'")) {
      return row.getLong(1);
    }
  }

  @TestFactory
  Stream<DynamicTest> whatCannotBeLookedAtIsSaid() {
    return Stream.of(
        unusable(
            "no database",
            StoreException.class,
            "no database",
            data -> Files.delete(database(data))),
        unusable(
            "something else than a database",
            StoreException.class,
            "cannot be opened",
            data -> Files.writeString(database(data), "Dear diary,\n".repeat(500))),
        unusable(
            "a newer database",
            StoreException.class,
            "newer than this program",
            sql(
                "INSERT INTO flyway_schema_history SELECT 999, '999', 'later', type, 'V999__later.sql', checksum,"
                    + " installed_by, installed_on, execution_time, success FROM flyway_schema_history"
                    + " WHERE version = '1'")),
        unusable(
            "an older database",
            StoreException.class,
            "older than this program",
            sql(
                "DELETE FROM flyway_schema_history WHERE installed_rank ="
                    + " (SELECT max(installed_rank) FROM flyway_schema_history)")),
        unusable(
            "a folder that is something else",
            DataDirectoryProblem.class,
            "not a data directory",
            data -> Files.move(data.resolve("control_plane"), data.resolve("something"))),
        DynamicTest.dynamicTest(
            "no folder",
            () ->
                assertThrows(
                    DataDirectoryProblem.class,
                    () -> ControlPlane.consistency(folder.resolve("nowhere"), new TestTime()))));
  }

  private static DynamicTest unusable(
      String what, Class<? extends RuntimeException> kind, String said, Spoiling spoiling) {
    return DynamicTest.dynamicTest(
        what,
        () -> {
          Path data = copy();
          spoiling.of(data);
          for (int time = 1; time <= 2; time++) {
            // The second time shows that the first let go of the lock.
            RuntimeException problem =
                assertThrows(kind, () -> ControlPlane.consistency(data, new TestTime()));
            assertTrue(String.valueOf(problem.getMessage()).contains(said), problem.toString());
          }
        });
  }

  @Test
  void aDirectoryInWhichAServerWorksIsLeftAlone() {
    try (TestServer server = TestServer.in(folder.resolve("another"))) {
      DataDirectoryProblem problem =
          assertThrows(
              DataDirectoryProblem.class,
              () -> ControlPlane.consistency(server.dataDirectory(), new TestTime()));
      assertTrue(String.valueOf(problem.getMessage()).contains("holds"), problem.toString());
      assertTrue(new Scenario(server).verify("system").getValid());
    }
  }
}
