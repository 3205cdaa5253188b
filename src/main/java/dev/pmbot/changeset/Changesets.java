package dev.pmbot.changeset;

import dev.pmbot.approval.ApprovalKind;
import dev.pmbot.approval.ApprovalRow;
import dev.pmbot.approval.ApprovalStatus;
import dev.pmbot.approval.Approvals;
import dev.pmbot.approval.PayloadSeal;
import dev.pmbot.approval.Risk;
import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.json.JsonText;
import dev.pmbot.repo.Repos;
import dev.pmbot.run.RunRow;
import dev.pmbot.run.RunStatus;
import dev.pmbot.run.Runs;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Looked;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.workspace.Workspaces;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.util.RawValue;

/** Proposed mutations of repos. */
public final class Changesets {
  private static final String PREFIX = "cs";

  private final Workspaces workspaces;
  private final Repos repos;
  private final Runs runs;
  private final Approvals approvals;
  private final Audit audit;
  private final Ids ids;
  private final PayloadSeal seal;
  private final Patches patches;

  /**
   * Finds a patch among a run's artifacts: a changeset points at one, and knows no more of
   * artifacts.
   */
  @FunctionalInterface
  public interface Patches {
    /** The hash of a run's artifact; none when the run has no such artifact. */
    @Nullable String hashOf(Tx tx, String runId, String artifactId);
  }

  /** A changeset with the approval that it waits for. */
  record Proposed(ChangesetRow changeset, ApprovalRow approval) {}

  /** With the runs that propose, the approvals that gate, the log, and the patches. */
  public Changesets(
      Workspaces workspaces,
      Repos repos,
      Runs runs,
      Approvals approvals,
      Audit audit,
      Ids ids,
      PayloadSeal seal,
      Patches patches) {
    this.workspaces = workspaces;
    this.repos = repos;
    this.runs = runs;
    this.approvals = approvals;
    this.audit = audit;
    this.ids = ids;
    this.seal = seal;
    this.patches = patches;
  }

  /** Proposes a changeset. */
  Proposed propose(Tx tx, String runId, String token, String bundleJson, @Nullable Risk risk) {
    Bundle bundle = Bundle.parse(bundleJson);
    RunRow run = runs.fence(tx, runId, token);
    if (run.status() != RunStatus.RUNNING) {
      throw Problem.wrongState("run", runId, run.status(), EnumSet.of(RunStatus.RUNNING));
    }
    if (run.repoId() == null) {
      throw Problem.wrongState("run", runId, "without a repo", List.of("about a repo"));
    }
    String hash = patches.hashOf(tx, runId, bundle.patchArtifactId());
    if (hash == null) {
      throw Problem.invalidField(
          "bundle_json.patch_artifact_id",
          "is no artifact of this run whose content the server has; upload the patch first");
    }
    if (!hash.equals(bundle.patchSha256())) {
      throw Problem.invalidField(
          "bundle_json.patch_sha256", "is not the artifact's hash, which is " + hash);
    }
    ChangesetRow row =
        new ChangesetRow(
            ids.next(PREFIX),
            run.workspaceId(),
            runId,
            run.repoId(),
            bundleJson,
            ChangesetStatus.PROPOSED,
            tx.now(),
            tx.now(),
            null,
            1);
    tx.mapper(ChangesetMapper.class).insert(row);
    audit.append(
        tx,
        event(run, row, "changeset.proposed")
            .with("title", bundle.title())
            .with("patch_sha256", hash));
    Map<String, Object> payload = new LinkedHashMap<>();
    payload.put("changeset_id", row.changesetId());
    payload.put("bundle", new RawValue(bundleJson));
    String json = JsonText.write(payload);
    ApprovalRow approval =
        approvals.request(
            tx, run, ApprovalKind.CHANGESET_APPLY, row.changesetId(), json, seal.of(json), risk);
    return new Proposed(row, approval);
  }

  /** A person decided whether a changeset may be applied. */
  public void decided(Tx tx, ApprovalRow approval) {
    ChangesetRow row = get(tx, String.valueOf(approval.subjectId()));
    boolean yes = approval.status() == ApprovalStatus.APPROVED;
    ChangesetStatus to = yes ? ChangesetStatus.APPROVED : ChangesetStatus.REJECTED;
    ChangesetRow moved = move(tx, row, ChangesetStatus.PROPOSED, to, null);
    RunRow run = runs.get(tx, row.runId());
    audit.append(tx, event(run, moved, yes ? "changeset.approved" : "changeset.rejected"));
  }

  /** An approved changeset was applied. */
  ChangesetRow applied(Tx tx, String changesetId, String commitSha) {
    ChangesetRow row = get(tx, changesetId);
    if (row.status() == ChangesetStatus.APPLIED) {
      if (commitSha.equals(row.appliedCommitSha())) {
        return row;
      }
      throw Problem.wrongState(
          "changeset", changesetId, "applied as " + row.appliedCommitSha(), List.of("approved"));
    }
    ChangesetRow moved =
        move(tx, row, ChangesetStatus.APPROVED, ChangesetStatus.APPLIED, commitSha);
    RunRow run = runs.get(tx, row.runId());
    audit.append(tx, event(run, moved, "changeset.applied").with("applied_commit_sha", commitSha));
    return moved;
  }

  private static ChangesetRow move(
      Tx tx, ChangesetRow row, ChangesetStatus from, ChangesetStatus to, @Nullable String commit) {
    ChangesetRow moved =
        tx.mapper(ChangesetMapper.class).move(row.changesetId(), from, to, commit, tx.now());
    if (moved == null) {
      throw Problem.wrongState("changeset", row.changesetId(), row.status(), EnumSet.of(from));
    }
    return moved;
  }

  /** The changeset with an id. */
  public ChangesetRow get(Tx tx, String changesetId) {
    ChangesetRow row = tx.mapper(ChangesetMapper.class).find(changesetId);
    if (row == null) {
      throw Problem.notFound("changeset", changesetId);
    }
    return row;
  }

  /** The changesets with some ids, those that there are, in no order. */
  List<ChangesetRow> getAll(Tx tx, List<String> changesetIds) {
    return tx.mapper(ChangesetMapper.class).findAll(changesetIds);
  }

  /**
   * Refuses a query that names what does not exist, or what is of another workspace than it names.
   *
   * @throws Problem NOT_FOUND
   */
  void admit(Tx tx, ChangesetQuery query) {
    String workspaceId = ProtoText.toProto(query.workspaceId());
    if (!workspaceId.isEmpty()) {
      workspaces.get(tx, workspaceId);
    }
    if (query.runId() != null) {
      runs.get(tx, query.runId(), workspaceId);
    }
    if (query.repoId() != null) {
      repos.get(tx, query.repoId(), workspaceId);
    }
  }

  /** Looks at the next changesets behind an id, newest first. */
  List<Looked> look(Tx tx, ChangesetQuery query, @Nullable String behind, int limit) {
    Created created = query.created();
    return tx.mapper(ChangesetMapper.class)
        .look(query, created.lowestId(PREFIX), created.idBound(PREFIX, behind), limit);
  }

  private static Event event(RunRow run, ChangesetRow row, String type) {
    return Event.of(run.workspaceId(), type)
        .run(row.runId())
        .thread(run.threadId())
        .with("changeset_id", row.changesetId())
        .with("repo_id", row.repoId())
        .with("status", row.status());
  }
}
