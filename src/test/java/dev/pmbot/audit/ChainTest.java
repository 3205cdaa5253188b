package dev.pmbot.audit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.pmbot.files.CrashPoints;
import dev.pmbot.json.JsonText;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.store.Ids;
import dev.pmbot.store.SqliteStore;
import dev.pmbot.store.Synchronous;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.VerifyChainResponse;
import dev.pmbot.v1.Workspace;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

final class ChainTest {
  @TempDir static Path folder;
  private static Path database;
  private static String workspaceId;
  private static List<AuditEvent> log;

  /** One log of mixed work, of which each test spoils a copy. */
  @BeforeAll
  static void work() {
    try (TestServer server = TestServer.in(folder.resolve("server"))) {
      Scenario scenario = new Scenario(server);
      Workspace workspace = scenario.workspace();
      workspaceId = workspace.getWorkspaceId();
      Scenario.Held held = scenario.running(scenario.repo(workspace));
      List<Interrupt> raised =
          scenario.raise(held, Scenario.question("q1", "One?"), Scenario.toolCall("t1", "Two?"));
      scenario.answer(raised.get(0), "this one");
      scenario.approve(raised.get(1));
      scenario.upload(held, "a.log", new byte[] {1, 2, 3});
      scenario.complete(held);
      scenario.reject(scenario.propose(workspace).getApproval());
      log = scenario.events(workspaceId);
      assertTrue(scenario.verify(workspaceId).getValid());
      assertEquals(log.size(), scenario.verify(workspaceId).getVerifiedEvents());
      database = server.database();
    }
  }

  // ---- The chain as audit.proto documents it, by code that shares nothing with the server's.

  private static byte[] sha256(byte[]... parts) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (byte[] part : parts) {
        digest.update(part);
      }
      return digest.digest();
    } catch (GeneralSecurityException impossible) {
      throw new AssertionError(impossible);
    }
  }

  private static byte[] documentedHash(AuditEvent event) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.write("pmbot.audit.v1".getBytes(StandardCharsets.US_ASCII));
    out.write(event.getPrevHash().toByteArray());
    text(out, Optional.of(event.getWorkspaceId()));
    number(out, event.getSeq());
    number(out, event.getTxFirstSeq());
    text(out, Optional.of(event.getEventId()));
    text(out, event.hasRunId() ? Optional.of(event.getRunId()) : Optional.empty());
    text(out, event.hasThreadId() ? Optional.of(event.getThreadId()) : Optional.empty());
    text(out, event.hasNodeId() ? Optional.of(event.getNodeId()) : Optional.empty());
    text(out, Optional.of(event.getActor()));
    text(out, Optional.of(event.getType()));
    out.writeByte(1);
    out.writeInt(32);
    out.write(event.getPayloadHash().toByteArray());
    number(
        out,
        event.getCreatedAt().getSeconds() * 1_000_000 + event.getCreatedAt().getNanos() / 1_000);
    return sha256(bytes.toByteArray());
  }

  private static void text(DataOutputStream out, Optional<String> text) throws IOException {
    if (text.isEmpty()) {
      out.writeByte(0);
      return;
    }
    byte[] bytes = text.get().getBytes(StandardCharsets.UTF_8);
    out.writeByte(1);
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  private static void number(DataOutputStream out, long number) throws IOException {
    out.writeByte(1);
    out.writeInt(8);
    out.writeLong(number);
  }

  @Test
  void whatTheServerHandsOutVerifiesByTheDocumentAlone() throws IOException {
    assertTrue(log.size() > 15, "there is something to verify");
    ByteString previous = ByteString.copyFrom(new byte[32]);
    long transaction = 0;
    for (int index = 0; index < log.size(); index++) {
      AuditEvent event = log.get(index);
      assertEquals(index + 1, event.getSeq());
      assertEquals(previous, event.getPrevHash());
      assertEquals(16, event.getPayloadSalt().size());
      assertArrayEquals(
          sha256(
              event.getPayloadSalt().toByteArray(),
              event.getPayloadJson().getBytes(StandardCharsets.UTF_8)),
          event.getPayloadHash().toByteArray());
      assertArrayEquals(documentedHash(event), event.getHash().toByteArray());
      assertTrue(event.getTxFirstSeq() == event.getSeq() || event.getTxFirstSeq() == transaction);
      transaction = event.getTxFirstSeq();
      previous = event.getHash();
    }
    assertEquals(
        log.size(),
        log.stream().map(AuditEvent::getPayloadSalt).distinct().count(),
        "each payload has a salt of its own");
  }

  @TestFactory
  Stream<DynamicTest> theServerComputesTheTestVectors() throws IOException {
    String vectors;
    try (InputStream stream = ChainTest.class.getResourceAsStream("/audit-chain-vectors.json")) {
      vectors = stream == null ? "[]" : new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
    List<DynamicTest> tests = new ArrayList<>();
    JsonText.parse(vectors, 1 << 20)
        .forEach(
            vector -> {
              EventRow row =
                  new EventRow(
                      vector.path("event_id").asString(),
                      vector.path("workspace_id").asString(),
                      vector.path("run_id").isNull() ? null : vector.path("run_id").asString(),
                      vector.path("thread_id").isNull()
                          ? null
                          : vector.path("thread_id").asString(),
                      vector.path("node_id").isNull() ? null : vector.path("node_id").asString(),
                      vector.path("type").asString(),
                      vector.path("payload_json").asString(),
                      vector.path("created_at").asLong(),
                      vector.path("seq").asLong(),
                      vector.path("tx_first_seq").asLong(),
                      vector.path("actor").asString(),
                      hex(vector.path("payload_salt").asString()),
                      hex(vector.path("payload_hash").asString()),
                      hex(vector.path("prev_hash").asString()),
                      new byte[32]);
              tests.add(
                  DynamicTest.dynamicTest(
                      vector.path("about").asString(),
                      () -> {
                        assertArrayEquals(
                            row.payloadHash(),
                            Chain.payloadHash(
                                hex(vector.path("payload_salt").asString()), row.payloadJson()));
                        assertArrayEquals(hex(vector.path("hash").asString()), Chain.hash(row));
                      }));
            });
    assertEquals(8, tests.size());
    return tests.stream();
  }

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text);
  }

  // ---- Tampering, each on a copy of the database of a stopped server.

  private static void change(Path file, List<String> statements) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        Statement statement = connection.createStatement()) {
      statement.execute("DROP TRIGGER IF EXISTS audit_events_no_update");
      statement.execute("DROP TRIGGER IF EXISTS audit_events_no_delete");
      for (String sql : statements) {
        assertNotEquals(0, statement.executeUpdate(sql), sql);
      }
    }
  }

  private static Verification verify(Path file) {
    SqliteStore store =
        new SqliteStore(
            file,
            Synchronous.NORMAL,
            List.of(AuditMapper.class),
            new Ids(new TestTime()),
            new TestTime(),
            CrashPoints.NONE);
    try {
      HeadRow head =
          Await.value(
              "the head",
              store.read(
                  tx -> {
                    HeadRow found = tx.mapper(AuditMapper.class).head(workspaceId);
                    if (found == null) {
                      throw new AssertionError("the chain has no head");
                    }
                    return found;
                  }));
      return Await.value("the verification", new ChainVerifier(store).verify(head));
    } finally {
      store.close();
    }
  }

  private static DynamicTest tampering(String what, long expectedSeq, String... statements) {
    return DynamicTest.dynamicTest(
        what,
        () -> {
          Path copy = folder.resolve("tampered.sqlite3");
          Files.copy(database, copy, StandardCopyOption.REPLACE_EXISTING);
          change(copy, List.of(statements));
          Verification.Fault fault = verify(copy).fault();
          assertEquals(
              expectedSeq, fault == null ? Long.MIN_VALUE : fault.seq(), String.valueOf(fault));
        });
  }

  private static String set(String column, String value, long seq) {
    return "UPDATE audit_events SET %s = %s WHERE workspace_id = '%s' AND seq = %d"
        .formatted(column, value, workspaceId, seq);
  }

  @Test
  void aCopyThatNobodyChangedVerifies() throws Exception {
    Path copy = folder.resolve("same.sqlite3");
    Files.copy(database, copy);
    change(copy, List.of());
    Verification verification = verify(copy);
    assertNull(verification.fault());
    assertEquals(log.size(), verification.verifiedEvents());
  }

  @TestFactory
  Stream<DynamicTest> everyChangeOfAFieldIsFoundWhereItWasMade() {
    // An event in the middle that has a run and a thread, and no node.
    AuditEvent event =
        log.stream()
            .filter(each -> each.getType().equals("interrupt.raised") && each.hasThreadId())
            .findFirst()
            .orElseThrow();
    long seq = event.getSeq();
    String zeros = "zeroblob(32)";
    return Stream.of(
        tampering("event_id", seq, set("event_id", "'evt_forged'", seq)),
        tampering("run_id", seq, set("run_id", "'run_forged'", seq)),
        tampering("run_id taken away", seq, set("run_id", "NULL", seq)),
        tampering("thread_id", seq, set("thread_id", "'another'", seq)),
        tampering("node_id given", seq, set("node_id", "'tools'", seq)),
        tampering("an absent node_id made empty", seq, set("node_id", "''", seq)),
        tampering("type", seq, set("type", "'interrupt.closed'", seq)),
        tampering("actor", seq, set("actor", "'local_user'", seq)),
        tampering("created_at", seq, set("created_at", "created_at + 1", seq)),
        tampering("payload_json", seq, set("payload_json", "'{}'", seq)),
        tampering(
            "payload_json with a hash that fits",
            seq,
            set("payload_json", "'{}'", seq),
            set(
                "payload_hash",
                "X'"
                    + HexFormat.of()
                        .formatHex(
                            sha256(
                                event.getPayloadSalt().toByteArray(),
                                "{}".getBytes(StandardCharsets.UTF_8)))
                    + "'",
                seq)),
        tampering("payload_salt", seq, set("payload_salt", "zeroblob(16)", seq)),
        tampering("payload_salt taken away", seq, set("payload_salt", "NULL", seq)),
        tampering(
            "an erasure that is not on the record",
            seq,
            set("payload_json", "'{\"erased\":true}'", seq),
            set("payload_salt", "NULL", seq)),
        tampering("payload_hash", seq, set("payload_hash", zeros, seq)),
        tampering("prev_hash", seq, set("prev_hash", zeros, seq)),
        tampering("hash", seq, set("hash", zeros, seq)),
        tampering("tx_first_seq", seq, set("tx_first_seq", "tx_first_seq - 1", seq)),
        tampering("seq", seq, set("seq", "seq + 1000", seq)),
        tampering("a field of the first event", 1, set("actor", "'somebody'", 1)),
        tampering("a field of the last event", log.size(), set("actor", "'somebody'", log.size())));
  }

  private static String delete(String where) {
    return "DELETE FROM audit_events WHERE workspace_id = '" + workspaceId + "' AND " + where;
  }

  private static String insert(String id, long seq) {
    return """
        INSERT INTO audit_events SELECT '%s', workspace_id, run_id, thread_id, node_id, type, payload_json, created_at,
          %d, %d, actor, payload_salt, payload_hash, prev_hash, hash
        FROM audit_events WHERE workspace_id = '%s' AND seq = 3"""
        .formatted(id, seq, seq, workspaceId);
  }

  private static String shift(String where, String by) {
    // First out of the way: no two events may have one place, not even for a moment.
    return "UPDATE audit_events SET seq = seq "
        + by
        + " WHERE workspace_id = '"
        + workspaceId
        + "' AND "
        + where;
  }

  @TestFactory
  Stream<DynamicTest> everyEventThatGoesComesOrMovesIsFound() {
    long last = log.size();
    return Stream.of(
        tampering("the first is deleted", 1, delete("seq = 1")),
        tampering("one in the middle is deleted", 5, delete("seq = 5")),
        tampering("the last is deleted", last, delete("seq = " + last)),
        tampering("the tail is cut off", last - 3, delete("seq > " + (last - 4))),
        tampering("all are deleted", 1, delete("seq > 0")),
        tampering(
            "one is deleted and the rest moves up",
            5,
            delete("seq = 5"),
            shift("seq > 5", "+ 1000"),
            shift("seq > 1000", "- 1001")),
        tampering(
            "one is inserted",
            6,
            shift("seq > 5", "+ 1000"),
            insert("evt_forged", 6),
            shift("seq > 1000", "- 999")),
        tampering(
            "two change places",
            5,
            shift("seq = 5", "+ 1000"),
            shift("seq = 6", "- 1"),
            shift("seq = 1005", "- 999")),
        tampering("one is added behind the head", last + 1, insert("evt_forged", last + 1)),
        tampering("one is added far behind the head", last + 9, insert("evt_forged", last + 9)),
        tampering("one is added before the first", 0, insert("evt_forged", 0)),
        tampering("one is added far before the first", -7, insert("evt_forged", -7)),
        tampering(
            "the head names another hash",
            last,
            "UPDATE audit_heads SET hash = zeroblob(32) WHERE workspace_id = '"
                + workspaceId
                + "'"),
        tampering(
            "the head names a place that does not exist",
            last + 1,
            "UPDATE audit_heads SET seq = seq + 1 WHERE workspace_id = '" + workspaceId + "'"),
        tampering(
            "the head is put back, but not the events",
            last - 1,
            "UPDATE audit_heads SET seq = "
                + (last - 2)
                + ", hash = X'"
                + HexFormat.of().formatHex(log.get((int) last - 3).getHash().toByteArray())
                + "' WHERE workspace_id = '"
                + workspaceId
                + "'"));
  }

  // ---- Through the API.

  @Test
  void aServerOnATamperedDatabaseSaysWhereItIsBroken(@TempDir Path home) {
    try (TestServer server = TestServer.in(home)) {
      Scenario scenario = new Scenario(server);
      Workspace workspace = scenario.workspace();
      Workspace other = scenario.workspace();
      scenario.propose(workspace);
      server.restart(
          data ->
              change(
                  server.database(),
                  List.of(
                      "UPDATE audit_events SET actor = 'nobody' WHERE seq = 2 AND workspace_id = '"
                          + workspace.getWorkspaceId()
                          + "'")));
      VerifyChainResponse found = scenario.verify(workspace.getWorkspaceId());
      assertFalse(found.getValid());
      assertEquals(1, found.getVerifiedEvents());
      assertEquals(2, found.getFault().getSeq());
      assertEquals(
          "the fields are not the ones that were hashed", found.getFault().getDescription());
      assertEquals(3, found.getHead().getSeq());
      assertTrue(scenario.verify(other.getWorkspaceId()).getValid());
      assertTrue(scenario.verify("system").getValid());
    }
  }

  @Test
  void aChainOfManyPagesVerifiesWhileItGrows(@TempDir Path home) throws InterruptedException {
    try (TestServer server = TestServer.in(home)) {
      Scenario scenario = new Scenario(server);
      Workspace workspace = scenario.workspace();
      AtomicBoolean stop = new AtomicBoolean();
      for (int count = 0; count < 600; count++) {
        scenario.propose(workspace);
      }
      Thread writer =
          new Thread(
              () -> {
                while (!stop.get()) {
                  scenario.propose(workspace);
                }
              });
      writer.start();
      for (int round = 0; round < 20; round++) {
        VerifyChainResponse found = scenario.verify(workspace.getWorkspaceId());
        assertTrue(found.getValid(), found.toString());
        assertTrue(found.getVerifiedEvents() >= 1201);
        assertEquals(found.getHead().getSeq(), found.getVerifiedEvents());
      }
      stop.set(true);
      writer.join();
      assertEquals(
          scenario.events(workspace.getWorkspaceId()).size(),
          scenario.verify(workspace.getWorkspaceId()).getVerifiedEvents());
    }
  }

  @Test
  void aChainThatDoesNotExistIsNotFound(@TempDir Path home) {
    try (TestServer server = TestServer.in(home)) {
      Failures.of(
          Reason.REASON_NOT_FOUND, () -> new Scenario(server).verify("ws_" + "0".repeat(32)));
    }
  }
}
