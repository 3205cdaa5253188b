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

  /**
   * Changes a repo.
   *
   * @param version the one that was read
   * @param defaultBranch the new one; absent: it stays
   * @param status the new one; absent: it stays
   */
  RepoRow update(
      Tx tx,
      String repoId,
      long version,
      @Nullable String defaultBranch,
      @Nullable RepoStatus status) {
    RepoRow row = get(tx, repoId);
    if (row.version() != version) {
      throw Problem.staleVersion("repo", repoId, row.version());
    }
    String newBranch = defaultBranch == null ? row.defaultBranch() : defaultBranch;
    RepoStatus newStatus = status == null ? row.status() : status;
    boolean moved = !newBranch.equals(row.defaultBranch());
    boolean turned = newStatus != row.status();
    if (!moved && !turned) {
      return row;
    }
    RepoRow updated = tx.mapper(RepoMapper.class).update(repoId, version, newBranch, newStatus);
    if (updated == null) {
      throw new IllegalStateException("repo " + repoId + " changed within its transaction");
    }
    audit.append(
        tx,
        Event.of(row.workspaceId(), "repo.updated")
            .with("repo_id", repoId)
            .with("version", updated.version())
            .with("default_branch", moved ? newBranch : null)
            .with("status", turned ? newStatus : null));
    return updated;
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

  /** A workspace's repos, newest first: all, those in a status, or the one of a name. */
  List<RepoRow> list(
      Tx tx,
      String workspaceId,
      @Nullable String fullName,
      @Nullable RepoStatus status,
      @Nullable String behind,
      int limit) {
    workspaces.get(tx, workspaceId);
    return tx.mapper(RepoMapper.class).list(workspaceId, fullName, status, behind, limit);
  }
}
