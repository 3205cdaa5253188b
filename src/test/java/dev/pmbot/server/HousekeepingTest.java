package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Gate;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.store.Ids;
import dev.pmbot.store.SqliteStore;
import dev.pmbot.store.Store;
import dev.pmbot.store.Synchronous;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Measurements;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import dev.pmbot.wire.RequestMapper;
import dev.pmbot.wire.Requests;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.ibatis.annotations.Delete;
import org.apache.ibatis.annotations.Select;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is no longer needed goes, and what is measured is so. */
final class HousekeepingTest {
  private static final Duration A_DAY = Duration.ofHours(24);

  @TempDir Path folder;

  private static Measurements measurements(TestServer server) {
    return server
        .as(Role.READER)
        .server()
        .getServerInfo(GetServerInfoRequest.getDefaultInstance())
        .getMeasurements();
  }

  /** Counts in the database of a stopped server. */
  private static long count(TestServer server, String table) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + server.database());
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT count(*) FROM " + table)) {
      return row.getLong(1);
    }
  }

  private static CreateWorkspaceRequest asked(String name) {
    return Scenario.withRequestId(CreateWorkspaceRequest.newBuilder().setName(name).build());
  }

  private static Workspace create(TestServer server, CreateWorkspaceRequest request) {
    return server.as(Role.OPERATOR).workspaces().createWorkspace(request).getWorkspace();
  }

  @Test
  void aReplyIsRememberedForADayAndThenForgotten() throws SQLException {
    try (TestServer server = TestServer.in(folder)) {
      CreateWorkspaceRequest request = asked("one");
      Workspace first = create(server, request);
      server.time().advance(A_DAY.minusSeconds(1));
      CreateWorkspaceRequest later = asked("two");
      create(server, later);
      assertEquals(
          first, create(server, request), "the same request is answered as the first time");
      server.time().advance(Duration.ofSeconds(1));
      Await.until("nothing is over its time", () -> measurements(server).getExpiredReplies() == 0);
      server.stop();
      assertEquals(1, count(server, "requests"), "what is not over its time is kept");
    }
  }

  @Test
  void whatIsManySlicesGoesToTheLast() throws SQLException {
    int count = 3 * Housekeeping.SLICE + 7;
    try (TestServer server = TestServer.in(folder)) {
      server.stop();
      try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + server.database());
          PreparedStatement insert =
              connection.prepareStatement(
                  "INSERT INTO requests VALUES ('operator', ?, 'm', zeroblob(32), zeroblob(10), ?)")) {
        connection.setAutoCommit(false);
        for (int number = 0; number < count; number++) {
          insert.setString(1, "request-" + number);
          insert.setLong(2, server.time().nowMicros() + 60_000_000 + number);
          insert.addBatch();
        }
        insert.executeBatch();
        connection.commit();
      }
      server.restart();
      assertEquals(0, measurements(server).getExpiredReplies(), "nothing is due yet");
      server.time().advance(Duration.ofSeconds(61));
      Await.until("all are forgotten", () -> measurements(server).getExpiredReplies() == 0);
      server.stop();
      assertEquals(0, count(server, "requests"));
    }
  }

  @Test
  void expiredRepliesAreCountedNoFurtherThanAsked() throws Exception {
    TestTime time = new TestTime();
    Path file = folder.resolve("pmbot.sqlite3");
    SqliteStore store =
        new SqliteStore(
            file,
            Synchronous.NORMAL,
            List.of(RequestMapper.class),
            new Ids(time),
            time,
            CrashPoints.NONE);
    try (store;
        Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        Statement statement = connection.createStatement()) {
      for (int number = 0; number < 20; number++) {
        statement.execute(
            "INSERT INTO requests VALUES ('operator', 'r%d', 'm', zeroblob(32), zeroblob(10), %d)"
                .formatted(number, number));
      }
      assertEquals(7, counted(store, 7));
      assertEquals(20, counted(store, 100));
      int gone =
          Await.value(
              "the slice", store.write("system", Store.NEVER, tx -> Requests.forget(tx, 5)));
      assertEquals(5, gone);
      try (ResultSet left = statement.executeQuery("SELECT min(expires_at) FROM requests")) {
        assertEquals(5, left.getLong(1), "the oldest go first");
      }
    }
  }

  private static int counted(Store store, int limit) {
    return Await.value("the count", store.read(tx -> Requests.expired(tx, limit)));
  }

  /** Neither looks at more rows than it takes, however many there are. */
  @Test
  void forgettingAndCountingGoByTheIndex() throws Exception {
    try (TestServer server = TestServer.in(folder)) {
      server.stop();
      String forget =
          RequestMapper.class
              .getMethod("forgetExpired", long.class, int.class)
              .getAnnotation(Delete.class)
              .value()[0];
      String count =
          RequestMapper.class
              .getMethod("expired", long.class, int.class)
              .getAnnotation(Select.class)
              .value()[0];
      for (String sql : List.of(forget, count)) {
        List<String> plan = new ArrayList<>();
        try (Connection connection =
                DriverManager.getConnection("jdbc:sqlite:" + server.database());
            Statement statement = connection.createStatement();
            ResultSet rows =
                statement.executeQuery(
                    "EXPLAIN QUERY PLAN " + sql.replaceAll("#\\{\\w+\\}", "1"))) {
          while (rows.next()) {
            plan.add(rows.getString("detail"));
          }
        }
        assertTrue(
            plan.stream().anyMatch(line -> line.contains("requests_expires")), plan::toString);
        assertTrue(
            plan.stream().noneMatch(line -> line.startsWith("SCAN requests")), plan::toString);
        assertTrue(plan.stream().noneMatch(line -> line.contains("TEMP B-TREE")), plan::toString);
      }
    }
  }

  /** A timer whose tasks the test runs by hand. */
  private static final class HandTimer extends ScheduledThreadPoolExecutor {
    private final BlockingQueue<Long> delays = new LinkedBlockingQueue<>();
    private final BlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();

    HandTimer() {
      super(0);
    }

    @Override
    @SuppressWarnings("NullAway") // Nobody asks for what was scheduled.
    public ScheduledFuture<?> schedule(Runnable task, long delay, TimeUnit unit) {
      delays.add(unit.toMillis(delay));
      tasks.add(task);
      return null;
    }

    /** Runs the next task; how long it would have had to wait. */
    long runNext() throws InterruptedException {
      Runnable task = tasks.poll(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      assertNotNull(task, "nothing was to be done later");
      task.run();
      return delays.remove();
    }
  }

  @Test
  void whileManyWaitToWriteItStandsBackButNotForEver() throws Exception {
    TestTime time = new TestTime();
    Gate gate = new Gate();
    Path file = folder.resolve("pmbot.sqlite3");
    HandTimer timer = new HandTimer();
    SqliteStore store =
        new SqliteStore(
            file, Synchronous.NORMAL, List.of(RequestMapper.class), new Ids(time), time, gate);
    try (store;
        Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        Statement statement = connection.createStatement()) {
      statement.execute(
          "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
              + " INSERT INTO requests SELECT 'operator', 'r' || i, 'm', zeroblob(32), zeroblob(1), i FROM n");
      gate.close();
      List<CompletableFuture<Integer>> others = new ArrayList<>();
      others.add(store.write("system", Store.NEVER, tx -> 0));
      gate.awaitHeld();
      for (int number = 1; number <= 40; number++) {
        int value = number;
        others.add(store.write("system", Store.NEVER, tx -> value));
      }
      new Housekeeping(store, time, timer).begin();
      assertEquals(1_000, timer.runNext(), "it looks each second");
      for (int again = 0; again < 5; again++) {
        assertEquals(50, timer.runNext(), "it stands back");
        assertEquals(40, store.waitingWrites());
      }
      time.advance(Duration.ofSeconds(1));
      assertEquals(50, timer.runNext());
      assertEquals(41, store.waitingWrites(), "it has stood back long enough");
      gate.open();
      assertEquals(20, timer.runNext(), "there is more: a pause, and on");
      assertEquals(1_000, timer.runNext(), "all is forgotten: it looks again later");
      try (ResultSet left = statement.executeQuery("SELECT count(*) FROM requests")) {
        assertEquals(0, left.getInt(1));
      }
      Await.until("it looks again later", () -> List.of(1_000L).equals(List.copyOf(timer.delays)));
      for (int number = 0; number < others.size(); number++) {
        assertEquals(number, Await.value("the others' writes", others.get(number)));
      }
    } finally {
      timer.shutdownNow();
    }
  }

  @Test
  void whatIsMeasuredIsSo() {
    try (TestServer server = TestServer.in(folder)) {
      Scenario scenario = new Scenario(server);
      Measurements before = measurements(server);
      assertEquals(0, before.getArtifacts());
      assertEquals(0, before.getArtifactBytes());
      assertEquals(0, before.getOpenStreams());
      assertEquals(0, before.getWaitingClaims());
      assertEquals(0, before.getUptime().getSeconds());
      assertTrue(before.getDatabaseBytes() > 0);
      assertTrue(before.getFreeDiskBytes() > 0);
      assertTrue(before.getHeapUsedBytes() > 0);
      assertTrue(before.getHeapLargestBytes() >= before.getHeapUsedBytes());

      Scenario.Held held = scenario.running(scenario.workspace());
      scenario.upload(held, "a.log", new byte[] {1, 2, 3});
      scenario.upload(held, "b.log", new byte[100_000]);
      // The same again is the same artifact.
      scenario.upload(held, "a.log", new byte[] {1, 2, 3});
      server.time().advance(Duration.ofSeconds(90));
      try (Recording<StreamInboxResponse> stream =
          Recording.of(
              server.as(Role.READER).channel(),
              InboxServiceGrpc.getStreamInboxMethod(),
              StreamInboxRequest.getDefaultInstance())) {
        stream.awaitMessage("in step", StreamInboxResponse::hasSynced);
        var claim =
            RunServiceGrpc.newFutureStub(server.as(Role.WORKER).channel())
                .claimRuns(
                    ClaimRunsRequest.newBuilder()
                        .setWorkerId("waiting")
                        .addGraphIds("no/v1")
                        .setWait(com.google.protobuf.Duration.newBuilder().setSeconds(60))
                        .build());
        Await.until("the claim waits", () -> measurements(server).getWaitingClaims() == 1);
        Measurements after = measurements(server);
        assertEquals(2, after.getArtifacts());
        assertEquals(100_003, after.getArtifactBytes());
        assertEquals(1, after.getOpenStreams());
        assertEquals(90, after.getUptime().getSeconds());
        assertTrue(after.getLogBytes() > 0);
        claim.cancel(true);
      }
      Await.until(
          "stream and claim are gone",
          () ->
              measurements(server).getOpenStreams() == 0
                  && measurements(server).getWaitingClaims() == 0);
      server.restart();
      assertEquals(2, measurements(server).getArtifacts(), "what was counted is kept");
      assertEquals(100_003, measurements(server).getArtifactBytes());
    }
  }
}
