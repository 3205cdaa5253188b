package dev.pmbot.approval;

import dev.pmbot.store.QueryPlans;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No question about approvals costs more because there are more approvals. */
final class ApprovalPlansTest {
  @TempDir Path folder;

  private void assertServedBy(String index, Consumer<ApprovalMapper> asked) throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, ApprovalMapper.class)) {
      plans.assertServedBy(index, ApprovalMapper.class, asked);
    }
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
