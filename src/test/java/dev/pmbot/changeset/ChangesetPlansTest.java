package dev.pmbot.changeset;

import dev.pmbot.store.QueryPlans;
import dev.pmbot.wire.Created;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** No list of changesets costs more because there are more changesets. */
final class ChangesetPlansTest {
  @TempDir Path folder;

  /** Each choice of what is named, and the index that must serve it. */
  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-,  -, -, -,        sqlite_autoindex_changeset_bundles_1",
        "-,  -, -, PROPOSED, changeset_bundles_status_changeset",
        "w,  -, -, -,        changeset_bundles_workspace_changeset",
        "w,  -, -, PROPOSED, changeset_bundles_workspace_status_changeset",
        "-,  p, -, -,        changeset_bundles_repo_changeset",
        "w,  p, -, -,        changeset_bundles_repo_changeset",
        "-,  p, -, PROPOSED, changeset_bundles_repo_status_changeset",
        "w,  p, -, PROPOSED, changeset_bundles_repo_status_changeset",
        "-,  -, r, -,        changeset_bundles_run_changeset",
        "w,  -, r, -,        changeset_bundles_run_changeset",
        "-,  p, r, -,        changeset_bundles_run_changeset",
        "w,  p, r, PROPOSED, changeset_bundles_run_changeset"
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String workspaceId, String repoId, String runId, ChangesetStatus status, String index)
      throws SQLException {
    ChangesetQuery query =
        new ChangesetQuery(workspaceId, repoId, runId, status, new Created(1, 2));
    try (QueryPlans plans = new QueryPlans(folder, ChangesetMapper.class)) {
      plans.assertServedBy(
          index, ChangesetMapper.class, mapper -> mapper.look(query, "cs_1", "cs_2", 25));
    }
  }

  @Test
  void oneIsFoundByItsKey() throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, ChangesetMapper.class)) {
      plans.assertServedBy(
          "sqlite_autoindex_changeset_bundles_1",
          ChangesetMapper.class,
          mapper -> mapper.find("cs_1"));
      plans.assertServedBy(
          "sqlite_autoindex_changeset_bundles_1",
          ChangesetMapper.class,
          mapper -> mapper.findAll(List.of("cs_1", "cs_2")));
    }
  }
}
