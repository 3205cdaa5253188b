package dev.pmbot.approval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.ListApprovalsResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A person's yes and no: bound to what was shown, made once, and by nobody else. */
final class ApprovalTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  private static ResolveApprovalRequest.Builder yes(Approval approval) {
    return ResolveApprovalRequest.newBuilder()
        .setApprovalId(approval.getApprovalId())
        .setPayloadHash(approval.getPayloadHash())
        .setStatus(ApprovalStatus.APPROVAL_STATUS_APPROVED);
  }

  private Approval resolve(ResolveApprovalRequest.Builder request) {
    return server.as(Role.OPERATOR).approvals().resolveApproval(request.build()).getApproval();
  }

  @Test
  void aYesIsForWhatWasShown() {
    CreateRunResponse proposed = scenario.propose(workspace);
    for (String hash :
        List.of("0".repeat(64), scenario.propose(workspace).getApproval().getPayloadHash())) {
      Failures.Refusal refusal =
          Failures.of(
              Reason.REASON_STALE_DECISION,
              () -> resolve(yes(proposed.getApproval()).setPayloadHash(hash)));
      assertEquals(Map.of("id", proposed.getApproval().getApprovalId()), refusal.metadata());
    }
    assertEquals(RunStatus.RUN_STATUS_PROPOSED, scenario.read(proposed.getRun()).getStatus());
  }

  @Test
  void theHashNamesTheContentUnderAKeyOfThisServer() {
    String spec = "{\"input\":{\"password\":\"one\"}}";
    Approval first = propose("g", spec);
    assertEquals(first.getPayloadHash(), propose("g", spec).getPayloadHash());
    // What differs only in a secret looks the same, and is not.
    Approval other = propose("g", spec.replace("one", "two"));
    assertEquals(first.getPayloadJson(), other.getPayloadJson());
    assertNotEquals(first.getPayloadHash(), other.getPayloadHash());
    assertFalse(first.getPayloadJson().contains("one"), first.getPayloadJson());
    server.restart();
    assertEquals(first.getPayloadHash(), propose("g", spec).getPayloadHash());
    try (TestServer elsewhere = TestServer.start()) {
      Scenario there = new Scenario(elsewhere);
      Approval theirs =
          elsewhere
              .as(Role.OPERATOR)
              .runs()
              .createRun(
                  there.newRun(there.workspace()).setGraphId("g").setAgentRunSpecJson(spec).build())
              .getApproval();
      assertEquals(first.getPayloadJson(), theirs.getPayloadJson());
      assertNotEquals(first.getPayloadHash(), theirs.getPayloadHash());
    }
  }

  private Approval propose(String graphId, String spec) {
    return server
        .as(Role.OPERATOR)
        .runs()
        .createRun(scenario.newRun(workspace).setGraphId(graphId).setAgentRunSpecJson(spec).build())
        .getApproval();
  }

  @Test
  void theSameDecisionAgainIsAnsweredAsTheFirstWas() {
    Approval approval = scenario.propose(workspace).getApproval();
    Approval first = resolve(yes(approval).setNotes("go"));
    List<String> before = scenario.eventTypes(workspace.getWorkspaceId());
    server.time().advance(java.time.Duration.ofMinutes(1));
    assertEquals(first, resolve(yes(approval).setNotes("go on, then")));
    assertEquals("go", first.getNotes());
    assertEquals("local_user", first.getActor());
    assertEquals(ClosedBy.CLOSED_BY_DECISION, first.getClosedBy());
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()));
  }

  @Test
  void anotherDecisionIsRefusedAndNamesTheFirst() {
    CreateRunResponse proposed = scenario.propose(workspace);
    scenario.approve(proposed.getApproval());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_ALREADY_DECIDED, () -> scenario.reject(proposed.getApproval()));
    assertEquals(
        Map.of(
            "id", proposed.getApproval().getApprovalId(),
            "state", "approved",
            "actor", "local_user",
            "resolved_at", "2026-03-01T12:00:00Z"),
        refusal.metadata());
    assertEquals(RunStatus.RUN_STATUS_APPROVED, scenario.read(proposed.getRun()).getStatus());
  }

  @ParameterizedTest
  @ValueSource(strings = {"WORKER", "READER"})
  void nobodyElseDecides(Role role) {
    CreateRunResponse proposed = scenario.propose(workspace);
    Failures.of(
        Reason.REASON_ROLE_NOT_ALLOWED,
        () -> server.as(role).approvals().resolveApproval(yes(proposed.getApproval()).build()));
    assertEquals(RunStatus.RUN_STATUS_PROPOSED, scenario.read(proposed.getRun()).getStatus());
  }

  @Test
  void anApprovalThatTheSystemClosedTakesNoAnswer() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt raised = scenario.raise(held, Scenario.toolCall("t", "?")).get(0);
    scenario.complete(held);
    Approval approval =
        Approval.newBuilder()
            .setApprovalId(raised.getApprovalId())
            .setPayloadHash(raised.getPayloadHash())
            .build();
    for (ApprovalStatus status :
        List.of(ApprovalStatus.APPROVAL_STATUS_APPROVED, ApprovalStatus.APPROVAL_STATUS_REJECTED)) {
      Failures.Refusal refusal =
          Failures.of(
              Reason.REASON_QUESTION_CLOSED, () -> resolve(yes(approval).setStatus(status)));
      assertEquals(
          Map.of("id", raised.getApprovalId(), "closed_by", "run_ended"), refusal.metadata());
    }
  }

  @Test
  void aListIsOfAWorkspaceOrARunAndByStatus() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt first = scenario.raise(held, Scenario.toolCall("a", "?")).get(0);
    String start = scenario.propose(workspace).getApproval().getApprovalId();
    scenario.propose(scenario.workspace());
    ApprovalFilter byRun = ApprovalFilter.newBuilder().setRunId(held.runId()).build();
    ApprovalFilter byWorkspace =
        ApprovalFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build();
    List<Approval> all = list(byWorkspace);
    assertEquals(3, all.size());
    assertEquals(start, all.get(0).getApprovalId());
    assertEquals(first.getApprovalId(), all.get(1).getApprovalId());
    assertEquals(ApprovalKind.APPROVAL_KIND_RUN_START, all.get(2).getKind());
    assertEquals(all.subList(1, 3), list(byRun));
    assertEquals(
        all.subList(0, 2),
        list(byWorkspace.toBuilder().setStatus(ApprovalStatus.APPROVAL_STATUS_PENDING).build()));
    assertEquals(
        all.subList(2, 3),
        list(byRun.toBuilder().setStatus(ApprovalStatus.APPROVAL_STATUS_APPROVED).build()));
    Failures.of(
        Reason.REASON_NOT_FOUND,
        () ->
            list(byRun.toBuilder().setWorkspaceId(scenario.workspace().getWorkspaceId()).build()));
  }

  private List<Approval> list(ApprovalFilter filter) {
    return Pages.all(
        token ->
            server
                .as(Role.READER)
                .approvals()
                .listApprovals(
                    ListApprovalsRequest.newBuilder()
                        .setFilter(filter)
                        .setPageSize(1)
                        .setPageToken(token)
                        .build()),
        ListApprovalsResponse::getApprovalsList);
  }
}
