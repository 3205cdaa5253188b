package dev.pmbot.run;

import static dev.pmbot.run.Worker.usage;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.BudgetUse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RecordUsageRequest;
import dev.pmbot.v1.RenewLeaseRequest;
import dev.pmbot.v1.RenewLeaseResponse;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.UpdateWorkspaceRequest;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** What runs use, and that a budget holds whatever a worker does. */
final class BudgetTest {
  private static final String TOKENS_100 = "{\"max_total_tokens\":100}";
  private static final int TERM = 60;

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

  private Run propose(Workspace in, String spec) {
    return server
        .as(Role.OPERATOR)
        .runs()
        .createRun(scenario.newRun(in).setAgentRunSpecJson(spec).build())
        .getRun();
  }

  private Scenario.Held running(String budget) {
    return scenario.running(
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setAgentRunSpecJson("{\"execution\":{\"budget\":" + budget + "}}")
                    .build()));
  }

  private Run read(Scenario.Held held) {
    return scenario.read(held.run());
  }

  private void pass(int seconds) {
    server.time().advance(Duration.ofSeconds(seconds));
  }

  private List<AuditEvent> events(String type) {
    return scenario.events(workspace.getWorkspaceId()).stream()
        .filter(event -> event.getType().equals(type))
        .toList();
  }

  private String lastPayload(String type) {
    List<AuditEvent> events = events(type);
    return events.get(events.size() - 1).getPayloadJson();
  }

  // Where a budget comes from.

  @Test
  void theSpecsBudgetIsFrozenAndOnTheRecord() {
    Run run =
        propose(
            workspace,
            "{\"execution\":{\"budget\":{\"max_wall_seconds\":7,\"mine\":true,"
                + "\"max_tool_calls\":9223372036854775807}}}");
    assertEquals(
        "{\"max_tool_calls\":9223372036854775807,\"max_wall_seconds\":7}", run.getBudgetJson());
    assertTrue(
        lastPayload("run.created").contains("\"max_wall_seconds\":7"), lastPayload("run.created"));
  }

  @Test
  void aSpecWithoutOneTakesTheWorkspacesAndAnEmptyOneLimitsNothing() {
    Workspace limited =
        server
            .as(Role.OPERATOR)
            .workspaces()
            .createWorkspace(
                CreateWorkspaceRequest.newBuilder()
                    .setName("limited")
                    .setSettingsJson("{\"budget\":{\"max_cost_micros\":5,\"max_tool_calls\":6}}")
                    .build())
            .getWorkspace();
    assertEquals(
        "{\"max_cost_micros\":5,\"max_tool_calls\":6}", propose(limited, "{}").getBudgetJson());
    assertEquals(
        "{\"max_tool_calls\":7}",
        propose(limited, "{\"execution\":{\"budget\":{\"max_tool_calls\":7}}}").getBudgetJson());
    assertEquals("", propose(limited, "{\"execution\":{\"budget\":{}}}").getBudgetJson());
    assertEquals("", propose(workspace, "{}").getBudgetJson());
  }

  @Test
  void aBudgetThatWasFrozenStaysWhatItWas() {
    Run before = propose(workspace, "{}");
    Workspace limited =
        server
            .as(Role.OPERATOR)
            .workspaces()
            .updateWorkspace(
                UpdateWorkspaceRequest.newBuilder()
                    .setWorkspaceId(workspace.getWorkspaceId())
                    .setVersion(workspace.getVersion())
                    .setSettingsJson("{\"budget\":{\"max_tool_calls\":6}}")
                    .build())
            .getWorkspace();
    assertEquals("", scenario.read(before).getBudgetJson());
    assertEquals("{\"max_tool_calls\":6}", propose(limited, "{}").getBudgetJson());
  }

  // Recording.

  @Test
  void whatIsUsedAddsUpAndIsToldWithWhatIsLeft() {
    Scenario.Held held =
        running(
            "{\"max_cost_micros\":1000,\"max_tool_calls\":3,\"max_total_tokens\":100,"
                + "\"max_wall_seconds\":90}");
    Run before = read(held);
    worker().use(usage(held).setTokens(30).setToolCalls(1).setCostMicros(250));
    pass(10);
    BudgetUse use = worker().use(usage(held).setTokens(30).setCostMicros(250));
    BudgetUse expected =
        BudgetUse.newBuilder()
            .setTokensUsed(60)
            .setTokensLeft(40)
            .setToolCallsUsed(1)
            .setToolCallsLeft(2)
            .setCostMicrosUsed(500)
            .setCostMicrosLeft(500)
            .setWallMicrosUsed(10_000_000)
            .setWallMicrosLeft(80_000_000)
            .build();
    assertEquals(expected, use);
    assertEquals(expected, worker().renew(held).getBudget());
    Run after = read(held);
    assertEquals(
        before.toBuilder()
            .setTokensUsed(60)
            .setToolCallsUsed(1)
            .setCostMicrosUsed(500)
            .setWallMicrosUsed(10_000_000)
            .setLeaseExpiresAt(after.getLeaseExpiresAt())
            .build(),
        after);
    AuditEvent event = events("run.usage_recorded").get(1);
    assertEquals("worker:" + Scenario.WORKER_ID, event.getActor());
    assertTrue(event.getPayloadJson().contains("\"tokens\":30"), event.getPayloadJson());
    assertTrue(event.getPayloadJson().contains("\"total_tokens\":60"), event.getPayloadJson());
  }

  @Test
  void withoutABudgetNothingIsLeftOrExceeded() {
    Scenario.Held held = running("{}");
    BudgetUse use =
        worker()
            .use(
                usage(held)
                    .setTokens(Long.MAX_VALUE)
                    .setToolCalls(Long.MAX_VALUE)
                    .setCostMicros(Long.MAX_VALUE));
    assertFalse(use.hasTokensLeft() || use.hasToolCallsLeft());
    assertFalse(use.hasCostMicrosLeft() || use.hasWallMicrosLeft());
    assertFalse(use.getExhausted() || use.getOverBudget());
  }

  @Test
  void aSumBeyondTheLargestNumberStaysThere() {
    Scenario.Held held = running("{\"max_total_tokens\":9223372036854775806}");
    worker().useTokens(held, Long.MAX_VALUE);
    BudgetUse use = worker().useTokens(held, Long.MAX_VALUE);
    assertEquals(Long.MAX_VALUE, use.getTokensUsed());
    assertEquals(0, use.getTokensLeft());
    assertTrue(use.getOverBudget());
    assertEquals(Long.MAX_VALUE, worker().useTokens(held, 1).getTokensUsed());
  }

  @Test
  void theLargestLimitsAreNeverExceeded() {
    Scenario.Held held =
        running(
            "{\"max_total_tokens\":9223372036854775807,\"max_wall_seconds\":9223372036854775807}");
    BudgetUse use = worker().useTokens(held, 5);
    assertEquals(Long.MAX_VALUE - 5, use.getTokensLeft());
    assertEquals(Long.MAX_VALUE, use.getWallMicrosLeft());
  }

  @TestFactory
  Stream<DynamicTest> eachLimitIsExhaustedWhenNothingIsLeftAndExceededBeyond() {
    return Map.<String, java.util.function.Function<Scenario.Held, BudgetUse>>of(
            "max_total_tokens", held -> worker().useTokens(held, 1),
            "max_tool_calls", held -> worker().use(usage(held).setToolCalls(1)),
            "max_cost_micros", held -> worker().use(usage(held).setCostMicros(1)),
            "max_wall_seconds",
                held -> {
                  pass(1);
                  return worker().renew(held).getBudget();
                })
        .entrySet()
        .stream()
        .map(
            limit ->
                DynamicTest.dynamicTest(
                    limit.getKey(),
                    () -> {
                      Scenario.Held held = running("{\"" + limit.getKey() + "\":2}");
                      int before = events("run.budget_exceeded").size();
                      List<String> told = new ArrayList<>();
                      for (int use = 0; use < 4; use++) {
                        BudgetUse now = limit.getValue().apply(held);
                        told.add(now.getExhausted() + " " + now.getOverBudget());
                        assertEquals(now.getOverBudget(), read(held).getOverBudget());
                      }
                      assertEquals(
                          List.of("false false", "true false", "true true", "true true"), told);
                      // Put on the record once, when it is crossed.
                      assertEquals(before + 1, events("run.budget_exceeded").size());
                      String payload = lastPayload("run.budget_exceeded");
                      assertTrue(
                          payload.contains("\"exceeded\":[\"" + limit.getKey() + "\"]"), payload);
                    }));
  }

  @Test
  void nothingUsedIsNoEvent() {
    Scenario.Held held = running(TOKENS_100);
    int before = scenario.eventTypes(workspace.getWorkspaceId()).size();
    assertEquals(100, worker().useTokens(held, 0).getTokensLeft());
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()).size());
  }

  @Test
  void usingNothingCountsTheRunningTimeAllTheSame() {
    Scenario.Held held = running("{\"max_wall_seconds\":2}");
    pass(3);
    assertTrue(worker().useTokens(held, 0).getOverBudget());
    assertEquals(3_000_000, read(held).getWallMicrosUsed());
    assertEquals(1, events("run.budget_exceeded").size());
    assertEquals(List.of(), events("run.usage_recorded"));
  }

  @Test
  void whatIsNegativeIsToldAtOnceAndRecordsNothing() {
    Scenario.Held held = running(TOKENS_100);
    Run before = read(held);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () -> worker().use(usage(held).setTokens(-1).setToolCalls(-1).setCostMicros(-1)));
    assertEquals(Set.of("tokens", "tool_calls", "cost_micros"), refusal.violations().keySet());
    assertEquals(before, read(held));
  }

  @Test
  void aRepeatedRequestAddsOnce() {
    Scenario.Held held = running(TOKENS_100);
    RecordUsageRequest.Builder request =
        usage(held).setTokens(30).setRequestId(Scenario.requestId());
    BudgetUse first = worker().use(request);
    assertEquals(first, worker().use(request));
    assertEquals(30, read(held).getTokensUsed());
    worker().useTokens(held, 30);
    assertEquals(60, read(held).getTokensUsed());
  }

  @Test
  void onlyAHeldRunThatHasStartedUsesAnything() {
    ClaimedRun claimed = scenario.claim(scenario.approved(workspace));
    Scenario.Held notStarted = new Scenario.Held(claimed.getRun(), claimed.getLeaseToken());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> worker().useTokens(notStarted, 1));
    assertEquals("running,blocked", refusal.metadata().get("allowed"));
    Scenario.Held held = running(TOKENS_100);
    scenario.raise(held, Scenario.question("q", "Which?"));
    scenario.pause(held);
    assertEquals(7, worker().useTokens(held, 7).getTokensUsed());
    worker().pause(held.runId(), held.leaseToken(), true);
    Failures.of(Reason.REASON_LEASE_LOST, () -> worker().useTokens(held, 1));
    assertEquals(7, read(held).getTokensUsed());
  }

  // Running time.

  @Test
  void onlyRunningCountsAsRunning() {
    Scenario.Held held = running("{}");
    pass(10);
    assertEquals(10_000_000, worker().renew(held).getBudget().getWallMicrosUsed());
    pass(5);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    assertEquals(15_000_000, scenario.pause(held).getWallMicrosUsed());
    pass(30);
    assertEquals(15_000_000, worker().renew(held).getBudget().getWallMicrosUsed());
    scenario.answer(open, "this");
    pass(2);
    assertEquals(17_000_000, worker().renew(held).getBudget().getWallMicrosUsed());
    pass(1);
    assertEquals(
        18_000_000, worker().release(held.runId(), held.leaseToken(), "").getWallMicrosUsed());
    pass(1_000);
    ClaimedRun claimed = scenario.claim(read(held));
    pass(20);
    Scenario.Held second = scenario.start(claimed, held.threadId());
    assertEquals(18_000_000, second.run().getWallMicrosUsed());
    pass(4);
    Run failed = worker().fail(second, true);
    assertEquals(22_000_000, failed.getWallMicrosUsed());
    pass(100);
    Scenario.Held third = scenario.start(scenario.claim(failed), held.threadId());
    pass(1);
    assertEquals(23_000_000, scenario.complete(third).getWallMicrosUsed());
  }

  @Test
  void aRunWhoseLeaseEndsRanUntilThen() {
    Scenario.Held held = running("{}");
    pass(20);
    worker().renew(held);
    pass(10 * TERM);
    Await.until("the lease is taken away", () -> read(held).getLeaseOwner().isEmpty());
    assertEquals((20 + TERM) * 1_000_000L, read(held).getWallMicrosUsed());
  }

  @Test
  void aWallClockThatIsSteppedCountsNothing() {
    Scenario.Held held = running("{}");
    for (Duration step : List.of(Duration.ofHours(5), Duration.ofHours(-9))) {
      server.time().stepWall(step);
      pass(1);
      worker().renew(held);
    }
    assertEquals(2_000_000, read(held).getWallMicrosUsed());
  }

  @Test
  void aRestartLosesNoMoreThanWhatWasNotRenewed() {
    Scenario.Held held = running("{}");
    pass(10);
    worker().renew(held);
    pass(5);
    server.restart();
    pass(3);
    assertEquals(13_000_000, worker().renew(held).getBudget().getWallMicrosUsed());
  }

  @Test
  void renewalsAtTheSameTimeCountItOnce() {
    Scenario.Held held = running("{}");
    RenewLeaseRequest request =
        RenewLeaseRequest.newBuilder()
            .setRunId(held.runId())
            .setLeaseToken(held.leaseToken())
            .build();
    RunServiceGrpc.RunServiceFutureStub stub =
        RunServiceGrpc.newFutureStub(server.as(Role.WORKER).channel());
    for (int round = 1; round <= 5; round++) {
      pass(10);
      List<ListenableFuture<?>> calls = new ArrayList<>();
      for (int call = 0; call < 40; call++) {
        calls.add(stub.renewLease(request));
        calls.add(stub.recordUsage(usage(held).setTokens(1).build()));
      }
      calls.forEach(call -> Await.value("a call", call));
      assertEquals(round * 10_000_000L, read(held).getWallMicrosUsed());
      assertEquals(round * 40L, read(held).getTokensUsed());
    }
  }

  // Over budget.

  /** Lets time pass under a lease that is renewed every 20 seconds. */
  private void renewing(Scenario.Held held, int seconds) {
    for (int passed = 0; passed < seconds; passed += 20) {
      pass(20);
      worker().renew(held);
    }
  }

  private Failures.Refusal refused(Scenario.Held held) {
    return Failures.of(Reason.REASON_BUDGET_EXCEEDED, () -> worker().renew(held));
  }

  /** A run that was told of its budget a whole term ago, and is told so once more. */
  private Scenario.Held overdue() {
    Scenario.Held held = running(TOKENS_100);
    assertTrue(worker().useTokens(held, 101).getOverBudget());
    renewing(held, 40);
    pass(20);
    return held;
  }

  private Run awaitEnd(Scenario.Held held) {
    Await.until("the lease is taken away", () -> read(held).getLeaseOwner().isEmpty());
    return read(held);
  }

  private void assertFailedOverBudget(Run run) {
    assertEquals(RunStatus.RUN_STATUS_FAILED, run.getStatus());
    assertEquals("over budget: max_total_tokens 100, used 101", run.getStatusReason());
    assertEquals("", run.getLeaseOwner());
    pass(3_600);
    assertEquals(List.of(), worker().claim(run.getGraphId()));
  }

  @Test
  void aRunThatGoesOnRegardlessLosesItsLeaseAndFails() {
    Scenario.Held held = overdue();
    Run before = read(held);
    Failures.Refusal refusal = refused(held);
    assertEquals(Status.Code.FAILED_PRECONDITION, refusal.code());
    assertEquals(Map.of("id", held.runId(), "exceeded", "max_total_tokens"), refusal.metadata());
    assertEquals(before, read(held));
    pass(20);
    refused(held);
    // What it uses is recorded all the same.
    worker().useTokens(held, 0);
    pass(20);
    Run failed = awaitEnd(held);
    assertEquals(1, failed.getAttempt());
    assertFailedOverBudget(failed);
    assertEquals("system", events("run.failed").get(0).getActor());
  }

  @Test
  void withinItsTermItMayStillCompleteOrPauseOrAsk() {
    Scenario.Held completes = overdue();
    refused(completes);
    assertEquals(RunStatus.RUN_STATUS_COMPLETED, scenario.complete(completes).getStatus());
    Scenario.Held pauses = overdue();
    refused(pauses);
    Interrupt open = scenario.raise(pauses, Scenario.question("q", "Which?")).get(0);
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, scenario.pause(pauses).getStatus());
    renewing(pauses, 100); // A blocked run spends nothing.
    scenario.answer(open, "this");
    refused(pauses);
    scenario.raise(pauses, Scenario.spend("s", "{}"));
    renewing(pauses, 100);
  }

  @Test
  void lettingGoDoesNotHelpARunThatIsOverdue() {
    Scenario.Held releases = overdue();
    Interrupt open = scenario.raise(releases, Scenario.question("q", "Which?")).get(0);
    Run released = worker().release(releases.runId(), releases.leaseToken(), "bye");
    assertFailedOverBudget(released);
    assertTrue(
        lastPayload("run.failed").contains("\"worker_reason\":\"bye\""), lastPayload("run.failed"));
    Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.answer(open, "this"));
    Scenario.Held fails = overdue();
    assertFailedOverBudget(worker().fail(fails, true));
    Scenario.Held pauses = overdue();
    assertFailedOverBudget(worker().pause(pauses.runId(), pauses.leaseToken(), true));
  }

  @Test
  void anOverdueRunThatPausesAtAQuestionAndLetsGoWaitsForItsAnswer() {
    Scenario.Held held = overdue();
    scenario.raise(held, Scenario.question("q", "Which?"));
    assertEquals(
        RunStatus.RUN_STATUS_BLOCKED,
        worker().pause(held.runId(), held.leaseToken(), true).getStatus());
  }

  @Test
  void anOverdueRunThatPausesAtAQuestionOutlivesItsWorker() {
    Scenario.Held held = overdue();
    refused(held);
    Interrupt open = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, scenario.pause(held).getStatus());
    pass(60);
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, awaitEnd(held).getStatus());
    scenario.answer(open, "this");
    assertEquals(RunStatus.RUN_STATUS_APPROVED, read(held).getStatus());
  }

  @Test
  void lettingGoAndClaimingAgainDoesNotBeginTheTermAnew() {
    Scenario.Held held = running(TOKENS_100);
    worker().useTokens(held, 101);
    pass(TERM - 1);
    Run released = worker().release(held.runId(), held.leaseToken(), "");
    assertEquals(RunStatus.RUN_STATUS_APPROVED, released.getStatus());
    assertTrue(released.getOverBudget());
    Scenario.Held second = scenario.start(scenario.claim(released), held.threadId());
    assertTrue(second.run().getOverBudget());
    pass(1);
    refused(second);
    assertFailedOverBudget(worker().release(second.runId(), second.leaseToken(), ""));
  }

  @Test
  void aWorkerThatDiesOverBudgetLosesItsLeaseAndNotTheRun() {
    Scenario.Held held = running(TOKENS_100);
    worker().useTokens(held, 101);
    pass(TERM);
    Run returned = awaitEnd(held);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, returned.getStatus());
    assertEquals(2, returned.getAttempt());
    pass(1);
    Scenario.Held second = scenario.start(scenario.claim(returned), held.threadId());
    refused(second);
    // There is still a whole lease in which to ask.
    pass(TERM - 21);
    Interrupt asked =
        scenario
            .raise(second, Scenario.spend("s", "{\"budget\":{\"max_total_tokens\":500}}"))
            .get(0);
    renewing(second, 100);
    scenario.approve(asked);
    renewing(second, 100);
    scenario.complete(second);
  }

  @Test
  void anotherWorkerThatAsksNothingEitherIsTheLast() {
    Scenario.Held held = running(TOKENS_100);
    worker().useTokens(held, 101);
    pass(TERM);
    Run returned = awaitEnd(held);
    pass(1);
    Scenario.Held second = scenario.start(scenario.claim(returned), held.threadId());
    pass(TERM);
    assertFailedOverBudget(awaitEnd(second));
  }

  @Test
  void aWorkerThatDiesWhileItAsksLosesItsLeaseAndNotTheRun() {
    Scenario.Held held = overdue();
    refused(held);
    Interrupt asked = scenario.raise(held, Scenario.spend("s", "{}")).get(0);
    pass(TERM);
    Run returned = awaitEnd(held);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, returned.getStatus());
    scenario.approve(asked);
  }

  @Test
  void theTermOutlivesARestart() {
    Scenario.Held held = running(TOKENS_100);
    worker().useTokens(held, 101);
    renewing(held, 40);
    server.restart();
    pass(19);
    worker().renew(held);
    pass(1);
    refused(held);
    pass(TERM);
    assertFailedOverBudget(awaitEnd(held));
  }

  @Test
  void aRestartAfterTheRefusalGivesOneMoreWorkerALeaseToAskIn() {
    Scenario.Held held = overdue();
    refused(held);
    server.restart(); // It does not know any more whom it refused: that worker may have died.
    pass(TERM);
    Run returned = awaitEnd(held);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, returned.getStatus());
    pass(1);
    Scenario.Held second = scenario.start(scenario.claim(returned), held.threadId());
    refused(second);
    assertFailedOverBudget(worker().release(second.runId(), second.leaseToken(), ""));
  }

  @Test
  void aCancelThatWasAskedForComesFirst() {
    Scenario.Held held = overdue();
    scenario.cancel(held.run());
    refused(held);
    pass(TERM);
    assertEquals(RunStatus.RUN_STATUS_CANCELLED, awaitEnd(held).getStatus());
  }

  @Test
  void aRetryBeginsTheTermAnew() {
    Scenario.Held held = overdue();
    Run failed = worker().fail(held, false);
    Run retried =
        server
            .as(Role.OPERATOR)
            .runs()
            .retryRun(RetryRunRequest.newBuilder().setRunId(failed.getRunId()).build())
            .getRun();
    assertEquals(101, retried.getTokensUsed());
    Scenario.Held second = scenario.start(scenario.claim(retried), held.threadId());
    assertTrue(worker().renew(second).getBudget().getOverBudget());
    renewing(second, 40);
    pass(20);
    refused(second);
  }

  // Asking for more.

  private Interrupt ask(Scenario.Held held, String budget) {
    return scenario
        .raise(held, Scenario.spend(Scenario.unique("s"), "{\"budget\":" + budget + "}"))
        .get(0);
  }

  private Interrupt edit(Interrupt asked, String args) {
    return scenario.resolve(
        asked, "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"edit\",\"args\":" + args + "}]}");
  }

  @Test
  void aYesExtendsTheBudgetOnTheRecord() {
    Scenario.Held held = running("{\"max_tool_calls\":5,\"max_total_tokens\":100}");
    worker().useTokens(held, 101);
    Interrupt asked = ask(held, "{\"max_total_tokens\":200}");
    scenario.pause(held);
    Run before = read(held);
    scenario.approve(asked);
    Run after = read(held);
    assertEquals("{\"max_tool_calls\":5,\"max_total_tokens\":200}", after.getBudgetJson());
    assertFalse(after.getOverBudget());
    assertEquals(before.getVersion() + 2, after.getVersion()); // Extended, and resumed.
    assertEquals(RunStatus.RUN_STATUS_RUNNING, after.getStatus());
    List<AuditEvent> all = scenario.events(workspace.getWorkspaceId());
    assertEquals(
        List.of("approval.resolved", "interrupt.resolved", "run.budget_extended", "run.resumed"),
        all.subList(all.size() - 4, all.size()).stream().map(AuditEvent::getType).toList());
    AuditEvent extended = events("run.budget_extended").get(0);
    assertEquals("local_user", extended.getActor());
    assertTrue(
        extended
            .getPayloadJson()
            .contains("\"before\":{\"max_tool_calls\":5,\"max_total_tokens\":100}"),
        extended.getPayloadJson());
    assertTrue(
        extended
            .getPayloadJson()
            .contains("\"after\":{\"max_tool_calls\":5,\"max_total_tokens\":200}"),
        extended.getPayloadJson());
    renewing(held, 100);
    // Crossing the new limit is as crossing the first.
    assertEquals(0, worker().useTokens(held, 99).getTokensLeft());
    assertTrue(worker().useTokens(held, 1).getOverBudget());
    assertEquals(2, events("run.budget_exceeded").size());
    renewing(held, 40);
    pass(20);
    refused(held);
  }

  @Test
  void anEditExtendsTheBudgetToItsOwnNumbers() {
    Scenario.Held held = running(TOKENS_100);
    worker().useTokens(held, 101);
    edit(ask(held, "{\"max_total_tokens\":200}"), "{\"budget\":{\"max_total_tokens\":150}}");
    assertEquals("{\"max_total_tokens\":150}", read(held).getBudgetJson());
    assertEquals(49, worker().renew(held).getBudget().getTokensLeft());
  }

  @Test
  void aYesByTheApprovalDoesTheSame() {
    Scenario.Held held = running(TOKENS_100);
    Interrupt asked = ask(held, "{\"max_total_tokens\":200}");
    scenario.approve(
        Approval.newBuilder()
            .setApprovalId(asked.getApprovalId())
            .setPayloadHash(asked.getPayloadHash())
            .build());
    assertEquals("{\"max_total_tokens\":200}", read(held).getBudgetJson());
    assertEquals(1, events("run.budget_extended").size());
  }

  private Approval askPlainly(Scenario.Held held, String budget) {
    return server
        .as(Role.WORKER)
        .approvals()
        .requestApproval(
            RequestApprovalRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setKind(ApprovalKind.APPROVAL_KIND_SPEND)
                .setPayloadJson("{\"budget\":" + budget + ",\"title\":\"More?\"}")
                .build())
        .getApproval();
  }

  @Test
  void anApprovalThatBelongsToNoQuestionDoesTheSame() {
    Scenario.Held held = overdue();
    refused(held);
    Approval asked = askPlainly(held, "{\"max_total_tokens\":200}");
    renewing(held, 40);
    scenario.approve(asked);
    assertEquals("{\"max_total_tokens\":200}", read(held).getBudgetJson());
    worker().useTokens(held, 100);
    Approval again = askPlainly(held, "{\"max_total_tokens\":300}");
    renewing(held, 100);
    scenario.reject(again);
    assertEquals("{\"max_total_tokens\":200}", read(held).getBudgetJson());
    renewing(held, 40);
    pass(20);
    refused(held);
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> askPlainly(held, "{\"max_tokens\":1}"));
    assertEquals(Set.of("payload_json.budget.max_tokens"), refusal.violations().keySet());
  }

  @Test
  void aNoLeavesTheRunOverBudgetAndGivesItATermToEnd() {
    Scenario.Held held = overdue();
    Interrupt asked = ask(held, "{\"max_total_tokens\":200}");
    renewing(held, 40);
    scenario.resolve(asked, "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"reject\"}]}");
    assertEquals(TOKENS_100, read(held).getBudgetJson());
    assertEquals(0, events("run.budget_extended").size());
    RenewLeaseResponse told = worker().renew(held);
    assertTrue(told.getBudget().getOverBudget());
    renewing(held, 40);
    pass(20);
    refused(held);
    pass(TERM);
    assertFailedOverBudget(awaitEnd(held));
  }

  @Test
  void aWorkerThatDiesBehindTheAnswerLosesItsLeaseAndNotTheRun() {
    Scenario.Held held = overdue();
    refused(held);
    Interrupt asked = ask(held, "{\"max_total_tokens\":200}");
    scenario.resolve(asked, "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"reject\"}]}");
    pass(TERM);
    Run returned = awaitEnd(held);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, returned.getStatus());
    assertEquals(2, returned.getAttempt());
  }

  @Test
  void aYesToLessThanWasUsedGivesATermAndNoMore() {
    Scenario.Held held = overdue();
    scenario.approve(ask(held, "{\"max_total_tokens\":101}"));
    assertTrue(worker().renew(held).getBudget().getExhausted());
    worker().useTokens(held, 50);
    scenario.approve(ask(held, "{\"max_total_tokens\":120}"));
    assertTrue(read(held).getOverBudget());
    renewing(held, 40);
    pass(20);
    refused(held);
  }

  @Test
  void ofSeveralActionsThoseWithAYesExtend() {
    Scenario.Held held =
        running("{\"max_cost_micros\":10,\"max_tool_calls\":10,\"max_total_tokens\":10}");
    String allow = "\"allow\":[\"approve\",\"edit\",\"reject\"],\"name\":\"spend\"";
    Interrupt asked =
        scenario
            .raise(
                held,
                Scenario.spend("s", "{}").toBuilder()
                    .setPayloadJson(
                        ("{\"title\":\"More?\",\"actions\":["
                                + "{\"id\":\"a\",%s,\"args\":{\"budget\":{\"max_total_tokens\":20}}},"
                                + "{\"id\":\"b\",%s,\"args\":{\"budget\":{\"max_tool_calls\":20}}},"
                                + "{\"id\":\"c\",%s,\"args\":{\"budget\":{\"max_cost_micros\":20}}},"
                                + "{\"id\":\"d\",%s,\"args\":{\"budget\":{\"max_total_tokens\":15}}}]}")
                            .replace("%s", allow))
                    .build())
            .get(0);
    scenario.resolve(
        asked,
        "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"approve\"},"
            + "{\"action_id\":\"b\",\"type\":\"edit\",\"args\":{\"budget\":{\"max_tool_calls\":30}}},"
            + "{\"action_id\":\"c\",\"type\":\"reject\"},"
            + "{\"action_id\":\"d\",\"type\":\"approve\"}]}");
    assertEquals(
        "{\"max_cost_micros\":10,\"max_tool_calls\":30,\"max_total_tokens\":20}",
        read(held).getBudgetJson());
    assertEquals(1, events("run.budget_extended").size());
  }

  @Test
  void aYesTakesNothingAway() {
    Scenario.Held held = running(TOKENS_100);
    Run before = read(held);
    scenario.approve(ask(held, "{\"max_tool_calls\":1,\"max_total_tokens\":50}"));
    assertEquals(before, read(held));
    assertEquals(0, events("run.budget_extended").size());
  }

  @Test
  void anEditThatWouldTakeAwayIsRefused() {
    Scenario.Held held = running(TOKENS_100);
    Interrupt asked = ask(held, "{\"max_total_tokens\":200}");
    Run before = read(held);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_DECISION,
            () -> edit(asked, "{\"budget\":{\"max_tool_calls\":7,\"max_total_tokens\":99}}"));
    String path = "decision_json.decisions[0].args.budget.";
    assertEquals(
        Set.of(path + "max_tool_calls", path + "max_total_tokens"), refusal.violations().keySet());
    assertTrue(refusal.message().contains("is 100 now"), refusal.message());
    assertEquals(before, read(held));
    edit(asked, "{\"budget\":{\"max_total_tokens\":100}}"); // The same is no less.
    assertEquals(TOKENS_100, read(held).getBudgetJson());
  }

  @Test
  void aBudgetThatIsNoneIsRefusedWhereverItStands() {
    Scenario.Held held = running(TOKENS_100);
    String bad =
        "{\"max_tokens\":5,\"max_tool_calls\":0,\"max_total_tokens\":1.5,"
            + "\"max_cost_micros\":9223372036854775808}";
    List<String> keys =
        List.of("max_tokens", "max_tool_calls", "max_total_tokens", "max_cost_micros");
    Failures.Refusal asking = Failures.of(Reason.REASON_INVALID_FIELDS, () -> ask(held, bad));
    String asked = "questions[0].payload_json.actions[0].args.budget";
    assertEquals(
        Set.copyOf(keys.stream().map(key -> asked + "." + key).toList()),
        asking.violations().keySet());
    for (String none : List.of("7", "{}", "[]", "null", "\"more\"")) {
      Failures.Refusal refusal = Failures.of(Reason.REASON_INVALID_FIELDS, () -> ask(held, none));
      assertEquals(Set.of(asked), refusal.violations().keySet());
    }
    Interrupt standing = ask(held, "{\"max_total_tokens\":200}");
    Failures.Refusal editing =
        Failures.of(
            Reason.REASON_INVALID_DECISION, () -> edit(standing, "{\"budget\":" + bad + "}"));
    String edited = "decision_json.decisions[0].args.budget";
    assertEquals(
        Set.copyOf(keys.stream().map(key -> edited + "." + key).toList()),
        editing.violations().keySet());
    assertEquals(TOKENS_100, read(held).getBudgetJson());
  }

  @Test
  void whatIsNotAboutSpendingExtendsNothing() {
    Scenario.Held held = running(TOKENS_100);
    Interrupt asked =
        scenario
            .raise(
                held,
                Scenario.toolCall("t", "Delete?").toBuilder()
                    .setPayloadJson(
                        "{\"title\":\"Delete?\",\"actions\":[{\"id\":\"a1\",\"name\":\"x\","
                            + "\"allow\":[\"approve\"],"
                            + "\"args\":{\"budget\":{\"max_total_tokens\":200}}}]}")
                    .build())
            .get(0);
    scenario.approve(asked);
    assertEquals(TOKENS_100, read(held).getBudgetJson());
  }

  @Test
  void theWholeStoryVerifies() {
    aYesExtendsTheBudgetOnTheRecord();
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
    List<String> types = scenario.eventTypes(workspace.getWorkspaceId());
    assertEquals(3, Collections.frequency(types, "run.usage_recorded"));
  }
}
