package dev.pmbot.repo;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Problem;
import dev.pmbot.workspace.Workspaces;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Repos under management. */
public final class Repos {
  private final Workspaces workspaces;
  private final Audit audit;
  private final Ids ids;

  /** With the workspaces that they belong to, the log and a source of ids. */
  public Repos(Workspaces workspaces, Audit audit, Ids ids) {
    this.workspaces = workspaces;
    this.audit = audit;
    this.ids = ids;
  }

  /** Registers a repo. */
  public RepoRow register(Tx tx, String workspaceId, String fullName, String defaultBranch) {
    workspaces.get(tx, workspaceId);
    RepoMapper mapper = tx.mapper(RepoMapper.class);
    RepoRow same = mapper.findByName(workspaceId, fullName);
    if (same != null) {
      throw Problem.alreadyExists("repo", same.fullName(), same.repoId());
    }
    RepoRow row =
        new RepoRow(
            ids.next("repo"),
            workspaceId,
            fullName,
            defaultBranch,
            RepoStatus.ACTIVE,
            tx.now(),
            null,
            1);
    mapper.insert(row);
    audit.append(
        tx,
        Event.of(workspaceId, "repo.registered")
            .with("repo_id", row.repoId())
            .with("full_name", fullName)
            .with("default_branch", defaultBranch));
    return row;
  }

  /** The repo with an id. */
  public RepoRow get(Tx tx, String repoId) {
    RepoRow row = tx.mapper(RepoMapper.class).find(repoId);
    if (row == null) {
      throw Problem.notFound("repo", repoId);
    }
    return row;
  }

  /** The repo with an id, of a workspace if one is named: another workspace's is not found. */
  public RepoRow get(Tx tx, String repoId, String workspaceId) {
    RepoRow row = get(tx, repoId);
    if (!workspaceId.isEmpty() && !row.workspaceId().equals(workspaceId)) {
      throw Problem.notFound("repo", repoId);
    }
    return row;
  }

  /** A workspace's repos, newest first. */
  public List<RepoRow> list(Tx tx, String workspaceId, @Nullable String behind, int limit) {
    workspaces.get(tx, workspaceId);
    return tx.mapper(RepoMapper.class).list(workspaceId, behind, limit);
  }
}
