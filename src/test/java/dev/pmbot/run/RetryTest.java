package dev.pmbot.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.Duration;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** A failed run that the operator gives another attempt. */
final class RetryTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Worker worker = new Worker(server.as(Role.WORKER));

  @AfterEach
  void stop() {
    server.close();
  }

  private Run retry(Run run, long version) {
    return server
        .as(Role.OPERATOR)
        .runs()
        .retryRun(RetryRunRequest.newBuilder().setRunId(run.getRunId()).setVersion(version).build())
        .getRun();
  }

  private Run retry(Run run) {
    return retry(run, 0);
  }

  private Scenario.Held running(int maxAttempts) {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setAgentRunSpecJson("{\"execution\":{\"max_attempts\":" + maxAttempts + "}}")
                    .build());
    return scenario.running(proposed);
  }

  private Scenario.Held again(Run run) {
    return scenario.start(scenario.claim(run), run.getThreadId());
  }

  @Test
  void aFailedRunIsClaimableAtOnceAsItsNextAttempt() {
    Scenario.Held held = running(3);
    Run failed = worker.fail(held, false);
    Run retried = retry(failed);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, retried.getStatus());
    assertEquals(2, retried.getAttempt());
    assertEquals(3, retried.getMaxAttempts());
    assertEquals(failed.getVersion() + 1, retried.getVersion());
    assertEquals(failed.getStatusReason(), retried.getStatusReason());
    AuditEvent event = last();
    assertEquals("run.retried", event.getType());
    assertEquals("local_user", event.getActor());
    Scenario.Held second = again(retried);
    assertEquals(held.threadId(), second.threadId());
    assertEquals(RunStatus.RUN_STATUS_COMPLETED, scenario.complete(second).getStatus());
  }

  private AuditEvent last() {
    List<AuditEvent> events = scenario.events(workspace.getWorkspaceId());
    return events.get(events.size() - 1);
  }

  @Test
  void anAttemptIsAddedWhereAllWereUsedUp() {
    Scenario.Held held = running(1);
    Run run = worker.fail(held, true);
    assertEquals(RunStatus.RUN_STATUS_FAILED, run.getStatus());
    for (int attempt = 2; attempt <= 4; attempt++) {
      run = retry(run);
      assertEquals(attempt, run.getAttempt());
      assertEquals(attempt, run.getMaxAttempts());
      Scenario.Held next = again(run);
      run = worker.fail(next, true);
      assertEquals(RunStatus.RUN_STATUS_FAILED, run.getStatus());
    }
  }

  @Test
  void attemptsThatAreLeftAreStillThereAndBackOffAsBefore() {
    Run retried = retry(worker.fail(running(4), false));
    Run scheduled = worker.fail(again(retried), true);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, scheduled.getStatus());
    assertEquals(3, scheduled.getAttempt());
    assertEquals(
        2, scheduled.getNextAttemptAt().getSeconds() - scheduled.getUpdatedAt().getSeconds());
  }

  @Test
  void itWakesAClaimThatWaits() {
    Run failed = worker.fail(running(3), false);
    ListenableFuture<ClaimRunsResponse> claim =
        RunServiceGrpc.newFutureStub(server.as(Role.WORKER).channel())
            .claimRuns(
                Worker.order(failed.getGraphId())
                    .setWait(Duration.newBuilder().setSeconds(25))
                    .build());
    assertEquals(List.of(), worker.claim(failed.getGraphId())); // It has looked, and waits.
    retry(failed);
    ClaimedRun claimed = Await.value("the claim", claim).getClaimedRuns(0);
    assertEquals(failed.getRunId(), claimed.getRun().getRunId());
  }

  @Test
  void aRetryOfWhatChangedSinceItWasSeenIsRefused() {
    Run failed = worker.fail(running(3), false);
    Run second = worker.fail(again(retry(failed, failed.getVersion())), false);
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_STALE_VERSION, () -> retry(failed, failed.getVersion()));
    assertEquals(Status.Code.ABORTED, refusal.code());
    assertEquals(
        Map.of("id", failed.getRunId(), "version", Long.toString(second.getVersion())),
        refusal.metadata());
    assertEquals(second, scenario.read(failed));
    assertEquals(RunStatus.RUN_STATUS_APPROVED, retry(second, second.getVersion()).getStatus());
  }

  @TestFactory
  Stream<DynamicTest> onlyAFailedRunIsRetried() {
    return Stream.of("proposed", "approved", "running", "blocked", "completed", "cancelled")
        .map(
            state ->
                DynamicTest.dynamicTest(
                    state,
                    () -> {
                      Run run = in(state);
                      Failures.Refusal refusal =
                          Failures.of(Reason.REASON_WRONG_STATE, () -> retry(run));
                      assertEquals(
                          Map.of("id", run.getRunId(), "state", state, "allowed", "failed"),
                          refusal.metadata());
                      assertEquals(run, scenario.read(run));
                    }));
  }

  private Run in(String state) {
    if (state.equals("proposed")) {
      return scenario.propose(workspace).getRun();
    }
    if (state.equals("approved")) {
      return scenario.approved(workspace);
    }
    if (state.equals("cancelled")) {
      return scenario.cancel(scenario.approved(workspace));
    }
    Scenario.Held held = scenario.running(workspace);
    if (state.equals("blocked")) {
      scenario.raise(held, Scenario.question("q", "Which?"));
      scenario.pause(held);
    } else if (state.equals("completed")) {
      scenario.complete(held);
    }
    return scenario.read(held.run());
  }

  @Test
  void aThreadThatAnotherRunUsesByNowIsNotTakenFromIt() {
    Scenario.Held first = running(3);
    Run failed = worker.fail(first, false);
    ClaimedRun claimed = scenario.claim(scenario.approved(workspace));
    Scenario.Held second = scenario.start(claimed, first.threadId());
    Failures.Refusal refusal = Failures.of(Reason.REASON_THREAD_IN_USE, () -> retry(failed));
    assertEquals(
        Map.of("thread_id", first.threadId(), "run_id", second.runId()), refusal.metadata());
    assertEquals(failed, scenario.read(failed));
    // The other goes on, also when it changes hands, and then the thread is free.
    worker.release(second.runId(), second.leaseToken(), "");
    scenario.complete(again(scenario.read(second.run())));
    assertEquals(first.threadId(), again(retry(failed)).threadId());
  }

  @Test
  void aRunThatIsRetriedHasItsThreadAgain() {
    Scenario.Held first = running(3);
    retry(worker.fail(first, false));
    ClaimedRun other = scenario.claim(scenario.approved(workspace));
    Failures.of(Reason.REASON_THREAD_IN_USE, () -> worker.start(other, first.threadId()));
  }

  @Test
  void aCancelThatWasAskedForIsForgotten() {
    Scenario.Held held = running(3);
    scenario.cancel(held.run());
    Run failed = worker.fail(held, false);
    assertTrue(failed.hasCancelRequestedAt());
    Run retried = retry(failed);
    assertFalse(retried.hasCancelRequestedAt());
    Scenario.Held second = again(retried);
    assertFalse(worker.renew(second.runId(), second.leaseToken()).getCancelRequested());
    assertEquals(
        RunStatus.RUN_STATUS_APPROVED,
        worker.release(second.runId(), second.leaseToken(), "").getStatus());
  }

  @Test
  void aQuestionThatTheFailureClosedIsAskedAgainAsANewOne() {
    Scenario.Held held = running(3);
    Interrupt closed = scenario.raise(held, Scenario.toolCall("t", "Delete?")).get(0);
    Run retried = retry(worker.fail(held, false));
    Scenario.Held second = again(retried);
    Interrupt asked = scenario.raise(second, Scenario.toolCall("t", "Delete?")).get(0);
    assertNotEquals(closed.getInterruptId(), asked.getInterruptId());
    assertEquals(2, asked.getGeneration());
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, scenario.pause(second).getStatus());
    Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.approve(closed));
    scenario.approve(asked);
    assertEquals(RunStatus.RUN_STATUS_RUNNING, scenario.read(retried).getStatus());
  }

  @Test
  void anAnswerThatWasNotTakenBeforeTheFailureIsHandedOverAgain() {
    Scenario.Held held = running(3);
    Interrupt asked = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.answer(asked, "this");
    Scenario.Held second = again(retry(worker.fail(held, false)));
    assertEquals(
        asked.getInterruptId(),
        scenario.raise(second, Scenario.question("q", "Which?")).get(0).getInterruptId());
    try (Recording<WatchDecisionsResponse> stream =
        Recording.of(
            server.as(Role.WORKER).channel(),
            InterruptServiceGrpc.getWatchDecisionsMethod(),
            WatchDecisionsRequest.newBuilder().addRunIds(second.runId()).build())) {
      WatchDecisionsResponse first = stream.await("the answer", all -> !all.isEmpty()).get(0);
      assertEquals(
          asked.getInterruptId(),
          first.getTransaction().getItems(0).getDecision().getInterruptId());
    }
  }
}
