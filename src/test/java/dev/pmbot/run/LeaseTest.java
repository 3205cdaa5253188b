package dev.pmbot.run;

import static dev.pmbot.run.Worker.order;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.GetInterruptRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;

/** What a worker loses with its lease, and what its run does not lose. */
final class LeaseTest {
  private static final Duration TERM = Duration.ofSeconds(60);
  private static final Duration MOMENT = Duration.ofMillis(1);

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Worker worker = new Worker(server.as(Role.WORKER));

  @AfterEach
  void stop() {
    server.close();
  }

  private Run read(Scenario.Held held) {
    return scenario.read(held.run());
  }

  private Run awaitStatus(Run run, RunStatus status) {
    Await.until(run.getRunId() + " is " + status, () -> scenario.read(run).getStatus() == status);
    return scenario.read(run);
  }

  private static Worker workerOf(TestServer server) {
    return new Worker(server.as(Role.WORKER));
  }

  /** Everything that a worker may write of a run, each with its lease token. */
  private Map<String, Executable> fenced(Scenario.Held held, Interrupt decided) {
    Map<String, Executable> calls = new LinkedHashMap<>();
    String run = held.runId();
    String token = held.leaseToken();
    calls.put("StartRun", () -> worker.start(run, token, held.threadId()));
    calls.put("RenewLease", () -> worker.renew(run, token));
    calls.put("PauseRun", () -> worker.pause(run, token, false));
    calls.put("ReleaseRun", () -> worker.release(run, token, ""));
    calls.put("CompleteRun", () -> worker.complete(run, token, ""));
    calls.put("FailRun", () -> worker.fail(held, true));
    calls.put("RaiseInterrupts", () -> scenario.raise(held, Scenario.question("x", "Now?")));
    calls.put(
        "AcknowledgeDecisions",
        () ->
            worker
                .client()
                .interrupts()
                .acknowledgeDecisions(
                    AcknowledgeDecisionsRequest.newBuilder()
                        .setRunId(run)
                        .setLeaseToken(token)
                        .addInterruptIds(decided.getInterruptId())
                        .build()));
    calls.put(
        "ProposeChangeset",
        () ->
            worker
                .client()
                .changesets()
                .proposeChangeset(
                    ProposeChangesetRequest.newBuilder()
                        .setRunId(run)
                        .setLeaseToken(token)
                        .setBundleJson(
                            "{\"base_commit\":\""
                                + "0".repeat(40)
                                + "\",\"files\":[{\"change\":\"added\",\"path\":\"a\"}],"
                                + "\"patch_artifact_id\":\"art_"
                                + "0".repeat(32)
                                + "\",\"patch_sha256\":\""
                                + "0".repeat(64)
                                + "\",\"title\":\"t\"}")
                        .build()));
    calls.put(
        "UploadArtifact",
        () ->
            dev.pmbot.artifact.Uploads.upload(
                worker.client(),
                ArtifactHeader.newBuilder()
                    .setRunId(run)
                    .setLeaseToken(token)
                    .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                    .setName("late.log")
                    .build(),
                new byte[] {1}));
    return calls;
  }

  @TestFactory
  Stream<DynamicTest> aLateWriteIsFencedOff() {
    Map<String, String> situations = new LinkedHashMap<>();
    situations.put("ended", "its time is up and nobody has noticed yet");
    situations.put("returned", "the sweep has returned the run");
    situations.put("another", "another worker holds the run");
    situations.put("completed", "another worker has completed the run");
    return situations.entrySet().stream()
        .flatMap(
            situation -> {
              Scenario.Held held = scenario.running(scenario.repo(workspace));
              Interrupt decided = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
              scenario.answer(decided, "this");
              return fenced(held, decided).entrySet().stream()
                  .map(
                      call ->
                          DynamicTest.dynamicTest(
                              call.getKey() + " when " + situation.getValue(),
                              () -> {
                                lose(held, situation.getKey());
                                List<String> before =
                                    scenario.eventTypes(workspace.getWorkspaceId());
                                Run run = read(held);
                                Failures.Refusal refusal =
                                    Failures.of(Reason.REASON_LEASE_LOST, call.getValue());
                                assertEquals(Map.of("id", held.runId()), refusal.metadata());
                                if (!situation.getKey().equals("ended")) {
                                  assertEquals(run, read(held));
                                  assertEquals(
                                      before, scenario.eventTypes(workspace.getWorkspaceId()));
                                }
                              }));
            });
  }

  private void lose(Scenario.Held held, String how) {
    Run run = read(held);
    if (!run.getLeaseOwner().equals(Scenario.WORKER_ID)) {
      return; // Done by the first of the calls.
    }
    server.time().advance(TERM);
    if (how.equals("ended")) {
      return;
    }
    awaitStatus(run, RunStatus.RUN_STATUS_APPROVED);
    if (how.equals("returned")) {
      return;
    }
    server.time().advance(Duration.ofSeconds(1)); // The back-off.
    ClaimedRun claimed = worker.claim(order(run.getGraphId()).setWorkerId("another")).get(0);
    worker.start(claimed, held.threadId());
    if (how.equals("completed")) {
      worker.complete(held.runId(), claimed.getLeaseToken(), "");
    }
  }

  @Test
  void aLeaseHoldsUntilTheEndOfItsTermAndNotAMomentLonger() {
    Scenario.Held held = scenario.running(workspace);
    server.time().advance(TERM.minus(MOMENT));
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING, worker.renew(held.runId(), held.leaseToken()).getStatus());
    server.time().advance(TERM.minus(MOMENT));
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING, worker.renew(held.runId(), held.leaseToken()).getStatus());
    server.time().advance(TERM);
    Failures.of(Reason.REASON_LEASE_LOST, () -> worker.renew(held.runId(), held.leaseToken()));
  }

  @Test
  void aRenewalIsNoChangeOfTheRun() {
    Scenario.Held held = scenario.running(workspace);
    Run before = read(held);
    server.time().advance(Duration.ofSeconds(20));
    var renewed = worker.renew(held.runId(), held.leaseToken());
    Run after = read(held);
    assertEquals(renewed.getLeaseExpiresAt(), after.getLeaseExpiresAt());
    assertEquals(
        20, after.getLeaseExpiresAt().getSeconds() - before.getLeaseExpiresAt().getSeconds());
    assertFalse(renewed.getCancelRequested());
    assertEquals(20_000_000, after.getWallMicrosUsed());
    assertEquals(
        before,
        after.toBuilder()
            .setLeaseExpiresAt(before.getLeaseExpiresAt())
            .setWallMicrosUsed(0)
            .build());
  }

  @Test
  void theSweepReturnsALostRunAndCountsTheAttempt() {
    Scenario.Held held = scenario.running(workspace);
    server.time().advance(TERM);
    Run returned = awaitStatus(held.run(), RunStatus.RUN_STATUS_APPROVED);
    assertEquals(2, returned.getAttempt());
    assertEquals("", returned.getLeaseOwner());
    assertFalse(returned.hasLeaseExpiresAt());
    assertEquals(held.threadId(), returned.getThreadId());
    assertTrue(returned.getStatusReason().contains(Scenario.WORKER_ID), returned.toString());
    assertEquals(
        1, returned.getNextAttemptAt().getSeconds() - returned.getUpdatedAt().getSeconds());
    List<AuditEvent> events = scenario.events(workspace.getWorkspaceId());
    List<AuditEvent> last = events.subList(events.size() - 2, events.size());
    assertEquals("run.lease_expired", last.get(0).getType());
    assertEquals("run.retry_scheduled", last.get(1).getType());
    last.forEach(event -> assertEquals("system", event.getActor()));
  }

  @Test
  void aLostRunIsClaimableOnlyAfterItsBackOffWhichDoublesToAMinute() {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setAgentRunSpecJson("{\"execution\":{\"max_attempts\":100}}")
                    .build());
    Scenario.Held held = scenario.running(proposed);
    String graph = held.run().getGraphId();
    int[] backOffs = {1, 2, 4, 8, 16, 32, 60, 60};
    String token = held.leaseToken();
    for (int attempt = 0; attempt < backOffs.length; attempt++) {
      assertEquals(attempt + 2, worker.fail(held.runId(), token, "down", true).getAttempt());
      server.time().advance(Duration.ofSeconds(backOffs[attempt]).minus(MOMENT));
      assertEquals(List.of(), worker.claim(graph), "attempt " + attempt);
      server.time().advance(MOMENT);
      ClaimedRun claimed = worker.claim(graph).get(0);
      token = claimed.getLeaseToken();
      worker.start(claimed, held.threadId());
    }
  }

  @Test
  void theLastAttemptThatIsLostFailsTheRunAndClosesWhatIsOpen() {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setAgentRunSpecJson("{\"execution\":{\"max_attempts\":1}}")
                    .build());
    Scenario.Held held = scenario.running(proposed);
    Interrupt open = scenario.raise(held, Scenario.toolCall("t", "Delete?")).get(0);
    server.time().advance(TERM);
    Run failed = awaitStatus(held.run(), RunStatus.RUN_STATUS_FAILED);
    assertEquals(1, failed.getAttempt());
    assertTrue(failed.getStatusReason().contains("no attempt is left"), failed.toString());
    Interrupt closed =
        server
            .as(Role.READER)
            .interrupts()
            .getInterrupt(
                GetInterruptRequest.newBuilder().setInterruptId(open.getInterruptId()).build())
            .getInterrupt();
    assertEquals(InterruptStatus.INTERRUPT_STATUS_REJECTED, closed.getStatus());
    assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, closed.getClosedBy());
    assertEquals("system", closed.getActor());
    List<Approval> approvals =
        server
            .as(Role.READER)
            .approvals()
            .listApprovals(
                ListApprovalsRequest.newBuilder()
                    .setFilter(ApprovalFilter.newBuilder().setRunId(held.runId()))
                    .build())
            .getApprovalsList();
    assertEquals(2, approvals.size());
    assertEquals(ApprovalStatus.APPROVAL_STATUS_REJECTED, approvals.get(0).getStatus());
    assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, approvals.get(0).getClosedBy());
    assertEquals(List.of(), worker.claim(held.run().getGraphId()));
  }

  @Test
  void aClaimReturnsWhatHasExpiredInTheNameOfTheSystem() {
    Scenario.Held held = scenario.running(workspace);
    server.time().advance(TERM);
    // Whoever is first, this claim or the sweep: the run is back, and nobody else did it.
    worker.claim(order("another").setWorkerId("bystander"));
    assertEquals(RunStatus.RUN_STATUS_APPROVED, read(held).getStatus());
    List<AuditEvent> events = scenario.events(workspace.getWorkspaceId());
    List<AuditEvent> last = events.subList(events.size() - 2, events.size());
    assertEquals("run.lease_expired", last.get(0).getType());
    last.forEach(event -> assertEquals("system", event.getActor(), event.getType()));
  }

  @Test
  void aClaimedRunThatNeverStartedIsClaimableAgainAtOnce() {
    Run run = scenario.approved(workspace);
    scenario.claim(run);
    server.time().advance(TERM);
    ClaimedRun again = worker.claim(run.getGraphId()).get(0);
    assertEquals(1, again.getRun().getAttempt());
  }

  @Test
  void afterARestartEveryLeaseHasAFullTerm() {
    Scenario.Held held = scenario.running(workspace);
    server.time().advance(TERM.minus(MOMENT));
    server.restart();
    server.time().advance(TERM.minus(MOMENT));
    Worker again = workerOf(server);
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING, again.renew(held.runId(), held.leaseToken()).getStatus());
    server.restart();
    server.time().advance(TERM);
    Failures.of(
        Reason.REASON_LEASE_LOST, () -> workerOf(server).renew(held.runId(), held.leaseToken()));
    awaitStatus(held.run(), RunStatus.RUN_STATUS_APPROVED);
  }

  @Test
  void aWallClockThatIsStepedExpiresNothing() {
    Scenario.Held held = scenario.running(workspace);
    for (Duration step : List.of(Duration.ofHours(1), Duration.ofHours(-2))) {
      server.time().stepWall(step);
      worker.claim("another"); // Would return what has expired.
      assertEquals(RunStatus.RUN_STATUS_RUNNING, read(held).getStatus());
      assertEquals(
          RunStatus.RUN_STATUS_RUNNING, worker.renew(held.runId(), held.leaseToken()).getStatus());
    }
  }

  @Test
  void aWallClockThatIsSteppedRevivesNothing() {
    for (Duration step : List.of(Duration.ofHours(1), Duration.ofHours(-1))) {
      Scenario.Held held = scenario.running(workspace);
      server.time().stepWall(step);
      server.time().advance(TERM);
      server.time().stepWall(step.negated());
      Failures.of(Reason.REASON_LEASE_LOST, () -> worker.renew(held.runId(), held.leaseToken()));
      awaitStatus(held.run(), RunStatus.RUN_STATUS_APPROVED);
    }
  }

  @Test
  void aRunThatWasClearedBeforeTheWallClockWasPutBackIsClaimableAtOnce() {
    Run run = scenario.approved(workspace);
    server.time().stepWall(Duration.ofHours(-1));
    assertEquals(run.getRunId(), worker.claim(run.getGraphId()).get(0).getRun().getRunId());
  }

  @Test
  void aRunThatWasClearedMomentsBeforeTheWallClockWasPutBackIsClaimableAtOnce() {
    for (Duration step : List.of(Duration.ofSeconds(-30), Duration.ofSeconds(-61))) {
      Run run = scenario.approved(workspace);
      server.time().stepWall(step);
      assertEquals(run.getRunId(), worker.claim(run.getGraphId()).get(0).getRun().getRunId());
    }
  }

  @Test
  void aBackOffTakesAsLongAsItShouldWhoeverSetsTheWallClock() {
    for (Duration step :
        List.of(
            Duration.ofHours(1),
            Duration.ofHours(-1),
            Duration.ofSeconds(30),
            Duration.ofSeconds(-30))) {
      Scenario.Held held = scenario.running(workspace);
      String graph = held.run().getGraphId();
      worker.fail(held, true);
      server.time().stepWall(step);
      assertEquals(List.of(), worker.claim(graph), "after a step of " + step);
      server.time().advance(Duration.ofSeconds(1).minus(MOMENT));
      assertEquals(List.of(), worker.claim(graph), "after a step of " + step);
      server.time().advance(MOMENT);
      ClaimedRun second = worker.claim(graph).get(0);
      // And one that begins behind the step.
      worker.start(second, held.threadId());
      worker.fail(held.runId(), second.getLeaseToken(), "down", true);
      server.time().advance(Duration.ofSeconds(2).minus(MOMENT));
      assertEquals(List.of(), worker.claim(graph), "after a step of " + step);
      server.time().advance(MOMENT);
      assertEquals(1, worker.claim(graph).size(), "after a step of " + step);
    }
  }

  @Test
  void theLongestClearedIsFirstThoughTheWallClockWasPutBack() {
    List<CreateRunResponse> proposed = new ArrayList<>();
    for (int count = 0; count < 3; count++) {
      proposed.add(
          server
              .as(Role.OPERATOR)
              .runs()
              .createRun(scenario.newRun(workspace).setGraphId("same").build()));
    }
    List<String> cleared = new ArrayList<>();
    for (int which : new int[] {1, 2, 0}) {
      cleared.add(scenario.approved(proposed.get(which)).getRunId());
      server.time().stepWall(Duration.ofHours(-1));
      server.time().advance(MOMENT);
    }
    assertEquals(
        cleared,
        worker.claim(order("same").setMaxRuns(3)).stream()
            .map(claimed -> claimed.getRun().getRunId())
            .toList());
  }

  @Test
  void afterARestartNoRunWaitsLongerThanItsBackOffThoughTheWallClockWasPutBack() {
    for (Duration step : List.of(Duration.ofSeconds(-30), Duration.ofHours(-1))) {
      Scenario present = new Scenario(server);
      Run cleared = present.approved(workspace);
      Scenario.Held held = present.running(workspace);
      workerOf(server).fail(held, true);
      server.time().stepWall(step);
      server.restart();
      Worker again = workerOf(server);
      assertEquals(1, again.claim(cleared.getGraphId()).size(), "after a step of " + step);
      server.time().advance(Duration.ofSeconds(1));
      assertEquals(1, again.claim(held.run().getGraphId()).size(), "after a step of " + step);
    }
  }

  @Test
  void whatTheServerStoodStillCountsForNoLease() {
    Scenario.Held held = scenario.running(workspace);
    Scenario.Held silent = scenario.running(workspace);
    server.time().advance(TERM.minus(MOMENT));
    server.time().standStill(Duration.ofMinutes(10));
    worker.claim("another"); // Would return what has expired.
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING, worker.renew(held.runId(), held.leaseToken()).getStatus());
    assertEquals(RunStatus.RUN_STATUS_RUNNING, read(silent).getStatus());
    // What was left of it then is left now, and no more.
    server.time().advance(MOMENT);
    Failures.of(Reason.REASON_LEASE_LOST, () -> worker.renew(silent.runId(), silent.leaseToken()));
    awaitStatus(silent.run(), RunStatus.RUN_STATUS_APPROVED);
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING, worker.renew(held.runId(), held.leaseToken()).getStatus());
  }

  // Blocked runs.

  @Test
  void aBlockedRunOutlivesItsWorker() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, scenario.pause(held).getStatus());
    server.time().advance(TERM);
    Await.until("the lease is taken away", () -> read(held).getLeaseOwner().isEmpty());
    Run blocked = read(held);
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, blocked.getStatus());
    assertEquals(1, blocked.getAttempt());
    assertEquals(List.of(), worker.claim(blocked.getGraphId()));
    scenario.answer(open, "this");
    assertEquals(RunStatus.RUN_STATUS_APPROVED, read(held).getStatus());
    ClaimedRun claimed = worker.claim(blocked.getGraphId()).get(0);
    assertEquals(1, claimed.getRun().getAttempt());
    assertEquals(held.threadId(), claimed.getRun().getThreadId());
    assertEquals(RunStatus.RUN_STATUS_RUNNING, worker.start(claimed, held.threadId()).getStatus());
  }

  @Test
  void aBlockedRunOutlivesItsWorkerAndTheServer() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.pause(held);
    server.restart();
    assertEquals(
        RunStatus.RUN_STATUS_BLOCKED,
        workerOf(server).renew(held.runId(), held.leaseToken()).getStatus());
    server.time().advance(TERM);
    Await.until("the lease is taken away", () -> read(held).getLeaseOwner().isEmpty());
    server.restart();
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, read(held).getStatus());
    assertEquals(List.of(), workerOf(server).claim(held.run().getGraphId()));
    scenario.answer(open, "this");
    ClaimedRun claimed = workerOf(server).claim(held.run().getGraphId()).get(0);
    assertEquals(1, claimed.getRun().getAttempt());
  }

  @Test
  void aBlockedRunGoesOnUnderItsLeaseAfterARestart() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.pause(held);
    server.restart();
    scenario.answer(open, "this");
    assertEquals(RunStatus.RUN_STATUS_RUNNING, read(held).getStatus());
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING,
        workerOf(server).renew(held.runId(), held.leaseToken()).getStatus());
  }

  @Test
  void aBlockedRunGoesOnUnderItsLeaseWhenTheLastIsDecided() {
    Scenario.Held held = scenario.running(workspace);
    List<Interrupt> open =
        scenario.raise(held, Scenario.question("q", "Which?"), Scenario.toolCall("t", "Delete?"));
    scenario.pause(held);
    scenario.answer(open.get(0), "this");
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, read(held).getStatus());
    scenario.approve(open.get(1));
    Run running = read(held);
    assertEquals(RunStatus.RUN_STATUS_RUNNING, running.getStatus());
    assertEquals(Scenario.WORKER_ID, running.getLeaseOwner());
    assertEquals(
        RunStatus.RUN_STATUS_RUNNING, worker.renew(held.runId(), held.leaseToken()).getStatus());
    scenario.complete(held);
  }

  @Test
  void aDecisionThatComesWhenTheLeaseIsOverButNotYetTakenClearsTheRunForAnyone() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.pause(held);
    server.time().advance(TERM);
    scenario.answer(open, "this");
    Run cleared = read(held);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, cleared.getStatus());
    assertEquals("", cleared.getLeaseOwner());
    assertEquals(1, worker.claim(cleared.getGraphId()).size());
  }

  @Test
  void aPauseWhenAllIsDecidedGoesOnAtOnce() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.answer(open, "this");
    Run before = read(held);
    assertEquals(before, scenario.pause(held));
    Run cleared = worker.pause(held.runId(), held.leaseToken(), true);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, cleared.getStatus());
    assertEquals("", cleared.getLeaseOwner());
    assertEquals(1, worker.claim(cleared.getGraphId()).get(0).getRun().getAttempt());
  }

  @Test
  void aPauseThatLetsTheLeaseGoLeavesTheRunBlockedUntilItIsDecided() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    Run blocked = worker.pause(held.runId(), held.leaseToken(), true);
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, blocked.getStatus());
    assertEquals("", blocked.getLeaseOwner());
    Failures.of(Reason.REASON_LEASE_LOST, () -> worker.renew(held.runId(), held.leaseToken()));
    assertEquals(List.of(), worker.claim(blocked.getGraphId()));
    scenario.answer(open, "this");
    assertEquals(1, worker.claim(blocked.getGraphId()).size());
  }

  @Test
  void aChangesetDoesNotBlockARun() {
    Scenario.Held held = scenario.running(scenario.repo(workspace));
    dev.pmbot.changeset.Proposals.propose(server, scenario, held);
    Run run = scenario.pause(held);
    assertEquals(RunStatus.RUN_STATUS_RUNNING, run.getStatus());
  }

  // Giving back, and failing.

  @Test
  void aReleasedRunIsClaimableAtOnceAndNoAttemptIsCounted() {
    Scenario.Held held = scenario.running(workspace);
    Run released = worker.release(held.runId(), held.leaseToken(), "stopping, token=hunter2222");
    assertEquals(RunStatus.RUN_STATUS_APPROVED, released.getStatus());
    assertEquals(1, released.getAttempt());
    assertFalse(released.getStatusReason().contains("hunter2222"), released.getStatusReason());
    assertTrue(released.getStatusReason().startsWith("stopping"), released.getStatusReason());
    assertEquals(1, worker.claim(released.getGraphId()).get(0).getRun().getAttempt());
  }

  @Test
  void aReleasedBlockedRunStaysBlocked() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.pause(held);
    Run released = worker.release(held.runId(), held.leaseToken(), "");
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, released.getStatus());
    scenario.answer(open, "this");
    assertEquals(RunStatus.RUN_STATUS_APPROVED, read(held).getStatus());
  }

  @Test
  void aClaimedRunMayBeReleasedBeforeItStarts() {
    Run run = scenario.approved(workspace);
    ClaimedRun claimed = scenario.claim(run);
    assertEquals(
        RunStatus.RUN_STATUS_APPROVED,
        worker.release(run.getRunId(), claimed.getLeaseToken(), "").getStatus());
    assertEquals(1, worker.claim(run.getGraphId()).size());
  }

  @Test
  void aFailureThatMayNotBeRetriedEndsTheRun() {
    Scenario.Held held = scenario.running(workspace);
    Run failed = worker.fail(held, false);
    assertEquals(RunStatus.RUN_STATUS_FAILED, failed.getStatus());
    assertEquals("the network is down", failed.getStatusReason());
    assertEquals("", failed.getLeaseOwner());
    server.time().advance(Duration.ofHours(1));
    assertEquals(List.of(), worker.claim(failed.getGraphId()));
  }

  @Test
  void aRetryableFailureIsRetriedAsOftenAsThereAreAttempts() {
    Scenario.Held held = scenario.running(workspace);
    assertEquals(2, worker.fail(held, true).getAttempt());
    for (int attempt = 2; attempt <= 3; attempt++) {
      server.time().advance(Duration.ofMinutes(1));
      ClaimedRun claimed = worker.claim(held.run().getGraphId()).get(0);
      assertEquals(attempt, claimed.getRun().getAttempt());
      worker.start(claimed, held.threadId());
      Run failed = worker.fail(held.runId(), claimed.getLeaseToken(), "down", true);
      assertEquals(
          attempt < 3 ? RunStatus.RUN_STATUS_APPROVED : RunStatus.RUN_STATUS_FAILED,
          failed.getStatus());
    }
    assertEquals(3, read(held).getAttempt());
  }

  @Test
  void aRunThatIsCompletedKeepsWhatCameOfIt() {
    Scenario.Held held = scenario.running(workspace);
    Run completed =
        worker.complete(held.runId(), held.leaseToken(), "3 files, password=hunter2222");
    assertEquals(RunStatus.RUN_STATUS_COMPLETED, completed.getStatus());
    assertTrue(completed.getStatusReason().startsWith("3 files"), completed.getStatusReason());
    assertFalse(completed.getStatusReason().contains("hunter2222"), completed.getStatusReason());
    assertEquals("", completed.getLeaseOwner());
  }
}
