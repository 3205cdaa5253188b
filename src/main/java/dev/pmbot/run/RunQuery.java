package dev.pmbot.run;

import dev.pmbot.wire.Created;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which of a workspace's runs a list shows; what is absent asks for nothing.
 *
 * @param statuses any of these; empty: any at all
 */
public record RunQuery(
    String workspaceId,
    @Nullable String repoId,
    Set<RunStatus> statuses,
    @Nullable String graphId,
    @Nullable String createdBy,
    @Nullable String threadId,
    Created created) {

  /** Which index serves a list. */
  enum Way {
    THREAD,
    REPO,
    GRAPH,
    STATUS,
    CREATED_BY,
    WORKSPACE
  }

  /** The way that passes by the fewest other runs, as far as anyone can tell without counting. */
  Way way() {
    if (threadId != null) {
      return Way.THREAD;
    }
    // Those that have ended pile up; the others are few.
    boolean unfinished = !statuses.isEmpty() && statuses.stream().noneMatch(RunStatus::isEnded);
    if (unfinished) {
      return Way.STATUS;
    }
    if (repoId != null) {
      return Way.REPO;
    }
    if (graphId != null) {
      return Way.GRAPH;
    }
    if (!statuses.isEmpty()) {
      return Way.STATUS;
    }
    return createdBy != null ? Way.CREATED_BY : Way.WORKSPACE;
  }
}
