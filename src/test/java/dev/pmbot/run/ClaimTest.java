package dev.pmbot.run;

import static dev.pmbot.run.Worker.order;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.Duration;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How approved runs get to workers. */
final class ClaimTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Worker worker = new Worker(server.as(Role.WORKER));

  @AfterEach
  void stop() {
    server.close();
  }

  private CreateRunResponse propose(String graphId) {
    return propose(workspace, graphId);
  }

  private CreateRunResponse propose(Workspace in, String graphId) {
    return server
        .as(Role.OPERATOR)
        .runs()
        .createRun(scenario.newRun(in).setGraphId(graphId).build());
  }

  private String approved(String graphId) {
    return scenario.approved(propose(graphId)).getRunId();
  }

  private static List<String> ids(List<ClaimedRun> claimed) {
    return claimed.stream().map(one -> one.getRun().getRunId()).toList();
  }

  @Test
  void aRunIsNotClaimableBeforeTheYes() {
    CreateRunResponse proposed = propose("g");
    assertEquals(List.of(), worker.claim(order("g").setMaxRuns(100)));
    assertEquals(RunStatus.RUN_STATUS_PROPOSED, scenario.read(proposed.getRun()).getStatus());
    scenario.approve(proposed.getApproval());
    assertEquals(List.of(proposed.getRun().getRunId()), ids(worker.claim("g")));
  }

  @Test
  void theYesForOneRunLetsNoOtherRun() {
    CreateRunResponse waiting = propose("g");
    String cleared = approved("g");
    assertEquals(List.of(cleared), ids(worker.claim(order("g").setMaxRuns(100))));
    assertEquals(RunStatus.RUN_STATUS_PROPOSED, scenario.read(waiting.getRun()).getStatus());
  }

  @Test
  void aRejectedRunStaysOut() {
    CreateRunResponse proposed = propose("g");
    scenario.reject(proposed.getApproval());
    assertEquals(RunStatus.RUN_STATUS_REJECTED, scenario.read(proposed.getRun()).getStatus());
    assertEquals(List.of(), worker.claim(order("g").setMaxRuns(100)));
    Failures.of(Reason.REASON_ALREADY_DECIDED, () -> scenario.approve(proposed.getApproval()));
    assertEquals(List.of(), worker.claim(order("g").setMaxRuns(100)));
  }

  @Test
  void theLongestClearedIsFirst() {
    CreateRunResponse older = propose("g");
    CreateRunResponse newer = propose("g");
    scenario.approve(newer.getApproval());
    server.time().advance(java.time.Duration.ofMillis(1));
    scenario.approve(older.getApproval());
    assertEquals(
        List.of(newer.getRun().getRunId(), older.getRun().getRunId()),
        ids(worker.claim(order("g").setMaxRuns(2))));
  }

  @Test
  void clearedAtTheSameTimeTheOlderIsFirst() {
    List<CreateRunResponse> proposed = List.of(propose("g"), propose("g"), propose("g"));
    List<CreateRunResponse> backwards = new ArrayList<>(proposed);
    Collections.reverse(backwards);
    backwards.forEach(one -> scenario.approve(one.getApproval()));
    assertEquals(
        proposed.stream().map(one -> one.getRun().getRunId()).toList(),
        ids(worker.claim(order("g").setMaxRuns(100))));
  }

  @Test
  void aClaimTakesOneUnlessMoreAreAskedFor() {
    List<String> runs = IntStream.range(0, 5).mapToObj(i -> approved("g")).toList();
    assertEquals(runs.subList(0, 1), ids(worker.claim("g")));
    assertEquals(runs.subList(1, 4), ids(worker.claim(order("g").setMaxRuns(3))));
    assertEquals(runs.subList(4, 5), ids(worker.claim(order("g").setMaxRuns(3))));
    assertEquals(List.of(), worker.claim(order("g").setMaxRuns(3)));
  }

  @Test
  void aClaimTakesOnlyTheGraphsThatItNamesTheOldestOfAllFirst() {
    String first = approved("a");
    server.time().advance(java.time.Duration.ofMillis(1));
    String second = approved("b");
    server.time().advance(java.time.Duration.ofMillis(1));
    String third = approved("a");
    String other = approved("c");
    assertEquals(List.of(first, second), ids(worker.claim(order("b", "a").setMaxRuns(2))));
    assertEquals(List.of(third), ids(worker.claim(order("b", "a").setMaxRuns(100))));
    assertEquals(List.of(other), ids(worker.claim("c")));
  }

  @Test
  void aClaimForAWorkspaceTakesNoOthers() {
    Workspace other = scenario.workspace();
    String here = approved("g");
    String there = scenario.approved(propose(other, "g")).getRunId();
    assertEquals(
        List.of(there),
        ids(worker.claim(order("g").setMaxRuns(100).setWorkspaceId(other.getWorkspaceId()))));
    assertEquals(List.of(here), ids(worker.claim(order("g").setMaxRuns(100))));
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_NOT_FOUND,
            () -> worker.claim(order("g").setWorkspaceId("ws_" + "0".repeat(32))));
    assertEquals("ws_" + "0".repeat(32), refusal.metadata().get("id"));
  }

  @Test
  void aClaimSaysWhoHoldsTheRunAndForHowLong() {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setGraphId("g")
                    .setAgentRunSpecJson("{\"execution\":{\"lease_seconds\":7}}")
                    .build());
    scenario.approve(proposed.getApproval());
    ClaimedRun claimed = worker.claim(order("g").setWorkerId("the-one")).get(0);
    assertEquals(Duration.newBuilder().setSeconds(7).build(), claimed.getLeaseDuration());
    Run run = claimed.getRun();
    assertEquals(RunStatus.RUN_STATUS_APPROVED, run.getStatus());
    assertEquals("the-one", run.getLeaseOwner());
    assertEquals(1, run.getAttempt());
    assertEquals(3, run.getMaxAttempts());
    assertEquals(7, run.getLeaseExpiresAt().getSeconds() - run.getUpdatedAt().getSeconds());
    var event = scenario.events(workspace.getWorkspaceId()).get(5);
    assertEquals("run.claimed", event.getType());
    assertEquals("worker:the-one", event.getActor());
  }

  @Test
  void eachOf500RunsIsClaimedOnceBy16Workers() throws Exception {
    int count = 500;
    List<CreateRunResponse> proposed =
        IntStream.range(0, count).mapToObj(i -> propose("g")).toList();
    proposed.forEach(one -> scenario.approve(one.getApproval()));
    ExecutorService threads = Executors.newFixedThreadPool(16);
    try {
      List<Future<List<String>>> workers = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        String workerId = "w" + i;
        int most = 1 + i % 3;
        workers.add(
            threads.submit(
                () -> {
                  List<String> mine = new ArrayList<>();
                  List<String> got;
                  do {
                    got = ids(worker.claim(order("g").setWorkerId(workerId).setMaxRuns(most)));
                    mine.addAll(got);
                  } while (!got.isEmpty());
                  return mine;
                }));
      }
      List<String> all = new ArrayList<>();
      for (Future<List<String>> one : workers) {
        all.addAll(Await.value("a worker", one));
      }
      assertEquals(count, all.size());
      assertEquals(count, new HashSet<>(all).size(), "a run was handed out twice");
    } finally {
      threads.shutdownNow();
    }
    List<String> types = scenario.eventTypes(workspace.getWorkspaceId());
    assertEquals(count, Collections.frequency(types, "run.claimed"));
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  // Waiting.

  private ListenableFuture<ClaimRunsResponse> waiting(ClaimRunsRequest.Builder order, int seconds) {
    Channel patient = ClientInterceptors.intercept(server.as(Role.WORKER).channel());
    return RunServiceGrpc.newFutureStub(patient)
        .claimRuns(order.setWait(Duration.newBuilder().setSeconds(seconds)).build());
  }

  @Test
  void aWaitingClaimIsWokenByTheYes() {
    CreateRunResponse proposed = propose("g");
    ListenableFuture<ClaimRunsResponse> claim = waiting(order("g"), 25);
    // A write of the same worker behind the claim's own: the claim has looked, and waits.
    assertEquals(List.of(), worker.claim("g"));
    assertFalse(claim.isDone());
    scenario.approve(proposed.getApproval());
    assertEquals(
        List.of(proposed.getRun().getRunId()),
        ids(Await.value("the claim", claim).getClaimedRunsList()));
  }

  @Test
  void aWaitingClaimIsNotWokenByAnotherGraphOrWorkspace() {
    Workspace other = scenario.workspace();
    ListenableFuture<ClaimRunsResponse> claim =
        waiting(order("g").setWorkspaceId(workspace.getWorkspaceId()), 25);
    approved("another");
    String elsewhere = scenario.approved(propose(other, "g")).getRunId();
    String here = approved("g");
    assertEquals(List.of(here), ids(Await.value("the claim", claim).getClaimedRunsList()));
    assertEquals(List.of(elsewhere), ids(worker.claim("g")));
  }

  @Test
  void aWaitingClaimEndsEmptyWhenItsWaitEnds() {
    ListenableFuture<ClaimRunsResponse> claim = waiting(order("g"), 1);
    assertEquals(0, Await.value("the claim", claim).getClaimedRunsCount());
  }

  @Test
  void ofManyWhoWaitAsManyAreServedAsThereAreRuns() {
    List<ListenableFuture<ClaimRunsResponse>> claims =
        IntStream.range(0, 40).mapToObj(i -> waiting(order("g").setWorkerId("w" + i), 5)).toList();
    Set<String> runs = new HashSet<>();
    for (int i = 0; i < 12; i++) {
      runs.add(approved("g"));
    }
    List<String> claimed = new ArrayList<>();
    for (ListenableFuture<ClaimRunsResponse> claim : claims) {
      claimed.addAll(ids(Await.value("a claim", claim).getClaimedRunsList()));
    }
    assertEquals(12, claimed.size());
    assertEquals(runs, new HashSet<>(claimed));
  }

  @Test
  void aWakeUpThatItsWaiterCannotUseGoesToTheNext() {
    // Of each pair the first, who is woken, goes away; the second must get the run.
    for (int round = 0; round < 20; round++) {
      String graph = "g" + round;
      CreateRunResponse proposed = propose(graph);
      ListenableFuture<ClaimRunsResponse> first = waiting(order(graph), 25);
      worker.claim(graph);
      ListenableFuture<ClaimRunsResponse> second = waiting(order(graph), 25);
      worker.claim(graph);
      ListenableFuture<?> approval =
          dev.pmbot.v1.ApprovalServiceGrpc.newFutureStub(server.as(Role.OPERATOR).channel())
              .resolveApproval(
                  dev.pmbot.v1.ResolveApprovalRequest.newBuilder()
                      .setApprovalId(proposed.getApproval().getApprovalId())
                      .setPayloadHash(proposed.getApproval().getPayloadHash())
                      .setStatus(dev.pmbot.v1.ApprovalStatus.APPROVAL_STATUS_APPROVED)
                      .build());
      first.cancel(true);
      Await.value("the approval", approval);
      // Where the first was faster than its own end, the lease is its own, and ends some day.
      Await.until(
          "the run finds a worker",
          () -> !scenario.read(proposed.getRun()).getLeaseOwner().isEmpty());
      second.cancel(true);
    }
  }

  @Test
  void aClaimThatIsToldTheServerStopsEndsEmpty() {
    ListenableFuture<ClaimRunsResponse> claim = waiting(order("g"), 25);
    worker.claim("g");
    server.controlPlane().close();
    assertEquals(0, Await.value("the claim", claim).getClaimedRunsCount());
  }

  // Repeating.

  @Test
  void aLostAnswerIsRepeated() {
    String first = approved("g");
    String second = approved("g");
    ClaimRunsRequest.Builder order = order("g").setMaxRuns(2).setRequestId(Scenario.requestId());
    List<ClaimedRun> claimed = worker.claim(order);
    assertEquals(List.of(first, second), ids(claimed));
    String third = approved("g");
    assertEquals(claimed, worker.claim(order));
    // One of them is somebody else's by now: it is not handed over again.
    worker.release(first, claimed.get(0).getLeaseToken(), "");
    List<ClaimedRun> taken = worker.claim(order("g").setMaxRuns(2));
    assertEquals(Set.of(first, third), new HashSet<>(ids(taken)));
    assertEquals(List.of(claimed.get(1)), worker.claim(order));
    assertNotEquals(claimed.get(0).getLeaseToken(), taken.get(0).getLeaseToken());
    assertEquals(
        4, Collections.frequency(scenario.eventTypes(workspace.getWorkspaceId()), "run.claimed"));
  }

  @Test
  void aRepeatedClaimShowsItsRunsAsTheyAreNow() {
    approved("g");
    ClaimRunsRequest.Builder order = order("g").setRequestId(Scenario.requestId());
    ClaimedRun claimed = worker.claim(order).get(0);
    Run running = worker.start(claimed, "thread");
    ClaimedRun again = worker.claim(order).get(0);
    assertEquals(claimed.getLeaseToken(), again.getLeaseToken());
    assertEquals(running, again.getRun());
  }

  @Test
  void aRepeatedClaimWaitsForNothing() {
    String run = approved("g");
    ClaimRunsRequest.Builder order = order("g").setRequestId(Scenario.requestId());
    ClaimRunsResponse first = Await.value("the claim", waiting(order, 60));
    assertEquals(List.of(run), ids(first.getClaimedRunsList()));
    worker.release(run, first.getClaimedRuns(0).getLeaseToken(), "");
    worker.claim("g");
    // The wait is longer than our patience.
    assertEquals(0, Await.value("the repetition", waiting(order, 60)).getClaimedRunsCount());
  }

  @Test
  void aWakeUpThatARepeatedClaimDoesNotUseGoesToTheNext() {
    List<CreateRunResponse> proposed = List.of(propose("g"), propose("g"));
    ClaimRunsRequest.Builder order = order("g").setRequestId(Scenario.requestId());
    List<ListenableFuture<ClaimRunsResponse>> claims = new ArrayList<>();
    for (ClaimRunsRequest.Builder one : List.of(order, order, order("g").setWorkerId("other"))) {
      claims.add(waiting(one, 60));
      worker.claim("g");
    }
    scenario.approve(proposed.get(0).getApproval());
    ClaimRunsResponse first = Await.value("the claim", claims.get(0));
    scenario.approve(proposed.get(1).getApproval());
    assertEquals(first, Await.value("the same claim, sent twice", claims.get(1)));
    assertEquals(
        List.of(proposed.get(1).getRun().getRunId()),
        ids(Await.value("the other's claim", claims.get(2)).getClaimedRunsList()));
  }

  @Test
  void aRepeatedClaimDoesNotAnswerALeaseThatHasEnded() {
    approved("g");
    ClaimRunsRequest.Builder order = order("g").setRequestId(Scenario.requestId());
    assertEquals(1, worker.claim(order).size());
    server.time().advance(java.time.Duration.ofSeconds(60));
    assertEquals(List.of(), worker.claim(order));
  }

  @Test
  void aClaimThatFoundNothingIsNotRemembered() {
    ClaimRunsRequest.Builder order = order("g").setRequestId(Scenario.requestId());
    assertEquals(List.of(), worker.claim(order));
    String run = approved("g");
    assertEquals(List.of(run), ids(worker.claim(order)));
  }

  @Test
  void anotherWorkerDoesNotGetTheAnswerOfTheFirst() {
    approved("g");
    ClaimRunsRequest.Builder order = order("g").setRequestId(Scenario.requestId());
    worker.claim(order);
    Failures.of(Reason.REASON_REQUEST_ID_REUSED, () -> worker.claim(order.setWorkerId("another")));
  }
}
