package dev.pmbot.run;

import static dev.pmbot.run.Worker.order;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CancelRunRequest;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.GetInterruptRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** A cancel, and everything that may come before, beside or after it. */
final class CancelTest {
  private static final Duration TERM = Duration.ofSeconds(60);

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Repo repo = scenario.repo(workspace);

  @AfterEach
  void stop() {
    server.close();
  }

  private Worker worker() {
    return new Worker(server.as(Role.WORKER));
  }

  private Run cancel(Run run, String reason) {
    return server
        .as(Role.OPERATOR)
        .runs()
        .cancelRun(CancelRunRequest.newBuilder().setRunId(run.getRunId()).setReason(reason).build())
        .getRun();
  }

  private Interrupt read(Interrupt interrupt) {
    return server
        .as(Role.READER)
        .interrupts()
        .getInterrupt(
            GetInterruptRequest.newBuilder().setInterruptId(interrupt.getInterruptId()).build())
        .getInterrupt();
  }

  private List<Approval> approvals(Run run) {
    return server
        .as(Role.READER)
        .approvals()
        .listApprovals(
            ListApprovalsRequest.newBuilder()
                .setFilter(ApprovalFilter.newBuilder().setRunId(run.getRunId()))
                .build())
        .getApprovalsList();
  }

  private AuditEvent last(String type) {
    return scenario.events(workspace.getWorkspaceId()).stream()
        .filter(event -> event.getType().equals(type))
        .reduce((first, second) -> second)
        .orElseThrow();
  }

  /** Nobody gets the run, now or once every back-off has passed, and also not after a restart. */
  private void assertNeverClaimable(Run run) {
    assertEquals(List.of(), worker().claim(run.getGraphId()));
    server.time().advance(Duration.ofHours(1));
    assertEquals(List.of(), worker().claim(run.getGraphId()));
  }

  // A run that nobody holds.

  @Test
  void aProposedRunIsCancelledAtOnceAndItsApprovalClosed() {
    CreateRunResponse proposed = scenario.propose(workspace);
    Run cancelled = cancel(proposed.getRun(), "not this week");
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, cancelled.getStatus());
    assertEquals("not this week", cancelled.getStatusReason());
    assertFalse(cancelled.hasCancelRequestedAt());
    assertEquals(2, cancelled.getVersion());
    Approval closed = approvals(cancelled).get(0);
    assertEquals(ApprovalStatus.APPROVAL_STATUS_REJECTED, closed.getStatus());
    assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, closed.getClosedBy());
    assertEquals("system", closed.getActor());
    Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.approve(proposed.getApproval()));
    AuditEvent event = last("run.cancelled");
    assertEquals("local_user", event.getActor());
    assertTrue(event.getPayloadJson().contains("not this week"), event.getPayloadJson());
    assertNeverClaimable(cancelled);
  }

  @Test
  void anApprovedRunIsCancelledAtOnce() {
    Run cancelled = scenario.cancel(scenario.approved(workspace));
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, cancelled.getStatus());
    assertEquals("", cancelled.getStatusReason());
    assertNeverClaimable(cancelled);
  }

  @Test
  void aRunThatWaitsForItsNextAttemptIsCancelledAtOnce() {
    Scenario.Held held = scenario.running(workspace);
    worker().fail(held, true);
    Run cancelled = scenario.cancel(held.run());
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, cancelled.getStatus());
    assertNeverClaimable(cancelled);
  }

  @Test
  void aBlockedRunWithoutAWorkerIsCancelledAtOnceAndItsQuestionsClosed() {
    Scenario.Held held = scenario.running(workspace);
    List<Interrupt> open =
        scenario.raise(held, Scenario.question("q", "Which?"), Scenario.toolCall("t", "Delete?"));
    worker().pause(held.runId(), held.leaseToken(), true);
    Run cancelled = scenario.cancel(held.run());
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, cancelled.getStatus());
    for (Interrupt one : open) {
      assertEquals(InterruptStatus.INTERRUPT_STATUS_REJECTED, read(one).getStatus());
      assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, read(one).getClosedBy());
    }
    Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.answer(open.get(0), "this"));
    assertNeverClaimable(cancelled);
  }

  @Test
  void aRunWhoseLeaseIsOverIsCancelledAtOnceWhetherOrNotThatWasNoticed() {
    Scenario.Held held = scenario.running(workspace);
    server.time().advance(TERM);
    Run cancelled = scenario.cancel(held.run());
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, cancelled.getStatus());
    assertEquals("", cancelled.getLeaseOwner());
    assertNeverClaimable(cancelled);
  }

  // A run that a worker holds.

  /** A run in a state under a lease, for which a cancel was asked. */
  private Scenario.Held requested(String state) {
    Scenario.Held held;
    if (state.equals("claimed")) {
      ClaimedRun claimed = scenario.claim(scenario.approved(scenario.propose(repo)));
      held =
          new Scenario.Held(
              claimed.getRun().toBuilder().setThreadId("t").build(), claimed.getLeaseToken());
    } else {
      held = scenario.running(repo);
      Proposals.propose(server, scenario, held);
      scenario.raise(held, Scenario.question("q", "Which?"), Scenario.toolCall("t", "Delete?"));
      if (state.equals("blocked")) {
        scenario.pause(held);
      }
    }
    Run before = scenario.read(held.run());
    Run asked = cancel(before, "enough, token=hunter2222");
    assertTrue(asked.hasCancelRequestedAt());
    assertTrue(asked.getStatusReason().startsWith("enough"), asked.getStatusReason());
    assertFalse(asked.getStatusReason().contains("hunter2222"), asked.getStatusReason());
    assertEquals(
        before.toBuilder()
            .setCancelRequestedAt(asked.getCancelRequestedAt())
            .setStatusReason(asked.getStatusReason())
            .setUpdatedAt(asked.getUpdatedAt())
            .setVersion(before.getVersion() + 1)
            .build(),
        asked);
    return new Scenario.Held(
        asked.toBuilder().setThreadId(held.threadId()).build(), held.leaseToken());
  }

  /** What may come next, and what the run is then; {@code same} when it stays what it was. */
  private Map<String, Consumer<Scenario.Held>> endings() {
    Map<String, Consumer<Scenario.Held>> endings = new LinkedHashMap<>();
    endings.put("release", held -> worker().release(held.runId(), held.leaseToken(), "told to"));
    endings.put("let go", held -> worker().pause(held.runId(), held.leaseToken(), true));
    endings.put("fail, retryable", held -> worker().fail(held, true));
    endings.put("fail for good", held -> worker().fail(held, false));
    endings.put("complete", scenario::complete);
    endings.put(
        "lose the lease",
        held -> {
          server.time().advance(TERM);
          Await.until(
              "the lease is taken away", () -> scenario.read(held.run()).getLeaseOwner().isEmpty());
        });
    endings.put(
        "lose the lease after a restart",
        held -> {
          server.restart();
          assertTrue(worker().renew(held.runId(), held.leaseToken()).getCancelRequested());
          server.restart();
          assertEquals(List.of(), worker().claim(held.run().getGraphId()));
          server.time().advance(TERM);
          Await.until(
              "the lease is taken away", () -> scenario.read(held.run()).getLeaseOwner().isEmpty());
        });
    return endings;
  }

  private static final String CANCELLED = "run.cancelled";
  private static final String REFUSED = "";

  private static final Map<String, Map<String, String>> OUTCOMES =
      Map.of(
          "claimed",
          Map.of(
              "release", CANCELLED,
              "let go", REFUSED,
              "fail, retryable", REFUSED,
              "fail for good", REFUSED,
              "complete", REFUSED,
              "lose the lease", CANCELLED,
              "lose the lease after a restart", CANCELLED),
          "running",
          Map.of(
              "release", CANCELLED,
              "let go", CANCELLED,
              "fail, retryable", CANCELLED,
              "fail for good", "run.failed",
              "complete", "run.completed",
              "lose the lease", CANCELLED,
              "lose the lease after a restart", CANCELLED),
          "blocked",
          Map.of(
              "release", CANCELLED,
              "let go", CANCELLED,
              "fail, retryable", CANCELLED,
              "fail for good", "run.failed",
              "complete", REFUSED,
              "lose the lease", CANCELLED,
              "lose the lease after a restart", CANCELLED));

  @TestFactory
  Stream<DynamicTest> whatComesAfterACancelWasAskedFor() {
    return OUTCOMES.keySet().stream()
        .sorted()
        .flatMap(
            state ->
                endings().entrySet().stream()
                    .map(
                        ending ->
                            DynamicTest.dynamicTest(
                                state + ", then " + ending.getKey(),
                                () -> comesTo(state, ending.getKey(), ending.getValue()))));
  }

  private void comesTo(String state, String name, Consumer<Scenario.Held> ending) {
    Scenario.Held held = requested(state);
    assertEquals(List.of(), worker().claim(held.run().getGraphId()));
    assertTrue(worker().renew(held.runId(), held.leaseToken()).getCancelRequested());
    String outcome = OUTCOMES.getOrDefault(state, Map.of()).getOrDefault(name, "missing");
    if (outcome.equals(REFUSED)) {
      Run before = scenario.read(held.run());
      Failures.of(Reason.REASON_WRONG_STATE, () -> ending.accept(held));
      assertEquals(before, scenario.read(held.run()));
      return;
    }
    ending.accept(held);
    Run ended = scenario.read(held.run());
    assertEquals(
        outcome.substring("run.".length()),
        ended
            .getStatus()
            .name()
            .substring("RUN_STATUS_".length())
            .toLowerCase(java.util.Locale.ROOT));
    assertEquals("", ended.getLeaseOwner());
    assertTrue(ended.hasCancelRequestedAt());
    AuditEvent event = last(outcome);
    assertTrue(event.getPayloadJson().contains("\"cancel_requested\":true"), event.toString());
    assertEquals(
        name.startsWith("lose") ? "system" : "worker:" + Scenario.WORKER_ID, event.getActor());
    if (outcome.equals(CANCELLED)) {
      assertTrue(ended.getStatusReason().startsWith("enough"), ended.getStatusReason());
    }
    assertEquals("local_user", last("run.cancel_requested").getActor());
    for (Approval approval : approvals(ended)) {
      assertEquals(
          approval.getKind() == ApprovalKind.APPROVAL_KIND_CHANGESET_APPLY,
          approval.getStatus() == ApprovalStatus.APPROVAL_STATUS_PENDING,
          approval.toString());
    }
    Failures.of(Reason.REASON_LEASE_LOST, () -> worker().renew(held.runId(), held.leaseToken()));
    assertNeverClaimable(ended);
  }

  @Test
  void whatTheWorkerSaidWhenItLetGoIsOnTheRecord() {
    Scenario.Held held = requested("running");
    worker().release(held.runId(), held.leaseToken(), "stopped between two steps");
    assertTrue(
        last(CANCELLED).getPayloadJson().contains("stopped between two steps"),
        last(CANCELLED).getPayloadJson());
  }

  @Test
  void everyAnswerThatCarriesTheRunTellsOfTheCancel() {
    ClaimedRun claimed = scenario.claim(scenario.approved(workspace));
    scenario.cancel(claimed.getRun());
    Scenario.Held held = scenario.start(claimed, "t");
    assertEquals(RunStatus.RUN_STATUS_RUNNING, held.run().getStatus());
    assertTrue(held.run().hasCancelRequestedAt());
    scenario.raise(held, Scenario.question("q", "Which?"));
    assertTrue(scenario.pause(held).hasCancelRequestedAt());
  }

  @Test
  void aRepeatedClaimTellsOfTheCancel() {
    Run run = scenario.approved(workspace);
    var order = order(run.getGraphId()).setRequestId(Scenario.requestId());
    worker().claim(order);
    scenario.cancel(run);
    assertTrue(worker().claim(order).get(0).getRun().hasCancelRequestedAt());
  }

  @Test
  void aBlockedRunThatIsDecidedGoesOnUnderItsLeaseAndIsStillToldOfTheCancel() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    scenario.pause(held);
    scenario.cancel(held.run());
    scenario.answer(open, "this");
    Run resumed = scenario.read(held.run());
    assertEquals(RunStatus.RUN_STATUS_RUNNING, resumed.getStatus());
    assertTrue(worker().renew(held.runId(), held.leaseToken()).getCancelRequested());
    worker().release(held.runId(), held.leaseToken(), "");
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, scenario.read(held.run()).getStatus());
  }

  @Test
  void aDecisionAfterTheLeaseIsOverClearsNothing() {
    for (int round = 0; round < 10; round++) {
      Scenario.Held held = scenario.running(workspace);
      Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
      scenario.pause(held);
      scenario.cancel(held.run());
      server.time().advance(TERM);
      try {
        scenario.answer(open, "this"); // Whoever is first, this or the sweep.
      } catch (StatusRuntimeException closed) {
        assertEquals("QUESTION_CLOSED", Failures.read(closed).reason());
      }
      Run cancelled = scenario.read(held.run());
      assertEquals(RunStatus.RUN_STATUS_CANCELLED, cancelled.getStatus());
      assertEquals("system", last(CANCELLED).getActor());
      assertEquals(List.of(), worker().claim(cancelled.getGraphId()));
    }
  }

  // Again, and too late.

  @Test
  void aCancelThatWasAskedForIsAnsweredAsItIs() {
    Scenario.Held held = scenario.running(workspace);
    Run asked = cancel(held.run(), "first");
    server.time().advance(Duration.ofSeconds(1));
    List<String> before = scenario.eventTypes(workspace.getWorkspaceId());
    assertEquals(asked, cancel(held.run(), "second"));
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()));
  }

  @Test
  void aCancelledRunIsAnsweredAsItIs() {
    Run cancelled = cancel(scenario.approved(workspace), "first");
    List<String> before = scenario.eventTypes(workspace.getWorkspaceId());
    assertEquals(cancelled, cancel(cancelled, "second"));
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()));
  }

  @TestFactory
  Stream<DynamicTest> aRunThatHasEndedOtherwiseStaysWhatItIs() {
    Map<String, Consumer<Scenario.Held>> endings = new LinkedHashMap<>();
    endings.put("completed", scenario::complete);
    endings.put("failed", held -> worker().fail(held, false));
    return Stream.of("completed", "failed", "rejected")
        .map(
            state ->
                DynamicTest.dynamicTest(
                    state,
                    () -> {
                      Run run;
                      if (state.equals("rejected")) {
                        CreateRunResponse proposed = scenario.propose(workspace);
                        scenario.reject(proposed.getApproval());
                        run = scenario.read(proposed.getRun());
                      } else {
                        Scenario.Held held = scenario.running(workspace);
                        endings.getOrDefault(state, missing -> {}).accept(held);
                        run = scenario.read(held.run());
                      }
                      Failures.Refusal refusal =
                          Failures.of(Reason.REASON_WRONG_STATE, () -> scenario.cancel(run));
                      assertEquals(Status.Code.FAILED_PRECONDITION, refusal.code());
                      assertEquals(
                          Map.of(
                              "id",
                              run.getRunId(),
                              "state",
                              state,
                              "allowed",
                              "proposed,approved,running,blocked"),
                          refusal.metadata());
                      assertEquals(run, scenario.read(run));
                    }));
  }

  // At the same time.

  @Test
  void aCancelBesideAnEndingLeavesOneOfTheTwo() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 30; round++) {
        Scenario.Held held = scenario.running(workspace);
        Worker worker = worker();
        boolean completes = round % 2 == 0;
        Future<Boolean> cancel =
            threads.submit(
                () -> {
                  try {
                    scenario.cancel(held.run());
                    return true;
                  } catch (StatusRuntimeException tooLate) {
                    assertEquals("WRONG_STATE", Failures.read(tooLate).reason());
                    return false;
                  }
                });
        Future<Run> ending =
            threads.submit(
                () ->
                    completes
                        ? worker.complete(held.runId(), held.leaseToken(), "")
                        : worker.release(held.runId(), held.leaseToken(), ""));
        boolean cancelled = Await.value("the cancel", cancel);
        Await.value("the ending", ending);
        Run ended = scenario.read(held.run());
        if (completes) {
          assertEquals(RunStatus.RUN_STATUS_COMPLETED, ended.getStatus());
          assertEquals(cancelled, ended.hasCancelRequestedAt());
        } else {
          assertTrue(cancelled);
          assertEquals(RunStatus.RUN_STATUS_CANCELLED, ended.getStatus());
        }
        assertEquals("", ended.getLeaseOwner());
      }
    } finally {
      threads.shutdownNow();
    }
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  @Test
  void aCancelBesideAClaimLeavesNoCancelledRunWithAWorker() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 30; round++) {
        Run run = scenario.approved(workspace);
        Worker worker = worker();
        Future<Run> cancel = threads.submit(() -> scenario.cancel(run));
        Future<List<ClaimedRun>> claim = threads.submit(() -> worker.claim(run.getGraphId()));
        Run cancelled = Await.value("the cancel", cancel);
        boolean claimed = !Await.value("the claim", claim).isEmpty();
        assertEquals(claimed, cancelled.hasCancelRequestedAt());
        assertEquals(
            claimed ? RunStatus.RUN_STATUS_APPROVED : RunStatus.RUN_STATUS_CANCELLED,
            scenario.read(run).getStatus());
      }
    } finally {
      threads.shutdownNow();
    }
  }
}
