package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.cli.Pmbot;
import dev.pmbot.files.DataDirectoryProblem;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Folders;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.GetServerInfoResponse;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.Question;
import dev.pmbot.wire.Principal.Role;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server begins, is put away, and is there again as it was. */
final class LifeTest {
  @TempDir Path folder;

  private static GetServerInfoResponse info(TestServer server, Role role) {
    return server.as(role).server().getServerInfo(GetServerInfoRequest.getDefaultInstance());
  }

  private static String newestMigration() throws Exception {
    int newest = 0;
    for (String folder : List.of("common", "sqlite")) {
      URL there = LifeTest.class.getResource("/db/migration/" + folder);
      try (Stream<Path> files = Files.list(Path.of(Objects.requireNonNull(there).toURI()))) {
        for (Path file : files.toList()) {
          String name = String.valueOf(file.getFileName());
          newest = Math.max(newest, Integer.parseInt(name.substring(1, name.indexOf("__"))));
        }
      }
    }
    return Integer.toString(newest);
  }

  @Test
  void aNewServerTellsWhatItIs() throws Exception {
    try (TestServer server = TestServer.in(folder)) {
      GetServerInfoResponse info = info(server, Role.READER);
      assertEquals("sqlite", info.getDatabase());
      assertEquals("normal", info.getSynchronous());
      assertEquals("reader", info.getActor());
      assertEquals("reader", info.getRole());
      assertEquals(newestMigration(), info.getSchemaVersion());
      assertEquals(
          server.dataDirectory().toAbsolutePath().normalize().toString(), info.getDataDirectory());
      assertEquals(
          Instant.EPOCH.plus(Duration.ofNanos(server.time().nowMicros() * 1_000)).getEpochSecond(),
          info.getStartedAt().getSeconds());
      assertEquals(4 << 20, info.getLimits().getMessageBytes());
      assertEquals(1 << 20, info.getLimits().getJsonBytes());
      assertEquals(64, info.getLimits().getJsonDepth());
      assertEquals(16L << 30, info.getLimits().getArtifactBytes());
      assertEquals(10_000, info.getLimits().getOpenStreams());
      assertEquals(1_000, info.getLimits().getWaitingClaims());
      assertEquals(500, info.getLimits().getPageSize());
    }
  }

  @Test
  void aRestartKeepsTokensHistoryAndSeal() {
    try (TestServer server = TestServer.in(folder)) {
      Scenario scenario = new Scenario(server);
      Scenario.Held held = scenario.running(scenario.workspace());
      Question question = Scenario.question("q1", "One?");
      Interrupt before = scenario.raise(held, question).get(0);
      List<String> tokens = Arrays.stream(Role.values()).map(server::token).toList();
      String incarnation = info(server, Role.READER).getIncarnation();
      server.restart();
      assertEquals(tokens, Arrays.stream(Role.values()).map(server::token).toList());
      assertEquals(incarnation, info(server, Role.READER).getIncarnation());
      // The same question: its hash is made with a key that was kept.
      assertEquals(before, scenario.raise(held, question).get(0));
      scenario.answer(before, "yes");
    }
  }

  @Test
  void aCopyOfAStoppedServersDirectoryServesElsewhere() {
    String incarnation;
    Scenario.Held held;
    try (TestServer server = TestServer.in(folder.resolve("here"))) {
      Scenario scenario = new Scenario(server);
      held = scenario.running(scenario.workspace());
      scenario.upload(held, "a.log", new byte[1_000]);
      incarnation = info(server, Role.READER).getIncarnation();
      server.stop();
      Folders.copy(folder.resolve("here"), folder.resolve("there"));
    }
    assertEquals(0, Pmbot.run("fsck", "--data=" + folder.resolve("there").resolve("data")));
    try (TestServer server = TestServer.in(folder.resolve("there"))) {
      assertEquals(incarnation, info(server, Role.READER).getIncarnation());
      Scenario scenario = new Scenario(server);
      assertEquals(held.run(), scenario.read(held.run()));
      assertEquals(1_000, scenario.upload(held, "b.log", new byte[1_000]).getSizeBytes());
    }
  }

  @Test
  void twoDirectoriesAreTwoHistoriesWithTokensAndSealsOfTheirOwn() {
    try (TestServer one = TestServer.in(folder.resolve("one"));
        TestServer two = TestServer.in(folder.resolve("two"))) {
      assertNotEquals(
          info(one, Role.READER).getIncarnation(), info(two, Role.READER).getIncarnation());
      assertNotEquals(one.token(Role.OPERATOR), two.token(Role.OPERATOR));
      Question question = Scenario.question("q1", "One?");
      Scenario first = new Scenario(one);
      Scenario second = new Scenario(two);
      assertNotEquals(
          first.raise(first.running(first.workspace()), question).get(0).getPayloadHash(),
          second.raise(second.running(second.workspace()), question).get(0).getPayloadHash());
    }
  }

  @Test
  void aDirectoryServesOneServerAtATime() {
    try (TestServer server = TestServer.in(folder)) {
      DataDirectoryProblem problem =
          assertThrows(DataDirectoryProblem.class, () -> TestServer.in(folder, new TestTime()));
      assertTrue(
          String.valueOf(problem.getMessage()).contains(server.dataDirectory().toString()),
          problem.getMessage());
      assertEquals("reader", info(server, Role.READER).getRole(), "the first one serves on");
    }
    try (TestServer next = TestServer.in(folder)) {
      assertEquals("reader", info(next, Role.READER).getRole());
    }
  }

  @Test
  void aStopLeavesNoLogAndNoAnnouncement() throws IOException {
    TestServer server = TestServer.in(folder);
    Scenario scenario = new Scenario(server);
    scenario.running(scenario.workspace());
    assertTrue(Files.exists(server.dataDirectory().resolve("server.json")));
    server.close();
    assertFalse(Files.exists(server.dataDirectory().resolve("server.json")));
    Path log = Path.of(server.database() + "-wal");
    assertTrue(!Files.exists(log) || Files.size(log) == 0);
  }

  @Test
  void whoWatchesTheServersHealthIsToldThatItStops() throws InterruptedException {
    try (TestServer server = TestServer.in(folder);
        Recording<HealthCheckResponse> health =
            Recording.of(
                server.connect(),
                HealthGrpc.getWatchMethod(),
                HealthCheckRequest.getDefaultInstance())) {
      health.awaitMessage("it serves", said -> said.getStatus() == ServingStatus.SERVING);
      Thread stop = new Thread(server::stop);
      stop.start();
      health.awaitMessage("it stops", said -> said.getStatus() == ServingStatus.NOT_SERVING);
      health.cancel();
      stop.join(Await.PATIENCE.toMillis());
      assertFalse(stop.isAlive());
    }
  }
}
