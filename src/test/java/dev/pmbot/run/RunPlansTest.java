package dev.pmbot.run;

import dev.pmbot.store.QueryPlans;
import dev.pmbot.wire.Created;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Nothing that is asked of runs costs more because there are more runs. */
final class RunPlansTest {
  @TempDir Path folder;

  /** Each choice of what is named, and the index that must serve it. */
  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-, -, -, -, -,                  runs_workspace_run",
        "-, -, c, -, -,                  runs_workspace_created_by_run",
        "-, g, -, -, -,                  runs_workspace_graph_run",
        "-, g, c, -, -,                  runs_workspace_graph_run",
        "p, -, -, -, -,                  runs_repo_run",
        "p, g, c, -, COMPLETED,          runs_repo_run",
        "-, -, -, t, -,                  runs_thread_run",
        "p, g, c, t, RUNNING,            runs_thread_run",
        "-, -, -, -, COMPLETED,          runs_workspace_status_run",
        "-, -, -, -, FAILED CANCELLED,   runs_workspace_status_run",
        "-, -, c, -, FAILED,             runs_workspace_status_run",
        "p, g, c, -, RUNNING BLOCKED,    runs_workspace_status_run",
        "-, g, -, -, RUNNING FAILED,     runs_workspace_graph_run"
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String repoId,
      String graphId,
      String createdBy,
      String threadId,
      String statuses,
      String index)
      throws SQLException {
    Set<RunStatus> in = EnumSet.noneOf(RunStatus.class);
    if (statuses != null) {
      Arrays.stream(statuses.split(" ")).map(RunStatus::valueOf).forEach(in::add);
    }
    RunQuery query = new RunQuery("w", repoId, in, graphId, createdBy, threadId, new Created(1, 2));
    try (QueryPlans plans = new QueryPlans(folder, RunMapper.class)) {
      plans.assertServedBy(
          index,
          RunMapper.class,
          mapper ->
              mapper.look(
                  query, query.way(), in.stream().findFirst().orElse(null), "run_1", "run_2", 25));
    }
  }

  @Test
  void someAreFoundByTheirKeys() throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, RunMapper.class)) {
      plans.assertServedBy(
          "sqlite_autoindex_runs_1",
          RunMapper.class,
          mapper -> mapper.findAll(List.of("run_1", "run_2")));
    }
  }

  @Test
  void aThreadIsLookedUpByItself() throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, RunMapper.class)) {
      plans.assertServedBy(
          "runs_unfinished_on_thread",
          RunMapper.class,
          mapper -> mapper.otherRunOnThread("t", "run_1"));
      plans.assertServedBy(
          "runs_unfinished_on_thread",
          RunMapper.class,
          mapper -> mapper.unfinishedOn(List.of("t")));
    }
  }

  @Test
  void whatWorkersAskForIsServedInItsOrder() throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, RunMapper.class)) {
      plans.assertServedBy(
          "runs_claimable_in_workspace",
          RunMapper.class,
          mapper -> mapper.claimable("g", "w", 1, 2, 25));
      plans.assertServedBy(
          "runs_graph_status_next_attempt",
          RunMapper.class,
          mapper -> mapper.claimable("g", null, 1, 2, 25));
      plans.assertServedBy("runs_lease", RunMapper.class, mapper -> mapper.leased("token", 25));
    }
  }

  @Test
  void usageIsStoredByTheRunsKey() throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, RunMapper.class)) {
      plans.assertServedBy(
          "sqlite_autoindex_runs_1",
          RunMapper.class,
          mapper -> mapper.spend("run_1", new Spending(Budget.NONE, 0, 0, 0, 0), null, null));
    }
  }
}
