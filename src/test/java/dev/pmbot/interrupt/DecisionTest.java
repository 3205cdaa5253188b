package dev.pmbot.interrupt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What may answer a question, and what an answer comes to. */
final class DecisionTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(workspace);

  @AfterEach
  void stop() {
    server.close();
  }

  private Interrupt ask(InterruptKind kind, String payload) {
    return scenario
        .raise(
            held,
            Question.newBuilder()
                .setExternalId(Scenario.unique("q"))
                .setKind(kind)
                .setPayloadJson(payload)
                .build())
        .get(0);
  }

  /** Two tool calls: {@code a} allows everything and has a schema, {@code b} only yes and no. */
  private Interrupt twoActions() {
    return ask(
        InterruptKind.INTERRUPT_KIND_APPROVE_TOOL_CALL,
        """
        {"title":"Two","actions":[
          {"id":"a","name":"write","args":{"path":"x"},"allow":["approve","edit","reject","respond"],
           "args_schema":{"type":"object","properties":{"path":{"type":"string"},"n":{"type":"integer"}},
                          "required":["path"],"additionalProperties":false}},
          {"id":"b","name":"delete","args":{},"allow":["approve","reject"]}]}
        """);
  }

  private Approval resolveApproval(Interrupt interrupt, boolean yes) {
    return server
        .as(Role.OPERATOR)
        .approvals()
        .resolveApproval(
            ResolveApprovalRequest.newBuilder()
                .setApprovalId(interrupt.getApprovalId())
                .setPayloadHash(interrupt.getPayloadHash())
                .setStatus(
                    yes
                        ? ApprovalStatus.APPROVAL_STATUS_APPROVED
                        : ApprovalStatus.APPROVAL_STATUS_REJECTED)
                .build())
        .getApproval();
  }

  private Failures.Refusal refused(Interrupt interrupt, String decision) {
    List<String> before = scenario.eventTypes(workspace.getWorkspaceId());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_DECISION, () -> scenario.resolve(interrupt, decision));
    assertEquals(interrupt, scenario.read(interrupt));
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()));
    return refusal;
  }

  private static String decision(String type, String otherType) {
    return "{\"decisions\":[" + one("a", type) + "," + one("b", otherType) + "]}";
  }

  private static String one(String id, String type) {
    String more =
        switch (type) {
          case "edit" -> ",\"args\":{\"path\":\"y\"}";
          case "respond" -> ",\"message\":\"no, wait\"";
          default -> "";
        };
    return "{\"action_id\":\"" + id + "\",\"type\":\"" + type + "\"" + more + "}";
  }

  @ParameterizedTest
  @CsvSource({
    "approve, approve, APPROVED, APPROVED",
    "reject, reject, REJECTED, REJECTED",
    "approve, reject, EDITED, APPROVED",
    "reject, approve, EDITED, APPROVED",
    "edit, approve, EDITED, APPROVED",
    "edit, reject, EDITED, APPROVED",
    "respond, reject, EDITED, REJECTED",
    "respond, approve, EDITED, APPROVED"
  })
  void aDecisionIsSummedUp(String first, String second, String status, String approval) {
    Interrupt interrupt = twoActions();
    Interrupt resolved = scenario.resolve(interrupt, decision(first, second));
    assertEquals(InterruptStatus.valueOf("INTERRUPT_STATUS_" + status), resolved.getStatus());
    assertEquals(ClosedBy.CLOSED_BY_DECISION, resolved.getClosedBy());
    assertEquals("local_user", resolved.getActor());
    assertEquals(decision(first, second), resolved.getDecisionJson());
    Approval resolvedApproval = scenario.approval(interrupt);
    assertEquals(
        ApprovalStatus.valueOf("APPROVAL_STATUS_" + approval), resolvedApproval.getStatus());
    assertEquals(ClosedBy.CLOSED_BY_DECISION, resolvedApproval.getClosedBy());
    assertEquals(resolved.getResolvedAt(), resolvedApproval.getResolvedAt());
  }

  @ParameterizedTest
  @ValueSource(strings = {"null", "{}", "0", "\"\"", "[]", "false", "{\"answer\":1}", "1.10"})
  void aQuestionTakesAnyJsonAndIsThenEdited(String answer) {
    Interrupt question = ask(InterruptKind.INTERRUPT_KIND_QUESTION, "{\"title\":\"?\"}");
    assertEquals("", question.getApprovalId());
    Interrupt resolved = scenario.resolve(question, "{\"answer\":" + answer + "}");
    assertEquals(InterruptStatus.INTERRUPT_STATUS_EDITED, resolved.getStatus());
    assertEquals("{\"answer\":" + answer + "}", resolved.getDecisionJson());
  }

  @ParameterizedTest
  @CsvSource({"true, APPROVED, approve", "false, REJECTED, reject"})
  void theApprovalDecidesItsQuestionForEveryAction(boolean yes, String status, String type) {
    Interrupt interrupt = twoActions();
    Approval resolved = resolveApproval(interrupt, yes);
    assertEquals(ApprovalStatus.valueOf("APPROVAL_STATUS_" + status), resolved.getStatus());
    Interrupt decided = scenario.read(interrupt);
    assertEquals(InterruptStatus.valueOf("INTERRUPT_STATUS_" + status), decided.getStatus());
    assertEquals(resolved.getResolvedAt(), decided.getResolvedAt());
    // Whoever decides the question itself in the same way says the same.
    assertEquals(decided, scenario.resolve(interrupt, decision(type, type)));
  }

  @Test
  void anApprovalDoesNotDecideWhatItsQuestionDoesNotAllow() {
    Interrupt interrupt =
        ask(
            InterruptKind.INTERRUPT_KIND_APPROVE_SPEND,
            "{\"title\":\"?\",\"actions\":[{\"id\":\"a\",\"name\":\"n\",\"allow\":[\"edit\","
                + "\"reject\"]}]}");
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_DECISION, () -> resolveApproval(interrupt, true));
    assertEquals(Set.of("decision_json.decisions[0].type"), refusal.violations().keySet());
    assertEquals(ApprovalStatus.APPROVAL_STATUS_PENDING, scenario.approval(interrupt).getStatus());
    assertEquals(interrupt, scenario.read(interrupt));
    resolveApproval(interrupt, false);
    assertEquals(InterruptStatus.INTERRUPT_STATUS_REJECTED, scenario.read(interrupt).getStatus());
  }

  @Test
  void aDecisionNamesWhatItSaw() {
    Interrupt other = ask(InterruptKind.INTERRUPT_KIND_QUESTION, "{\"title\":\"another\"}");
    for (String hash : List.of("0".repeat(64), other.getPayloadHash())) {
      Interrupt interrupt = twoActions();
      Interrupt seen = interrupt.toBuilder().setPayloadHash(hash).build();
      Failures.Refusal refusal =
          Failures.of(
              Reason.REASON_STALE_DECISION,
              () -> scenario.resolve(seen, decision("approve", "approve")));
      assertEquals(Map.of("id", interrupt.getInterruptId()), refusal.metadata());
      Failures.of(Reason.REASON_STALE_DECISION, () -> resolveApproval(seen, true));
      // A stale hash is told before anything else that is wrong.
      Failures.of(Reason.REASON_STALE_DECISION, () -> scenario.resolve(seen, "{}"));
      assertEquals(interrupt, scenario.read(interrupt));
    }
  }

  @Test
  void everythingThatIsWrongIsToldAtOnce() {
    Interrupt interrupt = twoActions();
    Failures.Refusal refusal =
        refused(
            interrupt,
            """
            {"decisions":[
              {"action_id":"a","type":"edit","args":{"n":"three","more":1},"message":"m"},
              {"action_id":"a","type":"approve"},
              {"action_id":"z","type":"approve"},
              {"action_id":"b","type":"edit","args":{}}]}
            """);
    assertEquals(
        new TreeSet<>(
            Set.of(
                "decision_json.decisions[0].message",
                "decision_json.decisions[0].args",
                "decision_json.decisions[0].args/n",
                "decision_json.decisions[1].action_id",
                "decision_json.decisions[2].action_id",
                "decision_json.decisions[3].type")),
        new TreeSet<>(refusal.violations().keySet()));
    assertTrue(
        String.valueOf(refusal.violations().get("decision_json.decisions[0].args"))
            .contains("path"),
        refusal.toString());
  }

  static List<org.junit.jupiter.params.provider.Arguments> wrongDecisions() {
    return List.of(
        wrong("{}", ""),
        wrong("[]", ""),
        wrong("{\"answer\":1}", ""),
        wrong("{\"decisions\":{}}", ""),
        wrong("{\"decisions\":[],\"more\":1}", ""),
        wrong("{\"decisions\":[]}", ".decisions"),
        wrong("{\"decisions\":[" + one("a", "approve") + "]}", ".decisions"),
        wrong("{\"decisions\":[" + one("a", "approve") + ",1]}", ".decisions[1].action_id"),
        wrong(decision("approve", "maybe"), ".decisions[1].type"),
        wrong(decision("approve", "respond"), ".decisions[1].type"),
        wrong(
            "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"approve\",\"args\":{}},"
                + one("b", "approve")
                + "]}",
            ".decisions[0].args"),
        wrong(
            "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"approve\",\"message\":\"m\"},"
                + one("b", "approve")
                + "]}",
            ".decisions[0].message"),
        wrong(
            "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"edit\"}," + one("b", "approve") + "]}",
            ".decisions[0].args"),
        wrong(
            "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"edit\",\"args\":[]},"
                + one("b", "approve")
                + "]}",
            ".decisions[0].args"),
        wrong(
            "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"respond\"},"
                + one("b", "approve")
                + "]}",
            ".decisions[0].message"),
        wrong(
            "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"reject\",\"message\":1},"
                + one("b", "approve")
                + "]}",
            ".decisions[0].message"));
  }

  private static org.junit.jupiter.params.provider.Arguments wrong(String decision, String path) {
    return org.junit.jupiter.params.provider.Arguments.of(decision, "decision_json" + path);
  }

  @ParameterizedTest
  @MethodSource("wrongDecisions")
  void aDecisionOfTheWrongShapeIsRefused(String decision, String path) {
    Failures.Refusal refusal = refused(twoActions(), decision);
    assertTrue(refusal.violations().containsKey(path), refusal.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"{}", "1", "{\"decisions\":[]}", "{\"answer\":1,\"more\":1}"})
  void aQuestionTakesAnAnswerAndNothingElse(String decision) {
    Interrupt question = ask(InterruptKind.INTERRUPT_KIND_QUESTION, "{\"title\":\"?\"}");
    assertEquals(Set.of("decision_json"), refused(question, decision).violations().keySet());
  }

  @Test
  void anAnswerFitsItsSchema() {
    Interrupt question =
        ask(
            InterruptKind.INTERRUPT_KIND_QUESTION,
            "{\"title\":\"?\",\"response_schema\":{\"type\":\"object\",\"properties\":"
                + "{\"size\":{\"enum\":[\"S\",\"M\"]}},\"required\":[\"size\"]}}");
    assertEquals(
        Set.of("decision_json.answer/size"),
        refused(question, "{\"answer\":{\"size\":\"XL\"}}").violations().keySet());
    assertEquals(
        Set.of("decision_json.answer"), refused(question, "{\"answer\":{}}").violations().keySet());
    scenario.resolve(question, "{\"answer\":{\"size\":\"M\"}}");
  }

  @Test
  void aRedactedLeafIsExemptFromTheSchemaAndItsDescriptionOutlivesRedaction() {
    Interrupt interrupt =
        ask(
            InterruptKind.INTERRUPT_KIND_APPROVE_TOOL_CALL,
            "{\"title\":\"?\",\"actions\":[{\"id\":\"a\",\"name\":\"login\",\"args\":"
                + "{\"user\":\"u\",\"password\":\"hunter2hunter2\"},\"allow\":[\"edit\"],"
                + "\"args_schema\":{\"type\":\"object\",\"properties\":{\"user\":{\"type\":"
                + "\"string\"},\"password\":{\"type\":\"string\",\"maxLength\":14}}}}]}");
    assertTrue(interrupt.getPayloadJson().contains("[redacted:password]"));
    assertTrue(interrupt.getPayloadJson().contains("\"maxLength\":14"));
    assertEquals(
        Set.of("decision_json.decisions[0].args/password"),
        refused(
                interrupt,
                "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"edit\",\"args\":"
                    + "{\"password\":\"far too long for this one\"}}]}")
            .violations()
            .keySet());
    assertEquals(
        Set.of("decision_json.decisions[0].args/user"),
        refused(
                interrupt,
                "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"edit\",\"args\":"
                    + "{\"user\":1,\"password\":\"[redacted:password]\"}}]}")
            .violations()
            .keySet());
    scenario.resolve(
        interrupt,
        "{\"decisions\":[{\"action_id\":\"a\",\"type\":\"edit\",\"args\":"
            + "{\"user\":\"v\",\"password\":\"[redacted:password]\"}}]}");
  }

  @Test
  void aSchemaThatRefersToItselfWithoutEndIsRefusedAtTheDoor() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                ask(
                    InterruptKind.INTERRUPT_KIND_QUESTION,
                    "{\"title\":\"?\",\"response_schema\":{\"$ref\":\"#\"}}"));
    assertEquals(
        Set.of("questions[0].payload_json.response_schema"), refusal.violations().keySet());
  }

  @Test
  void aSchemaIsFollowedNowhereElse() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                ask(
                    InterruptKind.INTERRUPT_KIND_QUESTION,
                    "{\"title\":\"?\",\"response_schema\":{\"$ref\":\"http://127.0.0.1/x\"}}"));
    assertEquals(
        Set.of("questions[0].payload_json.response_schema"), refusal.violations().keySet());
  }

  @Test
  void theSameDecisionAgainIsAnsweredAsTheFirstWas() {
    Interrupt interrupt = twoActions();
    Interrupt first = scenario.resolve(interrupt, decision("edit", "reject"));
    List<String> before = scenario.eventTypes(workspace.getWorkspaceId());
    server.time().advance(java.time.Duration.ofSeconds(1));
    assertEquals(first, scenario.resolve(interrupt, decision("edit", "reject")));
    assertEquals(first, scenario.resolve(interrupt, " " + decision("edit", "reject") + "\n"));
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()));
  }

  @Test
  void anotherDecisionIsRefusedAndNamesTheFirst() {
    Interrupt interrupt = twoActions();
    scenario.resolve(interrupt, decision("edit", "reject"));
    for (String other :
        List.of(decision("approve", "approve"), decision("edit", "approve"), "{}")) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_ALREADY_DECIDED, () -> scenario.resolve(interrupt, other));
      assertEquals(
          Map.of(
              "id", interrupt.getInterruptId(),
              "state", "edited",
              "actor", "local_user",
              "resolved_at", "2026-03-01T12:00:00Z"),
          refusal.metadata());
    }
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_ALREADY_DECIDED, () -> resolveApproval(interrupt, false));
    assertEquals("approved", refusal.metadata().get("state"));
    assertEquals(decision("edit", "reject"), scenario.read(interrupt).getDecisionJson());
  }

  @ParameterizedTest
  @CsvSource({
    "approve, approve, true",
    "reject, reject, false",
    "approve, reject, true",
    "edit, approve, true",
    "respond, reject, false"
  })
  void theApprovalsDecisionIsTheSameOnlyWhenEveryActionWasDecidedSo(
      String first, String second, boolean yes) {
    Interrupt interrupt = twoActions();
    Interrupt decided = scenario.resolve(interrupt, decision(first, second));
    if (first.equals(second)) {
      assertEquals(scenario.approval(interrupt), resolveApproval(interrupt, yes));
    } else {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_ALREADY_DECIDED, () -> resolveApproval(interrupt, yes));
      assertEquals(interrupt.getInterruptId(), refusal.metadata().get("id"));
      assertEquals("edited", refusal.metadata().get("state"));
      assertEquals("local_user", refusal.metadata().get("actor"));
    }
    assertEquals(decided, scenario.read(interrupt));
  }

  @Test
  void theSameDecisionInAnotherOrderIsTheSame() {
    Interrupt interrupt = twoActions();
    Interrupt first = scenario.resolve(interrupt, decision("edit", "approve"));
    String turned = "{\"decisions\":[" + one("b", "approve") + "," + one("a", "edit") + "]}";
    assertEquals(first, scenario.resolve(interrupt, turned));
    String twice =
        "{\"decisions\":[%s,%s,%s]}"
            .formatted(one("a", "edit"), one("b", "approve"), one("b", "approve"));
    Failures.of(Reason.REASON_ALREADY_DECIDED, () -> scenario.resolve(interrupt, twice));
    Interrupt all = twoActions();
    scenario.resolve(
        all, "{\"decisions\":[" + one("b", "reject") + "," + one("a", "reject") + "]}");
    assertEquals(scenario.approval(all), resolveApproval(all, false));
  }

  @Test
  void ofManyDecisionsAtOnceOneIsMade() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      for (int round = 0; round < 10; round++) {
        Interrupt interrupt = twoActions();
        List<Future<Boolean>> attempts =
            IntStream.range(0, 8)
                .mapToObj(
                    i ->
                        threads.submit(
                            () -> {
                              try {
                                if (i % 2 == 0) {
                                  scenario.resolve(
                                      interrupt,
                                      "{\"decisions\":["
                                          + one("a", "approve")
                                          + ","
                                          + "{\"action_id\":\"b\",\"type\":\"reject\","
                                          + "\"message\":\""
                                          + i
                                          + "\"}]}");
                                } else {
                                  resolveApproval(interrupt, i % 4 == 1);
                                }
                                return true;
                              } catch (io.grpc.StatusRuntimeException refused) {
                                assertEquals("ALREADY_DECIDED", Failures.read(refused).reason());
                                return false;
                              }
                            }))
                .toList();
        for (Future<Boolean> attempt : attempts) {
          attempt.get();
        }
        List<String> resolved =
            scenario.events(workspace.getWorkspaceId()).stream()
                .filter(event -> event.getType().endsWith(".resolved"))
                .filter(event -> event.getPayloadJson().contains(interrupt.getPayloadHash()))
                .filter(event -> event.getPayloadJson().contains(interrupt.getInterruptId()))
                .map(event -> event.getType())
                .toList();
        assertEquals(
            new TreeSet<>(Set.of("approval.resolved", "interrupt.resolved")),
            new TreeSet<>(resolved));
        assertEquals(2, resolved.size());
        Interrupt decided = scenario.read(interrupt);
        boolean carriedOut = decided.getDecisionJson().contains("\"approve\"");
        assertEquals(
            carriedOut
                ? ApprovalStatus.APPROVAL_STATUS_APPROVED
                : ApprovalStatus.APPROVAL_STATUS_REJECTED,
            scenario.approval(interrupt).getStatus());
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void aDecisionMayBeNestedAsDeepAsAnyJson() {
    Interrupt question = ask(InterruptKind.INTERRUPT_KIND_QUESTION, "{\"title\":\"?\"}");
    String answer = "{\"answer\":" + "[".repeat(63) + "]".repeat(63) + "}";
    assertEquals(answer, scenario.resolve(question, answer).getDecisionJson());
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  @Test
  void aDecisionThatItsSecretsMakeTooLargeIsRefusedAndNotADefect() {
    Interrupt question = ask(InterruptKind.INTERRUPT_KIND_QUESTION, "{\"title\":\"?\"}");
    StringBuilder answer = new StringBuilder("{\"answer\":[");
    for (int i = 0; i < 100_000; i++) {
      answer.append(i == 0 ? "" : ",").append("{\"pwd\":1}");
    }
    String decision = answer.append("]}").toString();
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_TOO_LARGE, () -> scenario.resolve(question, decision));
    assertEquals(Map.of("limit", "2088960"), refusal.metadata());
    assertEquals(question, scenario.read(question));
  }

  @Test
  void notesAreKeptRedactedWithTheApproval() {
    Interrupt interrupt = twoActions();
    server
        .as(Role.OPERATOR)
        .interrupts()
        .resolveInterrupt(
            ResolveInterruptRequest.newBuilder()
                .addDecisions(
                    Scenario.decision(interrupt, decision("approve", "reject")).toBuilder()
                        .setNotes("b is needed; api_key=s3cr3t-s3cr3t"))
                .build());
    String notes = scenario.approval(interrupt).getNotes();
    assertTrue(notes.startsWith("b is needed; api_key=[redacted:"), notes);
  }

  @Test
  void notesThatTheirSecretsMakeTooLongAreCut() {
    Interrupt interrupt = twoActions();
    server
        .as(Role.OPERATOR)
        .interrupts()
        .resolveInterrupt(
            ResolveInterruptRequest.newBuilder()
                .addDecisions(
                    Scenario.decision(interrupt, decision("approve", "reject")).toBuilder()
                        .setNotes("pwd=x1 ".repeat(580)))
                .build());
    String notes = scenario.approval(interrupt).getNotes();
    assertTrue(notes.startsWith("pwd=[redacted:password] "), notes);
    assertTrue(notes.length() <= 8192, "is " + notes.length());
  }
}
