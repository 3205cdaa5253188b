package dev.pmbot.workspace;

import dev.pmbot.store.QueryPlans;
import java.nio.file.Path;
import java.sql.SQLException;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** No list of workspaces costs more because there are more workspaces. */
final class WorkspacePlansTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-, ws_2, sqlite_autoindex_workspaces_1",
        "a, -, workspaces_name",
        "a, ws_2, workspaces_name"
      })
  void aListIsServedByTheIndexThatNarrowsMost(String name, String behind, String index)
      throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, WorkspaceMapper.class)) {
      plans.assertServedBy(index, WorkspaceMapper.class, mapper -> mapper.list(name, behind, 25));
    }
  }
}
