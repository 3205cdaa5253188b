package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.wire.Principal.Role;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Somebody else's program that reads the database and does not come to an end. */
final class SlowReaderTest {
  /** Small writes while it reads: {@code -Dpmbot.limits.writes=100000} for the whole. */
  private static final int WRITES = Integer.getInteger("pmbot.limits.writes", 500);

  private static final int IN_FLIGHT = 64;
  private static final String STAYS = "a reader that stays open";
  private static final long KEPT_BYTES = 64L << 20;

  @TempDir Path folder;

  private static long size(Path file) {
    try {
      return Files.exists(file) ? Files.size(file) : 0;
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static int runs(Statement statement) throws SQLException {
    try (ResultSet count = statement.executeQuery("SELECT count(*) FROM runs")) {
      return count.getInt(1);
    }
  }

  /** Creates runs, many at a time, and waits until all are stored. */
  private static void create(Client client, String workspaceId, int count, int padding) {
    CreateRunRequest request =
        CreateRunRequest.newBuilder()
            .setWorkspaceId(workspaceId)
            .setGoal("go on")
            .setGraphId("graph/v1")
            // Of all that is kept as it came, this is the quickest to read.
            .setAgentRunSpecJson("{\"input\":" + " ".repeat(padding) + "1}")
            .build();
    RunServiceGrpc.RunServiceFutureStub runs = RunServiceGrpc.newFutureStub(client.channel());
    Deque<Future<?>> inFlight = new ArrayDeque<>();
    for (int number = 0; number < count; number++) {
      inFlight.add(runs.createRun(request));
      if (inFlight.size() == IN_FLIGHT) {
        Await.value("a run", inFlight.remove());
      }
    }
    inFlight.forEach(run -> Await.value("a run", run));
  }

  @Test
  void writesGoOnAndTheLogShrinksByItselfWhenTheReaderIsGone() throws SQLException {
    try (ConfinedServer server = ConfinedServer.start(folder.resolve("data"))) {
      Client client = server.as(Role.OPERATOR);
      String workspaceId =
          client
              .workspaces()
              .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("read").build())
              .getWorkspace()
              .getWorkspaceId();
      create(client, workspaceId, 10, 0);
      Path log = server.database().resolveSibling("pmbot.sqlite3-wal");
      int written = 10;
      try (Connection reader = DriverManager.getConnection("jdbc:sqlite:" + server.database());
          Statement statement = reader.createStatement()) {
        statement.execute("BEGIN");
        assertEquals(10, runs(statement));
        create(client, workspaceId, WRITES, 0);
        written += WRITES;
        while (server.logged(STAYS).isEmpty()) {
          create(client, workspaceId, 100, 500_000);
          written += 100;
          assertTrue(written < WRITES + 10_000, "it never says so");
        }
        assertTrue(size(log) > 4 * KEPT_BYTES, "a log of " + size(log) + " bytes");
        assertEquals(10, runs(statement), "it sees the database as it was");
        statement.execute("ROLLBACK");
        assertEquals(written, runs(statement));
      }
      // Nobody writes from here on.
      Await.until("the log is small again", () -> size(log) <= KEPT_BYTES);
      Await.until(
          "it says so", () -> !server.logged("the write-ahead log has begun anew").isEmpty());
      assertEquals(1, server.logged(STAYS).size(), server.child().errors().toString());
      assertEquals(2, server.loggedSinceItServes().size(), server.child().errors().toString());

      create(client, workspaceId, 10, 0);
      assertTrue(
          client
              .audit()
              .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build())
              .getValid());
    }
  }
}
