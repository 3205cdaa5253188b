package dev.pmbot.approval;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.Timestamp;
import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Filters;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.ListApprovalsResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Lists of approvals, by anything and everything. */
final class ApprovalListTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(scenario.repo(workspace));

  @AfterEach
  void stop() {
    server.close();
  }

  private ListApprovalsResponse page(ApprovalFilter filter, int size, String token) {
    return server
        .as(Role.READER)
        .approvals()
        .listApprovals(
            ListApprovalsRequest.newBuilder()
                .setFilter(filter)
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  private List<Approval> list(ApprovalFilter filter, int size) {
    return Pages.all(token -> page(filter, size, token), ListApprovalsResponse::getApprovalsList);
  }

  private Approval ask(Scenario.Held by, int kind, Risk risk, int number) {
    server.time().stepWall(Duration.ofMinutes(7));
    return server
        .as(Role.WORKER)
        .approvals()
        .requestApproval(
            RequestApprovalRequest.newBuilder()
                .setRunId(by.runId())
                .setLeaseToken(by.leaseToken())
                .setKindValue(kind)
                .setRisk(risk)
                .setPayloadJson("{\"title\":\"" + number + "\"}")
                .build())
        .getApproval();
  }

  @Test
  void filtersMayBeCombinedFreely() {
    Scenario.Held other = scenario.running(workspace);
    Scenario.Held elsewhere = scenario.running(scenario.workspace());
    for (int number = 0; number < 12; number++) {
      for (Scenario.Held by : List.of(held, other, elsewhere)) {
        Approval asked =
            ask(
                by,
                2 + number % 3,
                number % 2 == 0 ? Risk.RISK_HIGH : Risk.RISK_UNSPECIFIED,
                number);
        if (number % 4 == 1) {
          scenario.approve(asked);
        } else if (number % 4 == 3) {
          scenario.reject(asked);
        }
      }
    }
    scenario.raise(held, Scenario.toolCall("t", "?"));
    Proposals.propose(server, scenario, held);
    scenario.propose(workspace);

    ApprovalFilter scope =
        ApprovalFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build();
    List<Approval> all = list(scope, 500);
    assertEquals(2 + 2 * 12 + 3, all.size());
    List<Timestamp> times = List.of(all.get(20).getCreatedAt(), all.get(5).getCreatedAt());
    int filters =
        Filters.assertShown(
            scope,
            Map.of(
                "run_id", List.of(held.runId()),
                "kind", List.of(1, 2, 3, 4, 5),
                "status", List.of(1, 2, 3),
                "risk", List.of(1, 2, 3),
                "created_after", times.subList(0, 1),
                "created_before", times.subList(1, 2)),
            all,
            filter -> list(filter, 500));
    assertEquals(2 * 6 * 4 * 4 * 2 * 2, filters);
    // A run may be named without its workspace, and pages may be small.
    ApprovalFilter byRun = scope.toBuilder().clearWorkspaceId().setRunId(held.runId()).build();
    for (ApprovalFilter filter :
        List.of(scope, byRun, scope.toBuilder().setRisk(Risk.RISK_HIGH).build())) {
      assertEquals(list(filter, 500), list(filter, 1));
      assertEquals(list(filter, 500), list(filter, 3));
    }
    assertEquals(list(scope.toBuilder().setRunId(held.runId()).build(), 500), list(byRun, 500));
  }

  @Test
  void whatIsNamedMustBeThereAndTogether() {
    ApprovalFilter byRun = ApprovalFilter.newBuilder().setRunId(held.runId()).build();
    String other = scenario.workspace().getWorkspaceId();
    assertEquals(
        Map.of("id", held.runId()),
        Failures.of(
                Reason.REASON_NOT_FOUND,
                () -> list(byRun.toBuilder().setWorkspaceId(other).build(), 1))
            .metadata());
    Failures.of(
        Reason.REASON_NOT_FOUND,
        () -> list(byRun.toBuilder().setRunId("run_" + "0".repeat(32)).build(), 1));
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                list(
                    ApprovalFilter.newBuilder()
                        .setKindValue(99)
                        .setRiskValue(99)
                        .setStatusValue(99)
                        .setCreatedAfter(Timestamp.newBuilder().setNanos(-1))
                        .build(),
                    1));
    assertEquals(
        Set.of("filter", "filter.kind", "filter.risk", "filter.status", "filter.created_after"),
        refusal.violations().keySet());
  }

  @Test
  void aTokenGoesOnOnlyWithAllOfItsFilter() {
    ask(held, 2, Risk.RISK_HIGH, 1);
    ApprovalFilter filter = ApprovalFilter.newBuilder().setRunId(held.runId()).build();
    String token = page(filter, 1, "").getNextPageToken();
    for (ApprovalFilter other :
        List.of(
            filter.toBuilder().setKindValue(1).build(),
            filter.toBuilder().setRiskValue(1).build(),
            filter.toBuilder().setStatusValue(1).build())) {
      Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> page(other, 1, token));
    }
    assertEquals(1, page(filter, 1, token).getApprovalsCount());
  }
}
