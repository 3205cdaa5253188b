package dev.pmbot.repo;

import dev.pmbot.store.QueryPlans;
import java.nio.file.Path;
import java.sql.SQLException;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** No list of repos costs more because there are more repos. */
final class RepoPlansTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-,   -,      -,      repos_workspace_repo",
        "-,   -,      repo_2, repos_workspace_repo",
        "-,   ACTIVE, -,      repos_workspace_status_repo",
        "-,   ACTIVE, repo_2, repos_workspace_status_repo",
        "a/b, -,      -,      repos_workspace_full_name",
        "a/b, ACTIVE, repo_2, repos_workspace_full_name"
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String fullName, RepoStatus status, String behind, String index) throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, RepoMapper.class)) {
      plans.assertServedBy(
          index, RepoMapper.class, mapper -> mapper.list("ws_1", fullName, status, behind, 25));
    }
  }
}
