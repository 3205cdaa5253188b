package dev.pmbot.interrupt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.Decision;
import dev.pmbot.v1.DecisionItem;
import dev.pmbot.v1.FailRunRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptFilter;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.ListInterruptsRequest;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.v1.Withdrawal;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is one question, and how its answer reaches the graph. */
final class DeliveryTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(scenario.repo(workspace));

  @AfterEach
  void stop() {
    server.close();
  }

  private Interrupt raise(Question question) {
    return scenario.raise(held, question).get(0);
  }

  private List<Interrupt> acknowledge(Scenario.Held by, Interrupt... interrupts) {
    return server
        .as(Role.WORKER)
        .interrupts()
        .acknowledgeDecisions(
            AcknowledgeDecisionsRequest.newBuilder()
                .setRunId(by.runId())
                .setLeaseToken(by.leaseToken())
                .addAllInterruptIds(
                    Arrays.stream(interrupts).map(Interrupt::getInterruptId).toList())
                .build())
        .getInterruptsList();
  }

  private Recording<WatchDecisionsResponse> watch(WatchDecisionsRequest request) {
    return Recording.of(
        server.as(Role.WORKER).channel(), InterruptServiceGrpc.getWatchDecisionsMethod(), request);
  }

  private Recording<WatchDecisionsResponse> watchRun() {
    return watch(WatchDecisionsRequest.newBuilder().addRunIds(held.runId()).build());
  }

  private Recording<WatchDecisionsResponse> watchThread() {
    return watch(WatchDecisionsRequest.newBuilder().addThreadIds(held.threadId()).build());
  }

  private static List<DecisionItem> items(List<WatchDecisionsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getItemsList().stream())
        .toList();
  }

  /** What a worker that comes now is handed over before the stream is in step. */
  private List<Decision> handedOver() {
    return handedOver(WatchDecisionsRequest.newBuilder().addRunIds(held.runId()).build());
  }

  private List<Decision> handedOver(WatchDecisionsRequest request) {
    try (Recording<WatchDecisionsResponse> stream = watch(request)) {
      List<WatchDecisionsResponse> messages =
          stream.await("synced", all -> all.stream().anyMatch(WatchDecisionsResponse::hasSynced));
      return items(messages).stream()
          .filter(DecisionItem::hasDecision)
          .map(DecisionItem::getDecision)
          .toList();
    }
  }

  private static DecisionItem awaitItem(
      Recording<WatchDecisionsResponse> stream, String what, Predicate<DecisionItem> wanted) {
    return items(stream.await(what, all -> items(all).stream().anyMatch(wanted))).stream()
        .filter(wanted)
        .findFirst()
        .orElseThrow();
  }

  // Identity.

  @Test
  void theSameContentIsTheSameQuestion() {
    Interrupt first = raise(Scenario.toolCall("q", "Delete?"));
    assertEquals(1, first.getGeneration());
    server.time().advance(java.time.Duration.ofSeconds(1));
    assertEquals(first, raise(Scenario.toolCall("q", "Delete?")));
    scenario.approve(first);
    Interrupt decided = scenario.read(first);
    assertEquals(decided, raise(Scenario.toolCall("q", "Delete?")));
  }

  @Test
  void aQuestionIsTheSameAcrossWorkers() {
    Interrupt first = raise(Scenario.question("q", "Which?"));
    server.time().advance(java.time.Duration.ofSeconds(60));
    dev.pmbot.kit.Await.until(
        "the lease is lost", () -> scenario.read(held.run()).getLeaseOwner().isEmpty());
    server.time().advance(java.time.Duration.ofSeconds(1));
    Scenario.Held again =
        scenario.start(scenario.claim(scenario.read(held.run())), held.threadId());
    assertEquals(first, scenario.raise(again, Scenario.question("q", "Which?")).get(0));
  }

  @Test
  void otherContentSupersedesAnOpenQuestion() {
    Interrupt first = raise(Scenario.toolCall("q", "Delete a?"));
    Interrupt second = raise(Scenario.toolCall("q", "Delete b?"));
    assertEquals(2, second.getGeneration());
    assertNotEquals(first.getInterruptId(), second.getInterruptId());
    assertNotEquals(first.getPayloadHash(), second.getPayloadHash());
    assertEquals(InterruptStatus.INTERRUPT_STATUS_PENDING, second.getStatus());
    assertSuperseded(scenario.read(first));
    assertEquals(ApprovalStatus.APPROVAL_STATUS_REJECTED, scenario.approval(first).getStatus());
    assertEquals(ClosedBy.CLOSED_BY_SUPERSEDED, scenario.approval(first).getClosedBy());
    assertEquals("system", scenario.approval(first).getActor());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.approve(first));
    assertEquals(
        Map.of("id", first.getInterruptId(), "closed_by", "superseded"), refusal.metadata());
  }

  private static void assertSuperseded(Interrupt closed) {
    assertEquals(InterruptStatus.INTERRUPT_STATUS_REJECTED, closed.getStatus());
    assertEquals(ClosedBy.CLOSED_BY_SUPERSEDED, closed.getClosedBy());
    assertEquals("system", closed.getActor());
    assertEquals("", closed.getDecisionJson());
  }

  @Test
  void otherContentVoidsADecisionThatWasNotTaken() {
    Interrupt first = raise(Scenario.toolCall("q", "Delete a?"));
    scenario.approve(first);
    assertEquals(1, handedOver().size());
    Interrupt second = raise(Scenario.toolCall("q", "Delete b?"));
    assertEquals(2, second.getGeneration());
    assertSuperseded(scenario.read(first));
    assertEquals(List.of(), handedOver());
    scenario.approve(second);
    List<Decision> decisions = handedOver();
    assertEquals(1, decisions.size());
    assertEquals(second.getInterruptId(), decisions.get(0).getInterruptId());
    assertEquals(2, decisions.get(0).getGeneration());
    // And back: what was asked first is a third question now, and asked anew.
    Interrupt third = raise(Scenario.toolCall("q", "Delete a?"));
    assertEquals(3, third.getGeneration());
    assertEquals(first.getPayloadHash(), third.getPayloadHash());
    assertEquals(InterruptStatus.INTERRUPT_STATUS_PENDING, third.getStatus());
    assertEquals(List.of(), handedOver());
  }

  @Test
  void whatWasTakenIsFinalAlsoWhenTheSameIdAsksSomethingElse() {
    Interrupt first = raise(Scenario.question("q", "Which?"));
    scenario.answer(first, "this");
    Interrupt taken = acknowledge(held, first).get(0);
    Interrupt second = raise(Scenario.question("q", "And now?"));
    assertEquals(2, second.getGeneration());
    assertEquals(taken, scenario.read(first));
  }

  @Test
  void aPendingQuestionThatIsNotNamedIsSuperseded() {
    List<Interrupt> raised =
        scenario.raise(
            held,
            Scenario.question("a", "A?"),
            Scenario.question("b", "B?"),
            Scenario.question("c", "C?"));
    scenario.answer(raised.get(1), "decided");
    scenario.raise(held, Scenario.question("a", "A?"), Scenario.question("d", "D?"));
    assertEquals(raised.get(0), scenario.read(raised.get(0)));
    assertEquals(ClosedBy.CLOSED_BY_DECISION, scenario.read(raised.get(1)).getClosedBy());
    assertSuperseded(scenario.read(raised.get(2)));
  }

  @Test
  void aBlockedRunWhoseLastQuestionIsSupersededGoesOn() {
    List<Interrupt> raised =
        scenario.raise(held, Scenario.question("a", "A?"), Scenario.question("b", "B?"));
    scenario.pause(held);
    scenario.answer(raised.get(0), "decided");
    scenario.raise(held, Scenario.question("a", "A?"));
    assertEquals(dev.pmbot.v1.RunStatus.RUN_STATUS_RUNNING, scenario.read(held.run()).getStatus());
  }

  // Kinds and risk.

  @ParameterizedTest
  @CsvSource({
    "QUESTION, , LOW, MEDIUM",
    "APPROVE_TOOL_CALL, TOOL_CALL, MEDIUM, HIGH",
    "APPROVE_SPEND, SPEND, MEDIUM, HIGH",
    "APPROVE_PUBLISH, PUBLISH, HIGH, HIGH"
  })
  void aKindHasItsRiskWhichMayBeRaisedAndItsApproval(
      InterruptKindName kind, String approvalKind, String own, String raised) {
    String payload =
        kind == InterruptKindName.QUESTION
            ? "{\"title\":\"?\"}"
            : Scenario.toolCall("x", "?").getPayloadJson();
    List<Interrupt> interrupts = new ArrayList<>();
    List<Question> questions = new ArrayList<>();
    for (Risk asked :
        List.of(Risk.RISK_UNSPECIFIED, Risk.RISK_LOW, Risk.valueOf("RISK_" + raised))) {
      questions.add(
          Question.newBuilder()
              .setExternalId("q" + asked)
              .setKind(InterruptKind.valueOf("INTERRUPT_KIND_" + kind))
              .setRisk(asked)
              .setPayloadJson(payload)
              .setNodeId("node")
              .setCheckpointId("checkpoint")
              .setGuard("guard")
              .build());
    }
    interrupts.addAll(scenario.raise(held, questions.toArray(Question[]::new)));
    assertEquals(Risk.valueOf("RISK_" + own), interrupts.get(0).getRisk());
    assertEquals(Risk.valueOf("RISK_" + own), interrupts.get(1).getRisk());
    assertEquals(Risk.valueOf("RISK_" + raised), interrupts.get(2).getRisk());
    for (Interrupt interrupt : interrupts) {
      assertEquals("node", interrupt.getNodeId());
      assertEquals("checkpoint", interrupt.getCheckpointId());
      assertEquals("guard", interrupt.getGuard());
      if (approvalKind == null) {
        assertEquals("", interrupt.getApprovalId());
      } else {
        Approval approval = scenario.approval(interrupt);
        assertEquals(ApprovalKind.valueOf("APPROVAL_KIND_" + approvalKind), approval.getKind());
        assertEquals(interrupt.getRisk(), approval.getRisk());
        assertEquals(interrupt.getPayloadHash(), approval.getPayloadHash());
        assertEquals(interrupt.getInterruptId(), approval.getSubjectId());
      }
    }
  }

  enum InterruptKindName {
    QUESTION,
    APPROVE_TOOL_CALL,
    APPROVE_SPEND,
    APPROVE_PUBLISH
  }

  // The shape of a payload.

  private Failures.Refusal refused(Question... questions) {
    return Failures.of(Reason.REASON_INVALID_FIELDS, () -> scenario.raise(held, questions));
  }

  private static Question call(String payload) {
    return Scenario.toolCall("q", "?").toBuilder().setPayloadJson(payload).build();
  }

  @Test
  void everythingThatIsWrongWithAPayloadIsToldWithItsPath() {
    Failures.Refusal refusal =
        refused(
            Scenario.question("same", "?").toBuilder()
                .setPayloadJson(
                    "{\"title\":\" \",\"description\":1,\"actions\":[{}],"
                        + "\"response_schema\":{\"type\":\"nothing\"}}")
                .build(),
            call(
                    "{\"title\":\"?\",\"actions\":[{\"id\":\"a\",\"name\":\"\",\"args\":[],"
                        + "\"description\":1,\"allow\":[\"maybe\"],\"args_schema\":1},"
                        + "{\"id\":\"a\",\"name\":\"n\",\"allow\":[]},7]}")
                .toBuilder()
                .setExternalId("same")
                .build(),
            call("{\"title\":\"?\"}").toBuilder().setExternalId("third").build(),
            call("[]").toBuilder().setExternalId("fourth").build());
    String first = "questions[0].payload_json.";
    String second = "questions[1].payload_json.actions";
    assertEquals(
        Set.of(
            first + "title",
            first + "description",
            first + "actions",
            first + "response_schema",
            "questions[1].external_id",
            second + "[0].name",
            second + "[0].args",
            second + "[0].description",
            second + "[0].allow",
            second + "[0].args_schema",
            second + "[1].id",
            second + "[1].allow",
            second + "[2]",
            "questions[2].payload_json.actions",
            "questions[3].payload_json"),
        refusal.violations().keySet());
  }

  @Test
  void aQuestionIsAboutTheRunsThread() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                server
                    .as(Role.WORKER)
                    .interrupts()
                    .raiseInterrupts(
                        RaiseInterruptsRequest.newBuilder()
                            .setRunId(held.runId())
                            .setLeaseToken(held.leaseToken())
                            .setThreadId("another")
                            .addQuestions(Scenario.question("q", "?"))
                            .build()));
    assertEquals(Set.of("thread_id"), refusal.violations().keySet());
  }

  @Test
  void aPayloadMayHaveAHundredActionsAndNotOneMore() {
    assertEquals(InterruptStatus.INTERRUPT_STATUS_PENDING, raise(call(actions(100))).getStatus());
    assertEquals(
        Set.of("questions[0].payload_json.actions"),
        refused(call(actions(101))).violations().keySet());
  }

  private static String actions(int count) {
    List<String> actions = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      actions.add("{\"id\":\"" + i + "\",\"name\":\"n\",\"allow\":[\"approve\"]}");
    }
    return "{\"title\":\"?\",\"actions\":[" + String.join(",", actions) + "]}";
  }

  // Secrets.

  @Test
  void aSecretInAQuestionNeverReachesTheDisk() throws Exception {
    String secret = "hunter2-" + "Zq7".repeat(5);
    String github = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8".substring(0, 36);
    Interrupt interrupt =
        raise(
            call(
                "{\"title\":\"push with "
                    + github
                    + "?\",\"actions\":[{\"id\":\"a1\",\"name\":\"login\",\"args\":{\"password\":\""
                    + secret
                    + "\"},\"allow\":[\"approve\",\"reject\"]}]}"));
    assertFalse(interrupt.getPayloadJson().contains(secret), interrupt.getPayloadJson());
    assertFalse(interrupt.getPayloadJson().contains(github), interrupt.getPayloadJson());
    assertTrue(interrupt.getPayloadJson().contains("\"password\":\"[redacted:password]\""));
    assertFalse(scenario.approval(interrupt).getPayloadJson().contains(github));
    // While it runs: what was written is in the log beside the database, if not in the database.
    assertNowhere(secret);
    assertNowhere(github);
    assertSomewhere("[redacted:password]");
    scenario.approve(interrupt);
    server.stop();
    assertNowhere(secret);
    assertNowhere(github);
    assertSomewhere("[redacted:password]");
    server.restart();
  }

  private void assertNowhere(String text) throws IOException {
    for (Path file : files()) {
      assertFalse(holds(file, text), file + " holds " + text);
    }
  }

  private void assertSomewhere(String text) throws IOException {
    assertTrue(
        files().stream().anyMatch(file -> holds(file, text)), "this test would see no secret");
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.walk(server.dataDirectory().resolve("control_plane"))) {
      return files.filter(Files::isRegularFile).toList();
    }
  }

  private static boolean holds(Path file, String text) {
    try {
      String bytes = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
      return bytes.contains(text);
    } catch (IOException failure) {
      throw new java.io.UncheckedIOException(failure);
    }
  }

  @Test
  void aDecisionReachesItsWorkerAsItWasGivenAndNobodyElse() {
    Interrupt interrupt = raise(Scenario.question("q", "Which password?"));
    String decision = "{\"answer\":{\"password\":\"hunter2hunter2\",  \"n\":1.10}}";
    String redacted = "{\"answer\":{\"password\":\"[redacted:password]\",  \"n\":1.10}}";
    assertEquals(redacted, scenario.resolve(interrupt, decision).getDecisionJson());
    assertEquals(redacted, scenario.read(interrupt).getDecisionJson());
    assertEquals(
        redacted,
        server
            .as(Role.READER)
            .interrupts()
            .listInterrupts(
                ListInterruptsRequest.newBuilder()
                    .setFilter(InterruptFilter.newBuilder().setRunId(held.runId()))
                    .build())
            .getInterrupts(0)
            .getDecisionJson());
    assertEquals(decision, handedOver().get(0).getDecisionJson());
    scenario
        .events(workspace.getWorkspaceId())
        .forEach(event -> assertFalse(event.getPayloadJson().contains("hunter2")));
  }

  // Delivery.

  @Test
  void aDecisionIsHandedOverUntilItIsTaken() {
    Interrupt interrupt =
        raise(Scenario.question("q", "Which?").toBuilder().setGuard("my guard").build());
    assertEquals(List.of(), handedOver());
    scenario.answer(interrupt, "this");
    Decision expected =
        Decision.newBuilder()
            .setInterruptId(interrupt.getInterruptId())
            .setRunId(held.runId())
            .setThreadId(held.threadId())
            .setExternalId("q")
            .setGeneration(1)
            .setPayloadHash(interrupt.getPayloadHash())
            .setStatus(InterruptStatus.INTERRUPT_STATUS_EDITED)
            .setDecisionJson("{\"answer\":\"this\"}")
            .setGuard("my guard")
            .build();
    for (int i = 0; i < 3; i++) {
      assertEquals(List.of(expected), handedOver());
    }
    server.restart();
    assertEquals(List.of(expected), handedOver());
    Interrupt taken = acknowledge(held, interrupt).get(0);
    assertTrue(taken.hasAcknowledgedAt());
    assertEquals(taken.getAcknowledgedAt(), taken.getDeliveredAt());
    assertEquals(List.of(), handedOver());
    server.time().advance(java.time.Duration.ofSeconds(1));
    assertEquals(List.of(taken), acknowledge(held, interrupt));
  }

  @Test
  void aStreamTellsWhatIsDecidedAndWhatIsWithdrawn() {
    List<Interrupt> raised =
        scenario.raise(held, Scenario.question("a", "A?"), Scenario.toolCall("b", "B?"));
    try (Recording<WatchDecisionsResponse> byRun = watchRun();
        Recording<WatchDecisionsResponse> byThread = watchThread()) {
      for (Recording<WatchDecisionsResponse> stream : List.of(byRun, byThread)) {
        stream.awaitMessage("synced", WatchDecisionsResponse::hasSynced);
      }
      scenario.answer(raised.get(0), "this");
      scenario.complete(held);
      for (Recording<WatchDecisionsResponse> stream : List.of(byRun, byThread)) {
        Decision decision =
            awaitItem(stream, "the decision", DecisionItem::hasDecision).getDecision();
        assertEquals(raised.get(0).getInterruptId(), decision.getInterruptId());
        Withdrawal withdrawal =
            awaitItem(stream, "the withdrawal", DecisionItem::hasWithdrawal).getWithdrawal();
        assertEquals(
            Withdrawal.newBuilder()
                .setInterruptId(raised.get(1).getInterruptId())
                .setRunId(held.runId())
                .setThreadId(held.threadId())
                .setExternalId("b")
                .setGeneration(1)
                .setClosedBy(ClosedBy.CLOSED_BY_RUN_ENDED)
                .build(),
            withdrawal);
        assertEquals(
            List.of(decision.getInterruptId()),
            items(stream.messages()).stream()
                .filter(DecisionItem::hasDecision)
                .map(item -> item.getDecision().getInterruptId())
                .toList(),
            "what was withdrawn came as an answer");
      }
    }
  }

  @Test
  void aChangesetsApprovalIsToldByRunAndByThread() {
    try (Recording<WatchDecisionsResponse> byRun = watchRun();
        Recording<WatchDecisionsResponse> byThread = watchThread()) {
      for (Recording<WatchDecisionsResponse> stream : List.of(byRun, byThread)) {
        stream.awaitMessage("synced", WatchDecisionsResponse::hasSynced);
      }
      Approval approved = scenario.approve(Proposals.propose(server, scenario, held).getApproval());
      for (Recording<WatchDecisionsResponse> stream : List.of(byRun, byThread)) {
        assertEquals(
            approved, awaitItem(stream, "the approval", DecisionItem::hasApproval).getApproval());
      }
    }
  }

  @Test
  void aStreamIsOfTheRunsThatItNamesAndNoOthers() {
    Scenario.Held other = scenario.running(workspace);
    Interrupt foreign = scenario.raise(other, Scenario.question("q", "?")).get(0);
    Interrupt mine = raise(Scenario.question("q", "?"));
    scenario.answer(foreign, "theirs");
    scenario.answer(mine, "mine");
    assertEquals(
        List.of(mine.getInterruptId()),
        handedOver().stream().map(Decision::getInterruptId).toList());
  }

  @Test
  void aRunThatHasEndedIsHandedNothing() {
    Interrupt interrupt = raise(Scenario.question("q", "Which?"));
    String cursor;
    try (Recording<WatchDecisionsResponse> stream = watchThread()) {
      cursor = stream.awaitMessage("synced", WatchDecisionsResponse::hasSynced).getCursor();
    }
    scenario.answer(interrupt, "this");
    WatchDecisionsRequest byThread =
        WatchDecisionsRequest.newBuilder().addThreadIds(held.threadId()).build();
    assertEquals(1, handedOver(byThread).size());
    scenario.complete(held);
    assertTrue(
        scenario
            .read(interrupt)
            .getAcknowledgedAt()
            .equals(Interrupt.getDefaultInstance().getAcknowledgedAt()));
    assertEquals(List.of(), handedOver());
    assertEquals(List.of(), handedOver(byThread));
    // Nor is the next run on its thread, from the beginning or from where a worker left off.
    Scenario.Held next =
        scenario.start(scenario.claim(scenario.approved(workspace)), held.threadId());
    assertEquals(List.of(), handedOver(byThread));
    Interrupt later = scenario.raise(next, Scenario.question("q", "Which?")).get(0);
    scenario.answer(later, "that");
    for (WatchDecisionsRequest request :
        List.of(byThread, byThread.toBuilder().setCursor(cursor).build())) {
      assertEquals(
          List.of(later.getInterruptId()),
          handedOver(request).stream().map(Decision::getInterruptId).toList());
    }
  }

  @Test
  void whatWasPassedWhileARunHadFailedIsHandedOverWhenItIsRetried() {
    Interrupt taken = raise(Scenario.question("taken", "Which?"));
    scenario.answer(taken, "this");
    acknowledge(held, taken);
    List<Interrupt> asked =
        scenario.raise(held, Scenario.question("q", "Which?"), Scenario.question("open", "And?"));
    WatchDecisionsRequest byRun =
        WatchDecisionsRequest.newBuilder().addRunIds(held.runId()).build();
    String before = inStep(byRun);
    scenario.answer(asked.get(0), "that");
    server
        .as(Role.WORKER)
        .runs()
        .failRun(
            FailRunRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setReason("no")
                .build());
    WatchDecisionsRequest fromBefore = byRun.toBuilder().setCursor(before).build();
    assertEquals(List.of(), handedOver(fromBefore));
    String passed = inStep(fromBefore);
    server
        .as(Role.OPERATOR)
        .runs()
        .retryRun(RetryRunRequest.newBuilder().setRunId(held.runId()).build());
    for (WatchDecisionsRequest request :
        List.of(byRun.toBuilder().setCursor(passed).build(), byRun)) {
      assertEquals(
          List.of("{\"answer\":\"that\"}"),
          handedOver(request).stream().map(Decision::getDecisionJson).toList());
    }
  }

  private String inStep(WatchDecisionsRequest request) {
    try (Recording<WatchDecisionsResponse> stream = watch(request)) {
      return stream.awaitMessage("synced", WatchDecisionsResponse::hasSynced).getCursor();
    }
  }

  // Acknowledging.

  @Test
  void whatIsUnknownOrOfAnotherRunIsRefusedByName() {
    Scenario.Held other = scenario.running(workspace);
    Interrupt foreign = scenario.raise(other, Scenario.question("q", "?")).get(0);
    scenario.answer(foreign, "theirs");
    Interrupt mine = raise(Scenario.question("q", "?"));
    scenario.answer(mine, "mine");
    Interrupt unknown = Interrupt.newBuilder().setInterruptId("intr_" + "0".repeat(32)).build();
    for (Interrupt wrong : List.of(foreign, unknown)) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_NOT_FOUND, () -> acknowledge(held, mine, wrong));
      assertEquals(Map.of("id", wrong.getInterruptId()), refusal.metadata());
      assertFalse(scenario.read(mine).hasAcknowledgedAt(), "half of a request was carried out");
    }
  }

  @Test
  void whatIsNotDecidedCannotBeTaken() {
    List<Interrupt> raised =
        scenario.raise(held, Scenario.question("a", "?"), Scenario.question("b", "?"));
    scenario.raise(held, Scenario.question("a", "?"));
    for (int i = 0; i < 2; i++) {
      Interrupt wrong = raised.get(i);
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_WRONG_STATE, () -> acknowledge(held, wrong));
      assertEquals(
          Map.of(
              "id",
              wrong.getInterruptId(),
              "state",
              i == 0 ? "pending" : "withdrawn",
              "allowed",
              "decided"),
          refusal.metadata());
    }
  }

  @Test
  void aQuestionThatItsSecretsMakeTooLargeIsRefusedAndNotADefect() {
    StringBuilder context = new StringBuilder("{\"title\":\"?\",\"context\":[");
    for (int i = 0; i < 100_000; i++) {
      context.append(i == 0 ? "" : ",").append("{\"pwd\":1}");
    }
    Question question =
        Scenario.question("q", "?").toBuilder()
            .setPayloadJson(context.append("]}").toString())
            .build();
    Failures.of(Reason.REASON_TOO_LARGE, () -> scenario.raise(held, question));
  }
}
