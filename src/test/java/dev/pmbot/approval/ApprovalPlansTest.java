package dev.pmbot.approval;

import dev.pmbot.store.QueryPlans;
import dev.pmbot.wire.Created;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** No question about approvals costs more because there are more approvals. */
final class ApprovalPlansTest {
  @TempDir Path folder;

  private void assertServedBy(String index, Consumer<ApprovalMapper> asked) throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, ApprovalMapper.class)) {
      plans.assertServedBy(index, ApprovalMapper.class, asked);
    }
  }

  /** Each choice of what is named, and the index that must serve it. */
  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "w, -, -,         -,        -,    approvals_workspace_approval",
        "w, -, RUN_START, -,        LOW,  approvals_workspace_approval",
        "w, -, SPEND,     -,        -,    approvals_workspace_kind_approval",
        "w, -, -,         PENDING,  -,    approvals_workspace_status_approval",
        "w, -, -,         APPROVED, -,    approvals_workspace_status_approval",
        "w, -, -,         -,        HIGH, approvals_workspace_risk_approval",
        "w, -, SPEND,     PENDING,  HIGH, approvals_workspace_status_approval",
        "w, -, SPEND,     APPROVED, HIGH, approvals_workspace_kind_approval",
        "w, -, RUN_START, APPROVED, HIGH, approvals_workspace_risk_approval",
        "w, -, RUN_START, APPROVED, LOW,  approvals_workspace_status_approval",
        "-, r, -,         -,        -,    approvals_run_approval",
        "w, r, SPEND,     PENDING,  HIGH, approvals_run_approval"
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String workspaceId,
      String runId,
      ApprovalKind kind,
      ApprovalStatus status,
      Risk risk,
      String index)
      throws SQLException {
    for (Created created : List.of(Created.ANY, new Created(1, 2))) {
      ApprovalQuery query = new ApprovalQuery(workspaceId, runId, kind, status, risk, created);
      assertServedBy(index, mapper -> mapper.look(query, query.way(), "appr_1", "appr_2", 25));
    }
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-, -, -,     approvals_inbox",
        "w, -, SPEND, approvals_inbox_in_workspace",
        "-, r, -,     approvals_inbox_of_run",
        "w, r, SPEND, approvals_inbox_of_run"
      })
  void whatWaitsIsFoundInItsOrder(String workspaceId, String runId, ApprovalKind kind, String index)
      throws SQLException {
    Waiting.Where where = new Waiting.Where(workspaceId, runId, Risk.HIGH, 1, "appr_1", 25);
    assertServedBy(index, mapper -> mapper.waiting(where, kind));
  }

  @Test
  void someAreFoundByTheirKeys() throws SQLException {
    assertServedBy(
        "sqlite_autoindex_approvals_1", mapper -> mapper.findAll(List.of("appr_1", "appr_2")));
  }

  @Test
  void whatARunAskedForIsFound() throws SQLException {
    assertServedBy(
        "approvals_asked", mapper -> mapper.asked("run_1", ApprovalKind.SPEND, "0".repeat(64)));
  }

  @Test
  void whatARunWaitsForIsFound() throws SQLException {
    assertServedBy("approvals_run_kind_status", mapper -> mapper.anyBlocking("run_1"));
  }

  @Test
  void whatWasDecidedForARunIsFound() throws SQLException {
    assertServedBy("approvals_decided_mid_run", mapper -> mapper.decidedMidRun(List.of("run_1")));
  }
}
