package dev.pmbot.approval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.DecisionItem;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.PauseRunRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a worker asks for in the middle of its run: asked once, waited for, and told. */
final class MidRunApprovalTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(scenario.repo(workspace));

  @AfterEach
  void stop() {
    server.close();
  }

  private static RequestApprovalRequest.Builder publish(Scenario.Held by, String payload) {
    return RequestApprovalRequest.newBuilder()
        .setRunId(by.runId())
        .setLeaseToken(by.leaseToken())
        .setKind(ApprovalKind.APPROVAL_KIND_PUBLISH)
        .setPayloadJson(payload);
  }

  private Approval ask(RequestApprovalRequest.Builder request) {
    return server.as(Role.WORKER).approvals().requestApproval(request.build()).getApproval();
  }

  private Approval decide(Approval approval, boolean yes) {
    return yes ? scenario.approve(approval) : scenario.reject(approval);
  }

  private RunStatus status() {
    return scenario.read(held.run()).getStatus();
  }

  private List<String> typesSince(int seen) {
    List<String> all = scenario.eventTypes(workspace.getWorkspaceId());
    return all.subList(seen, all.size());
  }

  private int seen() {
    return scenario.eventTypes(workspace.getWorkspaceId()).size();
  }

  @Test
  void itIsKeptAsItWasAskedAndOnTheRecord() {
    int before = seen();
    String payload = "{\"amount\": 1.50, \"title\":\"Publish?\"}";
    Approval asked = ask(publish(held, payload));
    assertEquals(workspace.getWorkspaceId(), asked.getWorkspaceId());
    assertEquals(held.runId(), asked.getRunId());
    assertEquals(ApprovalKind.APPROVAL_KIND_PUBLISH, asked.getKind());
    assertEquals(ApprovalStatus.APPROVAL_STATUS_PENDING, asked.getStatus());
    assertEquals("", asked.getSubjectId());
    assertEquals(payload, asked.getPayloadJson());
    assertEquals(asked, scenario.read(asked));
    assertEquals(List.of("approval.requested"), typesSince(before));
    AuditEvent event = scenario.events(workspace.getWorkspaceId()).get(before);
    assertEquals("worker:" + Scenario.WORKER_ID, event.getActor());
    assertEquals(held.runId(), event.getRunId());
    assertEquals(held.threadId(), event.getThreadId());
    assertTrue(event.getPayloadJson().contains(asked.getApprovalId()), event.getPayloadJson());
  }

  @ParameterizedTest
  @CsvSource({"TOOL_CALL, MEDIUM, HIGH", "SPEND, MEDIUM, HIGH", "PUBLISH, HIGH, HIGH"})
  void aKindHasItsRiskWhichMayBeRaisedAndNotLowered(String kind, String own, String raised) {
    ApprovalKind asked = ApprovalKind.valueOf("APPROVAL_KIND_" + kind);
    RequestApprovalRequest.Builder request = publish(held, "{\"title\":\"1\"}").setKind(asked);
    assertEquals(Risk.valueOf("RISK_" + own), ask(request).getRisk());
    assertEquals(
        Risk.valueOf("RISK_" + own),
        ask(request.setPayloadJson("{\"title\":\"2\"}").setRisk(Risk.RISK_LOW)).getRisk());
    assertEquals(
        Risk.valueOf("RISK_" + raised),
        ask(request.setPayloadJson("{\"title\":\"3\"}").setRisk(Risk.valueOf("RISK_" + raised)))
            .getRisk());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aPausedRunWaitsForItAndGoesOn(boolean yes) {
    int before = seen();
    Approval asked = scenario.askToSpend(held, "Spend?");
    assertEquals(RunStatus.RUN_STATUS_RUNNING, status());
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, scenario.pause(held).getStatus());
    Approval decided = decide(asked, yes);
    assertEquals(
        yes ? ApprovalStatus.APPROVAL_STATUS_APPROVED : ApprovalStatus.APPROVAL_STATUS_REJECTED,
        decided.getStatus());
    assertEquals(ClosedBy.CLOSED_BY_DECISION, decided.getClosedBy());
    assertEquals("local_user", decided.getActor());
    assertEquals(RunStatus.RUN_STATUS_RUNNING, status());
    assertEquals(
        List.of("approval.requested", "run.blocked", "approval.resolved", "run.resumed"),
        typesSince(before));
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  @Test
  void aRunThatWasLetGoIsClaimableOnceItIsDecided() {
    Approval asked = scenario.askToSpend(held, "Spend?");
    server
        .as(Role.WORKER)
        .runs()
        .pauseRun(
            PauseRunRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setReleaseLease(true)
                .build());
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, status());
    scenario.approve(asked);
    assertEquals(RunStatus.RUN_STATUS_APPROVED, status());
    assertEquals(held.runId(), scenario.claim(held.run()).getRun().getRunId());
  }

  @Test
  void aRunGoesOnWhenTheLastThatItWaitsForIsDecided() {
    Interrupt question = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
    Approval first = scenario.askToSpend(held, "Spend 1?");
    Approval second = scenario.askToSpend(held, "Spend 2?");
    scenario.pause(held);
    scenario.approve(first);
    scenario.answer(question, "this");
    assertEquals(RunStatus.RUN_STATUS_BLOCKED, status());
    scenario.reject(second);
    assertEquals(RunStatus.RUN_STATUS_RUNNING, status());
  }

  // Identity.

  @Test
  void theSameIsAskedOnceWhileItIsPending() {
    Approval first = ask(publish(held, "{\"title\":\"?\"}"));
    int before = seen();
    server.time().advance(Duration.ofSeconds(1));
    assertEquals(first, ask(publish(held, "{\"title\":\"?\"}")));
    assertEquals(
        first, ask(Scenario.withRequestId(publish(held, "{\"title\":\"?\"}").build()).toBuilder()));
    assertEquals(List.of(), typesSince(before));
    Set<String> others =
        Set.of(
            ask(publish(held, "{\"title\": \"?\"}")).getApprovalId(),
            ask(publish(held, "{\"title\":\"?\"}").setKind(ApprovalKind.APPROVAL_KIND_SPEND))
                .getApprovalId(),
            ask(publish(scenario.running(workspace), "{\"title\":\"?\"}")).getApprovalId(),
            first.getApprovalId());
    assertEquals(4, others.size());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aDecisionIsNotOneAboutWhatIsAskedLater(boolean yes) {
    Approval first = scenario.askToSpend(held, "Spend?");
    Approval decided = decide(first, yes);
    Approval second = scenario.askToSpend(held, "Spend?");
    assertNotEquals(first.getApprovalId(), second.getApprovalId());
    assertEquals(first.getPayloadHash(), second.getPayloadHash());
    assertEquals(ApprovalStatus.APPROVAL_STATUS_PENDING, second.getStatus());
    decide(second, !yes);
    assertEquals(decided, scenario.read(first));
  }

  @Test
  void aRequestIdThatIsRepeatedIsAnsweredAsItWasAlsoAfterTheDecision() {
    RequestApprovalRequest request =
        Scenario.withRequestId(publish(held, "{\"title\":\"?\"}").build());
    Approval first = ask(request.toBuilder());
    scenario.approve(first);
    int before = seen();
    assertEquals(first, ask(request.toBuilder()));
    assertEquals(List.of(), typesSince(before));
  }

  @Test
  void anotherWorkerOfTheRunFindsWhatWasAsked() {
    Approval first = scenario.askToSpend(held, "Spend?");
    server.time().advance(Duration.ofSeconds(60));
    Await.until("the lease is lost", () -> scenario.read(held.run()).getLeaseOwner().isEmpty());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_LEASE_LOST, () -> scenario.askToSpend(held, "Spend?"));
    assertEquals(Map.of("id", held.runId()), refusal.metadata());
    server.time().advance(Duration.ofSeconds(1));
    Scenario.Held again =
        scenario.start(scenario.claim(scenario.read(held.run())), held.threadId());
    assertEquals(first, scenario.askToSpend(again, "Spend?"));
  }

  // Who may ask, and for what.

  @Test
  void onlyARunThatRunsAsks() {
    var claimed = scenario.claim(scenario.approved(workspace));
    RequestApprovalRequest.Builder request =
        publish(new Scenario.Held(claimed.getRun(), claimed.getLeaseToken()), "{\"title\":\"?\"}");
    Failures.Refusal refusal = Failures.of(Reason.REASON_WRONG_STATE, () -> ask(request));
    assertEquals("approved", refusal.metadata().get("state"));
    assertEquals("running,blocked", refusal.metadata().get("allowed"));
    Failures.of(Reason.REASON_LEASE_LOST, () -> ask(request.clone().setLeaseToken("another")));
    // One that waits already may think of something else.
    scenario.askToSpend(held, "Spend 1?");
    scenario.pause(held);
    scenario.askToSpend(held, "Spend 2?");
    scenario.complete(scenario.running(workspace));
    Scenario.Held ended = scenario.running(workspace);
    scenario.complete(ended);
    Failures.of(Reason.REASON_LEASE_LOST, () -> scenario.askToSpend(ended, "Spend?"));
  }

  @ParameterizedTest
  @EnumSource(
      value = ApprovalKind.class,
      names = {
        "APPROVAL_KIND_UNSPECIFIED",
        "APPROVAL_KIND_RUN_START",
        "APPROVAL_KIND_CHANGESET_APPLY"
      })
  void whatTheServerAsksItselfIsNotAskedHere(ApprovalKind kind) {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () -> ask(publish(held, "{\"title\":\"?\"}").setKind(kind)));
    assertEquals(Set.of("kind"), refusal.violations().keySet());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[] | payload_json",
        "1 | payload_json",
        "{ | payload_json",
        "{} | payload_json.title",
        "{\"title\":\" \"} | payload_json.title",
        "{\"title\":1} | payload_json.title"
      })
  void aPayloadIsAnObjectWithATitle(String payload, String field) {
    int before = seen();
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> ask(publish(held, payload)));
    assertEquals(Set.of(field), refusal.violations().keySet());
    assertEquals(List.of(), typesSince(before));
  }

  @Test
  void aSecretIsNotShownAndStillTellsTwoQuestionsApart() {
    Approval first = ask(publish(held, "{\"password\":\"hunter2hunter2\",\"title\":\"?\"}"));
    Approval second = ask(publish(held, "{\"password\":\"hunter3hunter3\",\"title\":\"?\"}"));
    assertEquals("{\"password\":\"[redacted:password]\",\"title\":\"?\"}", first.getPayloadJson());
    assertEquals(first.getPayloadJson(), second.getPayloadJson());
    assertNotEquals(first.getPayloadHash(), second.getPayloadHash());
    Failures.of(
        Reason.REASON_STALE_DECISION,
        () -> scenario.approve(first.toBuilder().setPayloadHash(second.getPayloadHash()).build()));
  }

  @Test
  void whatItsSecretsMakeTooLargeIsRefusedAndNotADefect() {
    StringBuilder payload = new StringBuilder("{\"title\":\"?\",\"all\":[");
    for (int i = 0; i < 100_000; i++) {
      payload.append(i == 0 ? "" : ",").append("{\"pwd\":1}");
    }
    int before = seen();
    Failures.of(Reason.REASON_TOO_LARGE, () -> ask(publish(held, payload.append("]}").toString())));
    assertEquals(List.of(), typesSince(before));
  }

  // The inbox.

  private List<String> inbox() {
    return server
        .as(Role.READER)
        .inbox()
        .listInbox(
            ListInboxRequest.newBuilder()
                .setFilter(InboxFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()))
                .build())
        .getItemsList()
        .stream()
        .map(MidRunApprovalTest::id)
        .toList();
  }

  private static String id(InboxItem item) {
    return item.hasInterrupt()
        ? item.getInterrupt().getInterruptId()
        : item.getApproval().getApprovalId();
  }

  @Test
  void itWaitsInTheInboxAmongEverythingElse() {
    String start = scenario.propose(workspace).getApproval().getApprovalId();
    server.time().advance(Duration.ofSeconds(1));
    Interrupt call = scenario.raise(held, Scenario.toolCall("t", "Delete?")).get(0);
    server.time().advance(Duration.ofSeconds(1));
    Approval spend = scenario.askToSpend(held, "Spend?");
    server.time().advance(Duration.ofSeconds(1));
    Approval publish = ask(publish(held, "{\"title\":\"?\"}"));
    assertEquals(
        List.of(publish.getApprovalId(), call.getInterruptId(), spend.getApprovalId(), start),
        inbox());
    scenario.approve(publish);
    assertEquals(List.of(call.getInterruptId(), spend.getApprovalId(), start), inbox());
    scenario.complete(held);
    assertEquals(List.of(start), inbox());
    assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, scenario.read(spend).getClosedBy());
    assertEquals("system", scenario.read(spend).getActor());
    Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.approve(spend));
  }

  @Test
  void theInboxsStreamTellsThatItCameAndWent() {
    Approval standing = scenario.askToSpend(held, "Spend 1?");
    try (Recording<StreamInboxResponse> stream =
        Recording.of(
            server.as(Role.READER).channel(),
            InboxServiceGrpc.getStreamInboxMethod(),
            StreamInboxRequest.newBuilder()
                .setFilter(InboxFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()))
                .build())) {
      stream.awaitMessage("synced", StreamInboxResponse::hasSynced);
      Approval came = scenario.askToSpend(held, "Spend 2?");
      Approval approved = scenario.approve(came);
      scenario.complete(held);
      List<String> told = new ArrayList<>();
      stream
          .await("the end of both", all -> changes(all).size() == 4)
          .forEach(
              message ->
                  message
                      .getTransaction()
                      .getChangesList()
                      .forEach(
                          change ->
                              told.add(
                                  change.hasEntered()
                                      ? "entered " + id(change.getEntered())
                                      : change.getLeft().getClosedBy()
                                          + " "
                                          + id(change.getLeft().getItem()))));
      assertEquals(
          List.of(
              "entered " + standing.getApprovalId(),
              "entered " + came.getApprovalId(),
              "CLOSED_BY_DECISION " + approved.getApprovalId(),
              "CLOSED_BY_RUN_ENDED " + standing.getApprovalId()),
          told);
    }
  }

  private static List<?> changes(List<StreamInboxResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getChangesList().stream())
        .toList();
  }

  // Delivery.

  private Recording<WatchDecisionsResponse> watch(boolean byRun) {
    WatchDecisionsRequest.Builder request = WatchDecisionsRequest.newBuilder();
    return Recording.of(
        server.as(Role.WORKER).channel(),
        InterruptServiceGrpc.getWatchDecisionsMethod(),
        (byRun ? request.addRunIds(held.runId()) : request.addThreadIds(held.threadId())).build());
  }

  private static List<DecisionItem> items(List<WatchDecisionsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getItemsList().stream())
        .toList();
  }

  /** What a worker that comes now is told before the stream is in step. */
  private List<Approval> handedOver(boolean byRun) {
    try (Recording<WatchDecisionsResponse> stream = watch(byRun)) {
      List<DecisionItem> items =
          items(
              stream.await(
                  "synced", all -> all.stream().anyMatch(WatchDecisionsResponse::hasSynced)));
      items.forEach(item -> assertTrue(item.hasApproval(), item.toString()));
      return items.stream().map(DecisionItem::getApproval).toList();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void itsDecisionIsToldWheneverAStreamBeginsUntilTheRunHasEnded(boolean byRun) {
    Approval yes = scenario.askToSpend(held, "Spend 1?");
    Approval no = scenario.askToSpend(held, "Spend 2?");
    scenario.askToSpend(held, "Spend 3?");
    // The run's own start was approved too; whoever holds the run knows that.
    assertEquals(List.of(), handedOver(byRun));
    List<Approval> decided = List.of(scenario.approve(yes), scenario.reject(no));
    assertEquals(decided, handedOver(byRun));
    assertEquals(decided, handedOver(byRun));
    server.restart();
    assertEquals(decided, handedOver(byRun));
    scenario.complete(held);
    assertEquals(List.of(), handedOver(byRun));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aStreamTellsTheDecisionAndThatNobodyWillDecide(boolean byRun) {
    Approval first = scenario.askToSpend(held, "Spend 1?");
    Approval second = scenario.askToSpend(held, "Spend 2?");
    try (Recording<WatchDecisionsResponse> stream = watch(byRun)) {
      stream.awaitMessage("synced", WatchDecisionsResponse::hasSynced);
      Approval approved = scenario.approve(first);
      scenario.complete(held);
      List<Approval> told =
          items(stream.await("both", all -> items(all).size() == 2)).stream()
              .map(DecisionItem::getApproval)
              .toList();
      assertEquals(List.of(approved, scenario.read(second)), told);
      assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, told.get(1).getClosedBy());
      assertFalse(told.get(1).getStatus() == ApprovalStatus.APPROVAL_STATUS_APPROVED);
    }
  }
}
