package dev.pmbot.interrupt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptDecision;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.ResolveInterruptResponse;
import dev.pmbot.v1.ResolveInterruptResult;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Several decisions in one call: each is made by itself, or refused and without a trace. */
final class ResolveSeveralTest {
  private static final String APPROVE =
      "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"approve\"}]}";
  private static final String REJECT =
      "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"reject\"}]}";

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(workspace);

  @AfterEach
  void stop() {
    server.close();
  }

  private ResolveInterruptResponse resolve(ResolveInterruptRequest request) {
    return server.as(Role.OPERATOR).interrupts().resolveInterrupt(request);
  }

  private static ResolveInterruptRequest request(List<InterruptDecision> decisions) {
    return ResolveInterruptRequest.newBuilder().addAllDecisions(decisions).build();
  }

  private List<ResolveInterruptResult> resolve(InterruptDecision... decisions) {
    return resolve(request(List.of(decisions))).getResultsList();
  }

  private static InterruptDecision decision(Interrupt interrupt, String decisionJson) {
    return Scenario.decision(interrupt, decisionJson);
  }

  private static Failures.Refusal refusal(ResolveInterruptResult result) {
    assertTrue(result.hasError(), result.toString());
    return Failures.read(StatusProto.toStatusRuntimeException(result.getError()));
  }

  private List<AuditEvent> events() {
    return scenario.events(workspace.getWorkspaceId());
  }

  private static Interrupt withoutTexts(Interrupt interrupt) {
    return interrupt.toBuilder().clearPayloadJson().clearDecisionJson().build();
  }

  @Test
  void eachIsDecidedAndAnsweredInItsOrder() {
    List<Interrupt> raised =
        scenario.raise(
            held,
            Scenario.toolCall("a", "A?"),
            Scenario.question("b", "B?"),
            Scenario.toolCall("c", "C?"));
    scenario.pause(held);
    int before = events().size();
    List<ResolveInterruptResult> results =
        resolve(
            decision(raised.get(2), REJECT),
            decision(raised.get(0), APPROVE),
            decision(raised.get(1), "{\"answer\":{\"password\":\"hunter2\"}}"));
    assertEquals(
        List.of(
            withoutTexts(scenario.read(raised.get(2))),
            withoutTexts(scenario.read(raised.get(0))),
            withoutTexts(scenario.read(raised.get(1)))),
        results.stream().map(ResolveInterruptResult::getInterrupt).toList());
    assertEquals(
        List.of(
            InterruptStatus.INTERRUPT_STATUS_REJECTED,
            InterruptStatus.INTERRUPT_STATUS_APPROVED,
            InterruptStatus.INTERRUPT_STATUS_EDITED),
        results.stream().map(result -> result.getInterrupt().getStatus()).toList());
    assertEquals(
        ApprovalStatus.APPROVAL_STATUS_REJECTED, scenario.approval(raised.get(2)).getStatus());
    assertEquals(
        ApprovalStatus.APPROVAL_STATUS_APPROVED, scenario.approval(raised.get(0)).getStatus());
    assertEquals(
        List.of(
            "approval.resolved",
            "interrupt.resolved",
            "approval.resolved",
            "interrupt.resolved",
            "interrupt.resolved",
            "run.resumed"),
        scenario.eventTypes(workspace.getWorkspaceId()).subList(before, before + 6));
    assertEquals(RunStatus.RUN_STATUS_RUNNING, scenario.read(held.run()).getStatus());
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  @Test
  void whatIsRefusedSaysWhyAndLeavesNoTraceAndKeepsNothingElseFromBeingDecided() {
    Scenario.Held ended = scenario.running(workspace);
    Interrupt closed = scenario.raise(ended, Scenario.toolCall("t", "?")).get(0);
    scenario.complete(ended);
    List<Interrupt> raised =
        scenario.raise(
            held,
            Scenario.toolCall("first", "?"),
            Scenario.toolCall("stale", "?"),
            Scenario.toolCall("decided", "?"),
            Scenario.toolCall("invalid", "?"),
            Scenario.question("large", "?"),
            Scenario.toolCall("last", "?"));
    scenario.resolve(raised.get(2), REJECT);
    List<Interrupt> refused = new ArrayList<>(raised.subList(1, 5));
    refused.add(closed);
    List<Interrupt> standing = refused.stream().map(scenario::read).toList();
    String unknown = "intr_" + "0".repeat(32);
    int before = events().size();

    List<ResolveInterruptResult> results =
        resolve(
            decision(raised.get(0), APPROVE),
            decision(raised.get(1), APPROVE).toBuilder().setPayloadHash("0".repeat(64)).build(),
            decision(raised.get(2), APPROVE),
            decision(raised.get(3), "{\"decisions\":[{\"action_id\":\"x\",\"type\":\"approve\"}]}"),
            decision(raised.get(4), "{\"answer\":[" + "{\"pwd\":1},".repeat(100_000) + "0]}"),
            decision(closed, APPROVE),
            decision(closed, APPROVE).toBuilder().setInterruptId(unknown).build(),
            decision(raised.get(5), REJECT));

    assertEquals(8, results.size());
    assertEquals(
        InterruptStatus.INTERRUPT_STATUS_APPROVED, results.get(0).getInterrupt().getStatus());
    assertEquals(
        InterruptStatus.INTERRUPT_STATUS_REJECTED, results.get(7).getInterrupt().getStatus());
    List<Failures.Refusal> refusals =
        results.subList(1, 7).stream().map(ResolveSeveralTest::refusal).toList();
    assertEquals(
        List.of(
            "STALE_DECISION",
            "ALREADY_DECIDED",
            "INVALID_DECISION",
            "TOO_LARGE",
            "QUESTION_CLOSED",
            "NOT_FOUND"),
        refusals.stream().map(Failures.Refusal::reason).toList());
    assertEquals(
        List.of(
            Status.Code.ABORTED,
            Status.Code.FAILED_PRECONDITION,
            Status.Code.INVALID_ARGUMENT,
            Status.Code.RESOURCE_EXHAUSTED,
            Status.Code.FAILED_PRECONDITION,
            Status.Code.NOT_FOUND),
        refusals.stream().map(Failures.Refusal::code).toList());
    assertEquals(
        Set.of("decision_json.decisions[0].action_id", "decision_json.decisions"),
        refusals.get(2).violations().keySet());
    assertEquals(Map.of("id", unknown), refusals.get(5).metadata());

    assertEquals(standing, refused.stream().map(scenario::read).toList());
    assertEquals(
        ApprovalStatus.APPROVAL_STATUS_PENDING, scenario.approval(raised.get(1)).getStatus());
    assertEquals(
        ApprovalStatus.APPROVAL_STATUS_PENDING, scenario.approval(raised.get(3)).getStatus());
    List<AuditEvent> told = events().subList(before, events().size());
    assertEquals(
        List.of(
            "approval.resolved", "interrupt.resolved", "approval.resolved", "interrupt.resolved"),
        told.stream().map(AuditEvent::getType).toList());
    assertTrue(told.get(1).getPayloadJson().contains(raised.get(0).getInterruptId()));
    assertTrue(told.get(3).getPayloadJson().contains(raised.get(5).getInterruptId()));
  }

  @Test
  void oneAloneThatIsRefusedIsRefusedAsACall() {
    Interrupt raised = scenario.raise(held, Scenario.toolCall("t", "?")).get(0);
    ResolveInterruptRequest wrong =
        Scenario.withRequestId(request(List.of(decision(raised, "{\"answer\":1}"))));
    Failures.of(Reason.REASON_INVALID_DECISION, () -> resolve(wrong));
    // A refusal is not remembered: the same id may be asked with again, and then it goes through.
    ResolveInterruptRequest right =
        wrong.toBuilder().setDecisions(0, decision(raised, APPROVE)).build();
    assertEquals(
        InterruptStatus.INTERRUPT_STATUS_APPROVED,
        resolve(right).getResults(0).getInterrupt().getStatus());
  }

  @Test
  void eachInterruptIsNamedOnce() {
    Interrupt raised = scenario.raise(held, Scenario.toolCall("t", "?")).get(0);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () -> resolve(decision(raised, APPROVE), decision(raised, REJECT)));
    assertEquals(Map.of("decisions", "name each interrupt once"), refusal.violations());
    assertEquals(raised, scenario.read(raised));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 101})
  void aCallHasOneToAHundredDecisions(int count) {
    List<InterruptDecision> decisions = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      decisions.add(
          InterruptDecision.newBuilder()
              .setInterruptId("intr_%032x".formatted(i))
              .setPayloadHash("0".repeat(64))
              .setDecisionJson("{}")
              .build());
    }
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> resolve(request(decisions)));
    assertEquals(Set.of("decisions"), refusal.violations().keySet());
  }

  @Test
  void aRetryIsAnsweredAsTheFirstWasAlsoWhereItWasRefused() {
    List<Interrupt> raised =
        scenario.raise(held, Scenario.toolCall("a", "?"), Scenario.toolCall("b", "?"));
    ResolveInterruptRequest request =
        Scenario.withRequestId(
            request(
                List.of(
                    decision(raised.get(0), APPROVE),
                    decision(raised.get(1), APPROVE).toBuilder()
                        .setPayloadHash("0".repeat(64))
                        .build())));
    ResolveInterruptResponse first = resolve(request);
    scenario.resolve(raised.get(1), REJECT);
    int before = events().size();
    assertEquals(first, resolve(request));
    assertEquals(before, events().size());
  }

  @Test
  void aHundredLargeQuestionsAreAnsweredInOneSmallReply() {
    String context = "x".repeat(30_000);
    Question[] questions = new Question[100];
    for (int i = 0; i < questions.length; i++) {
      questions[i] =
          Scenario.question("q" + i, "?").toBuilder()
              .setPayloadJson("{\"context\":\"" + context + "\",\"title\":\"?\"}")
              .build();
    }
    List<InterruptDecision> decisions = new ArrayList<>();
    scenario
        .raise(held, questions)
        .forEach(raised -> decisions.add(decision(raised, "{\"answer\":\"" + context + "\"}")));
    ResolveInterruptResponse response = resolve(request(decisions));
    assertEquals(100, response.getResultsList().stream().filter(r -> r.hasInterrupt()).count());
    assertTrue(response.getSerializedSize() < 100_000, "is " + response.getSerializedSize());
  }
}
