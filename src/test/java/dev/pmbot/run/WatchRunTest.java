package dev.pmbot.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Cuts;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.WatchRunRequest;
import dev.pmbot.v1.WatchRunResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** One run, followed to its end. */
final class WatchRunTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  private Worker worker() {
    return new Worker(server.as(Role.WORKER));
  }

  private Recording<WatchRunResponse> watch(Run run, String cursor) {
    return Recording.of(
        server.as(Role.READER).channel(),
        RunServiceGrpc.getWatchRunMethod(),
        WatchRunRequest.newBuilder().setRunId(run.getRunId()).setCursor(cursor).build());
  }

  private static List<AuditEvent> events(List<WatchRunResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getUpdate().getEventsList().stream())
        .toList();
  }

  private static List<String> types(List<WatchRunResponse> messages) {
    return events(messages).stream().map(AuditEvent::getType).toList();
  }

  /** What the log has of the run's changes. */
  private List<AuditEvent> changes(Run run) {
    return scenario.events(EventFilter.newBuilder().setRunId(run.getRunId()).build()).stream()
        .filter(event -> event.getType().startsWith("run."))
        .toList();
  }

  private static void awaitSynced(Recording<WatchRunResponse> stream) {
    stream.awaitMessage("in step", WatchRunResponse::hasSynced);
  }

  private static WatchRunResponse awaitType(Recording<WatchRunResponse> stream, String type) {
    return stream.awaitMessage(
        type,
        message ->
            message.getUpdate().getEventsList().stream()
                .anyMatch(event -> event.getType().equals(type)));
  }

  private static WatchRunResponse last(List<WatchRunResponse> messages) {
    return messages.get(messages.size() - 1);
  }

  @Test
  void aRunIsFollowedFromItsProposalToItsEnd() {
    CreateRunResponse proposed = scenario.propose(workspace);
    Run run = proposed.getRun();
    try (Recording<WatchRunResponse> stream = watch(run, "")) {
      awaitSynced(stream);
      List<WatchRunResponse> begin = stream.messages();
      assertEquals(2, begin.size());
      assertEquals(run, begin.get(0).getUpdate().getRun());
      assertEquals(0, begin.get(0).getUpdate().getEventsCount());
      assertEquals("", begin.get(0).getCursor());
      assertFalse(begin.get(1).getCursor().isEmpty());

      Run approved = scenario.approved(proposed);
      WatchRunResponse change = awaitType(stream, "run.approved");
      assertEquals(approved, change.getUpdate().getRun());
      assertEquals(List.of("run.approved"), types(List.of(change)));
      assertFalse(change.getCursor().isEmpty());

      Scenario.Held held = scenario.start(scenario.claim(approved), "t");
      assertEquals(held.run(), awaitType(stream, "run.started").getUpdate().getRun());
      worker().renew(held); // No change.
      Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0); // Nor this.
      scenario.pause(held);
      scenario.answer(open, "this");
      worker().useTokens(held, 5);
      assertEquals(5, awaitType(stream, "run.usage_recorded").getUpdate().getRun().getTokensUsed());
      Run completed = scenario.complete(held);
      assertEquals(Status.Code.OK, stream.awaitEnd().getCode());
      List<WatchRunResponse> all = stream.messages();
      assertEquals(completed, last(all).getUpdate().getRun());
      assertEquals(
          List.of(
              "run.approved",
              "run.claimed",
              "run.started",
              "run.blocked",
              "run.resumed",
              "run.usage_recorded",
              "run.completed"),
          types(all));
      assertEquals(changes(run).subList(1, 8), events(all)); // It opened after run.created.
      assertEquals(1, all.stream().filter(WatchRunResponse::hasSynced).count());
    }
  }

  @TestFactory
  Stream<DynamicTest> aRunThatHasEndedIsShownOnceAndTheStreamEnds() {
    Map<String, Consumer<CreateRunResponse>> endings = new LinkedHashMap<>();
    endings.put("completed", proposed -> scenario.complete(scenario.running(proposed)));
    endings.put("failed", proposed -> worker().fail(scenario.running(proposed), false));
    endings.put("cancelled", proposed -> scenario.cancel(proposed.getRun()));
    endings.put("rejected", proposed -> scenario.reject(proposed.getApproval()));
    return endings.entrySet().stream()
        .map(
            ending ->
                DynamicTest.dynamicTest(
                    ending.getKey(),
                    () -> {
                      CreateRunResponse proposed = scenario.propose(workspace);
                      ending.getValue().accept(proposed);
                      Run run = scenario.read(proposed.getRun());
                      try (Recording<WatchRunResponse> stream = watch(run, "")) {
                        assertEquals(Status.Code.OK, stream.awaitEnd().getCode());
                        assertEquals(2, stream.messages().size());
                        assertEquals(run, stream.messages().get(0).getUpdate().getRun());
                        assertTrue(stream.messages().get(1).hasSynced());
                      }
                    }));
  }

  @TestFactory
  Stream<DynamicTest> everyEndOfARunEndsItsStreamBehindTheEventThatTellsOfIt() {
    Map<String, Consumer<Scenario.Held>> endings = new LinkedHashMap<>();
    endings.put("run.completed", scenario::complete);
    endings.put("run.failed", held -> worker().fail(held, false));
    endings.put(
        "run.cancelled",
        held -> {
          scenario.cancel(held.run());
          worker().release(held.runId(), held.leaseToken(), "");
        });
    return endings.entrySet().stream()
        .map(
            ending ->
                DynamicTest.dynamicTest(
                    ending.getKey(),
                    () -> {
                      for (int round = 0; round < 20; round++) {
                        Scenario.Held held = scenario.running(workspace);
                        try (Recording<WatchRunResponse> stream = watch(held.run(), "")) {
                          if (round % 2 == 0) {
                            awaitSynced(stream); // Else whoever is first.
                          }
                          ending.getValue().accept(held);
                          assertEquals(Status.Code.OK, stream.awaitEnd().getCode());
                          Run ended = scenario.read(held.run());
                          List<WatchRunResponse> shown =
                              stream.messages().stream()
                                  .filter(WatchRunResponse::hasUpdate)
                                  .toList();
                          assertEquals(ended, last(shown).getUpdate().getRun());
                          if (round % 2 == 0) {
                            assertEquals(
                                ending.getKey(), types(shown).get(types(shown).size() - 1));
                          }
                        }
                      }
                    }));
  }

  @Test
  void aStreamThatIsCutAnywhereMissesAndRepeatsNothing() {
    CreateRunResponse proposed = scenario.propose(workspace);
    Run run = proposed.getRun();
    List<WatchRunResponse> whole;
    try (Recording<WatchRunResponse> stream = watch(run, "")) {
      awaitSynced(stream);
      Scenario.Held held = scenario.running(proposed);
      for (int i = 1; i <= 5; i++) {
        worker().useTokens(held, i);
      }
      scenario.complete(held);
      stream.awaitEnd();
      whole = stream.messages();
    }
    List<AuditEvent> all = events(whole);
    for (WatchRunResponse message : whole.subList(1, whole.size())) {
      try (Recording<WatchRunResponse> stream = watch(run, message.getCursor())) {
        assertEquals(Status.Code.OK, stream.awaitEnd().getCode());
        int handled = events(whole.subList(0, whole.indexOf(message) + 1)).size();
        assertEquals(all.subList(handled, all.size()), events(stream.messages()));
        assertTrue(last(stream.messages()).hasSynced());
      }
    }
  }

  @Test
  void aStreamThatIsCutAndResumedWhileTheRunGoesOnSeesEachChangeOnce() throws InterruptedException {
    CreateRunResponse proposed = scenario.propose(workspace);
    Run run = proposed.getRun();
    Cuts<WatchRunResponse> client =
        new Cuts<>(
            server.as(Role.READER).channel(),
            RunServiceGrpc.getWatchRunMethod(),
            WatchRunResponse::getCursor,
            WatchRunResponse::hasSynced);
    Thread writer =
        new Thread(
            () -> {
              Scenario.Held held = scenario.running(proposed);
              for (int i = 1; i <= 60; i++) {
                worker().useTokens(held, i);
              }
            });
    server.as(Role.OPERATOR);
    server.as(Role.WORKER);
    client.follow(
        cursor -> WatchRunRequest.newBuilder().setRunId(run.getRunId()).setCursor(cursor).build(),
        new Random(5),
        () -> !client.handled().isEmpty());
    writer.start();
    client.follow(
        cursor -> WatchRunRequest.newBuilder().setRunId(run.getRunId()).setCursor(cursor).build(),
        new Random(6),
        () -> types(client.handled()).size() >= 63);
    writer.join();
    List<AuditEvent> all = changes(run);
    assertEquals(all.subList(1, all.size()), events(client.handled()));
    assertTrue(client.connections() > 2);
  }

  @Test
  void aRunThatIsRetriedIsFollowedOnBehindItsFailure() {
    Scenario.Held held = scenario.running(workspace);
    List<WatchRunResponse> first;
    try (Recording<WatchRunResponse> stream = watch(held.run(), "")) {
      awaitSynced(stream);
      worker().fail(held, false);
      stream.awaitEnd();
      first = stream.messages();
    }
    server
        .as(Role.OPERATOR)
        .runs()
        .retryRun(RetryRunRequest.newBuilder().setRunId(held.runId()).build());
    // From before the failure or from behind it: it has not ended, so neither does the stream.
    Map<String, List<String>> ways =
        Map.of(
            first.get(1).getCursor(),
            List.of("run.failed", "run.retried", "run.cancelled"),
            last(first).getCursor(),
            List.of("run.retried", "run.cancelled"));
    List<Recording<WatchRunResponse>> streams = new ArrayList<>();
    ways.keySet().forEach(cursor -> streams.add(watch(held.run(), cursor)));
    streams.forEach(WatchRunTest::awaitSynced);
    scenario.cancel(held.run());
    int index = 0;
    for (List<String> expected : ways.values()) {
      assertEquals(Status.Code.OK, streams.get(index).awaitEnd().getCode());
      assertEquals(expected, types(streams.get(index).messages()));
      index++;
    }
  }

  @Test
  void aQuietStreamBeatsAndStaysOpen() {
    Scenario.Held held = scenario.running(workspace);
    try (Recording<WatchRunResponse> stream = watch(held.run(), "")) {
      awaitSynced(stream);
      scenario.running(workspace); // Another run is none of its business.
      server.time().advance(Duration.ofSeconds(15));
      WatchRunResponse beat = stream.awaitMessage("a beat", WatchRunResponse::hasHeartbeat);
      assertEquals(3, stream.messages().size());
      assertFalse(beat.getCursor().isEmpty());
      scenario.complete(held);
      assertEquals(Status.Code.OK, stream.awaitEnd().getCode());
      assertEquals(List.of("run.completed"), types(stream.messages()));
    }
  }

  @Test
  void aStopOfTheServerIsSaidAndResumedBehind() {
    Scenario.Held held = scenario.running(workspace);
    Recording<WatchRunResponse> stream = watch(held.run(), "");
    awaitSynced(stream);
    String cursor = last(stream.messages()).getCursor();
    server.controlPlane().close();
    Failures.Refusal refusal = stream.awaitRefusal();
    assertEquals("SHUTTING_DOWN", refusal.reason());
    server.restart();
    scenario.complete(held);
    try (Recording<WatchRunResponse> again = watch(held.run(), cursor)) {
      assertEquals(Status.Code.OK, again.awaitEnd().getCode());
      assertEquals(List.of("run.completed"), types(again.messages()));
    }
  }

  @Test
  void whatCannotBeFollowedIsRefused() {
    Run run = scenario.propose(workspace).getRun();
    Run other = scenario.propose(workspace).getRun();
    String nothing = "run_" + "0".repeat(32);
    try (Recording<WatchRunResponse> stream =
        watch(run.toBuilder().setRunId(nothing).build(), "")) {
      Failures.Refusal refusal = stream.awaitRefusal();
      assertEquals("NOT_FOUND", refusal.reason());
      assertEquals(nothing, refusal.metadata().get("id"));
    }
    String cursor;
    try (Recording<WatchRunResponse> stream = watch(other, "")) {
      awaitSynced(stream);
      cursor = last(stream.messages()).getCursor();
    }
    try (Recording<WatchRunResponse> stream = watch(run, cursor)) {
      assertEquals("CURSOR_OTHER_FILTER", stream.awaitRefusal().reason());
    }
    try (Recording<TailEventsResponse> stream =
        Recording.of(
            server.as(Role.READER).channel(),
            AuditServiceGrpc.getTailEventsMethod(),
            TailEventsRequest.newBuilder()
                .setFilter(EventFilter.newBuilder().setRunId(other.getRunId()))
                .setCursor(cursor)
                .build())) {
      assertEquals("CURSOR_OTHER_FILTER", stream.awaitRefusal().reason());
    }
    try (Recording<WatchRunResponse> stream = watch(run, "nonsense")) {
      assertEquals("INVALID_CURSOR", stream.awaitRefusal().reason());
    }
  }

  @Test
  void aTransactionThatWouldBeVeryLargeComesInPartsOfWhichTheLastHasTheCursor() {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setAgentRunSpecJson("{\"filler\":\"" + "x".repeat(1_048_000) + "\"}")
                    .build());
    Scenario.Held held = scenario.running(proposed);
    try (Recording<WatchRunResponse> stream = watch(held.run(), "")) {
      awaitSynced(stream);
      server.time().advance(Duration.ofSeconds(60)); // The lease ends: two events at once.
      awaitType(stream, "run.retry_scheduled");
      List<WatchRunResponse> parts =
          stream.messages().stream().filter(one -> one.getUpdate().getEventsCount() > 0).toList();
      assertEquals(List.of("run.lease_expired", "run.retry_scheduled"), types(parts));
      assertEquals(RunStatus.RUN_STATUS_APPROVED, last(parts).getUpdate().getRun().getStatus());
      assertFalse(last(parts).getCursor().isEmpty());
      parts.subList(0, parts.size() - 1).forEach(part -> assertEquals("", part.getCursor()));
    }
  }
}
