package dev.pmbot.bench;

import dev.pmbot.store.Ids;
import dev.pmbot.store.SystemTime;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The rows that a CreateRun leaves, written by bare JDBC into a server's database while no server
 * runs: what SQLite itself can do here, and the way to fill a database. The hashes of the log are
 * only as long as real ones.
 */
final class BareRows implements AutoCloseable {
  private static final String SPEC = "{}";
  private static final long DAY_MICROS = 86_400_000_000L;
  private static final int LONG_AGO_DAYS = 30;

  private final Ids ids = new Ids(new SystemTime());
  private final Connection connection;
  private final Statement plain;
  private final PreparedStatement run;
  private final PreparedStatement approval;
  private final PreparedStatement event;
  private final PreparedStatement head;
  private final PreparedStatement request;

  BareRows(Path dataDirectory, String synchronous) throws SQLException {
    connection =
        DriverManager.getConnection(
            "jdbc:sqlite:" + dataDirectory.resolve("control_plane/pmbot.sqlite3"));
    plain = connection.createStatement();
    for (String pragma :
        List.of(
            "journal_mode=WAL",
            "synchronous=" + synchronous,
            "foreign_keys=ON",
            "secure_delete=ON",
            "wal_autocheckpoint=8000")) {
      plain.execute("PRAGMA " + pragma);
    }
    run =
        connection.prepareStatement(
            "INSERT INTO runs (run_id, workspace_id, goal, status, graph_id, agent_run_spec_json,"
                + " created_at, updated_at, created_by, attempt, max_attempts, tokens_used,"
                + " tool_calls_used, cost_micros_used, wall_micros_used, version)"
                + " VALUES (?, ?, ?, ?, 'bench/v1', ?, ?, ?, 'local_user', 1, 3, 0, 0, 0, 0, 1)");
    approval =
        connection.prepareStatement(
            "INSERT INTO approvals (approval_id, workspace_id, run_id, kind, status, payload_json,"
                + " payload_hash, risk, created_at, resolved_at, actor, closed_by)"
                + " VALUES (?, ?, ?, 'run_start', ?, ?, ?, 'low', ?, ?, ?, ?)");
    event =
        connection.prepareStatement(
            "INSERT INTO audit_events (event_id, workspace_id, run_id, type, payload_json,"
                + " created_at, seq, tx_first_seq, actor, payload_salt, payload_hash, prev_hash,"
                + " hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'local_user', ?, ?, ?, ?)");
    head =
        connection.prepareStatement(
            "UPDATE audit_heads SET seq = ?, hash = ? WHERE workspace_id = ?");
    request =
        connection.prepareStatement(
            "INSERT INTO requests (principal, request_id, method, request_hash, response,"
                + " expires_at) VALUES ('operator', ?, 'pmbot.v1.RunService/CreateRun', ?, ?, ?)");
  }

  /** A workspace as CreateWorkspace makes it, but for its event. */
  String workspace(String name) throws SQLException {
    String id = ids.next("ws");
    plain.execute(
        String.format(
            Locale.ROOT,
            "INSERT INTO workspaces (workspace_id, name, created_at, settings_json, version)"
                + " VALUES ('%s', '%s', %d, '{}', 1)",
            id,
            name,
            now()));
    plain.execute(
        "INSERT INTO audit_heads (workspace_id, seq, hash) VALUES ('" + id + "', 0, zeroblob(32))");
    return id;
  }

  /**
   * Rows of {@code CreateRun}, one transaction for a group, until the time is over; runs a second.
   */
  double perSecond(String workspaceId, int group, double seconds) throws SQLException {
    long begin = System.nanoTime();
    long seq = 0;
    int count = 0;
    while (System.nanoTime() - begin < seconds * 1e9) {
      plain.execute("BEGIN IMMEDIATE");
      for (int index = 0; index < group; index++) {
        seq = add(workspaceId, "proposed", seq, 2, now() + DAY_MICROS);
        count++;
      }
      plain.execute("COMMIT");
    }
    return count / ((System.nanoTime() - begin) / 1e9);
  }

  /** Ended runs, a thousand a transaction, with five events each and nothing pending. */
  void fill(List<String> workspaceIds, int runs) throws SQLException {
    long[] seqs = new long[workspaceIds.size()];
    for (int from = 0; from < runs; from += 1_000) {
      plain.execute("BEGIN IMMEDIATE");
      for (int index = from; index < Math.min(from + 1_000, runs); index++) {
        int workspace = index % seqs.length;
        seqs[workspace] =
            add(workspaceIds.get(workspace), "completed", seqs[workspace], 5, now() + DAY_MICROS);
      }
      plain.execute("COMMIT");
    }
  }

  /** Remembered replies that have expired long ago. */
  void expiredRequests(int count) throws SQLException {
    for (int from = 0; from < count; from += 1_000) {
      plain.execute("BEGIN IMMEDIATE");
      for (int index = 0; index < 1_000; index++) {
        remember(now() - LONG_AGO_DAYS * DAY_MICROS);
      }
      plain.execute("COMMIT");
    }
  }

  private long add(String workspaceId, String status, long seq, int events, long expiresAt)
      throws SQLException {
    String id = ids.next("run");
    long now = now();
    boolean ended = !status.equals("proposed");
    set(run, id, workspaceId, "measure how fast a run is proposed", status, SPEC, now, now);
    String payload =
        "{\"goal\":\"measure how fast a run is proposed\",\"graph_id\":\"bench/v1\",\"run_id\":\""
            + id
            + "\"}";
    set(
        approval,
        ids.next("appr"),
        workspaceId,
        id,
        ended ? "approved" : "pending",
        payload,
        "0".repeat(64),
        now,
        ended ? now : null,
        ended ? "local_user" : null,
        ended ? "decision" : null);
    long last = seq;
    for (int index = 0; index < events; index++) {
      last++;
      set(
          event,
          ids.next("evt"),
          workspaceId,
          id,
          index % 2 == 0 ? "run.created" : "approval.requested",
          payload,
          now,
          last,
          seq + 1,
          ids.bytes(16),
          ids.bytes(32),
          ids.bytes(32),
          ids.bytes(32));
    }
    set(head, last, ids.bytes(32), workspaceId);
    remember(expiresAt);
    return last;
  }

  private void remember(long expiresAt) throws SQLException {
    set(request, UUID.randomUUID().toString(), ids.bytes(32), ids.bytes(700), expiresAt);
  }

  private static void set(PreparedStatement statement, @Nullable Object... values)
      throws SQLException {
    for (int index = 0; index < values.length; index++) {
      statement.setObject(index + 1, values[index]);
    }
    statement.executeUpdate();
  }

  private static long now() {
    return System.currentTimeMillis() * 1_000;
  }

  @Override
  public void close() throws SQLException {
    connection.close();
  }
}
