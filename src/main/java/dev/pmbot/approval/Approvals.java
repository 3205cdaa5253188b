package dev.pmbot.approval;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.json.JsonText;
import dev.pmbot.repo.Repos;
import dev.pmbot.run.Budget;
import dev.pmbot.run.RunRow;
import dev.pmbot.run.RunStatus;
import dev.pmbot.run.Runs;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Looked;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import dev.pmbot.workspace.BudgetKeys;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.util.RawValue;

/** The human gates. */
public final class Approvals {
  private static final String BUDGET = "budget";
  private static final String PREFIX = "appr";

  private final Repos repos;
  private final Runs runs;
  private final Audit audit;
  private final Ids ids;
  private final PayloadSeal seal;
  private final Map<ApprovalKind, Follower> followers = new EnumMap<>(ApprovalKind.class);

  /** With the runs that they gate, the log, a source of ids and the server's seal. */
  public Approvals(Repos repos, Runs runs, Audit audit, Ids ids, PayloadSeal seal) {
    this.repos = repos;
    this.runs = runs;
    this.audit = audit;
    this.ids = ids;
    this.seal = seal;
  }

  /** What follows from decisions about approvals of a kind. */
  @FunctionalInterface
  public interface Follower {
    /** A person decided. */
    void decided(Tx tx, ApprovalRow approval);

    /**
     * A person decides as it was decided before. Refuses it when the first decision said more than
     * this one.
     *
     * @throws Problem ALREADY_DECIDED
     */
    default void decidedAgain(Tx tx, ApprovalRow approval) {}
  }

  /** Names who acts on decisions about approvals of a kind. */
  public void onResolved(ApprovalKind kind, Follower follower) {
    followers.put(kind, follower);
  }

  /** Asks whether a new run may start. */
  public ApprovalRow requestStart(Tx tx, RunRow run) {
    Map<String, Object> payload = new LinkedHashMap<>();
    payload.put("goal", run.goal());
    payload.put("graph_id", run.graphId());
    if (run.repoId() != null) {
      payload.put("repo", repos.get(tx, run.repoId()).fullName());
    }
    // As it was given: a number that is parsed and written again may be another one.
    payload.put("spec", new RawValue(run.agentRunSpecJson()));
    String json = JsonText.write(payload);
    return request(tx, run, ApprovalKind.RUN_START, null, json, seal.of(json), null);
  }

  /**
   * A worker asks for a yes in the middle of its run. What it asked before and is still pending, it
   * does not ask twice.
   */
  ApprovalRow ask(
      Tx tx,
      String runId,
      String token,
      ApprovalKind kind,
      @Nullable Risk risk,
      String payloadJson) {
    checkPayload(kind, payloadJson);
    RunRow run = runs.fence(tx, runId, token);
    Set<RunStatus> asking = EnumSet.of(RunStatus.RUNNING, RunStatus.BLOCKED);
    if (!asking.contains(run.status())) {
      throw Problem.wrongState("run", runId, run.status(), asking);
    }
    String hash = seal.of(payloadJson);
    ApprovalRow standing = tx.mapper(ApprovalMapper.class).asked(runId, kind, hash);
    return standing != null ? standing : request(tx, run, kind, null, payloadJson, hash, risk);
  }

  private static void checkPayload(ApprovalKind kind, String payloadJson) {
    JsonNode payload = JsonText.parse(payloadJson, Fields.LARGEST_JSON);
    if (!payload.isObject()) {
      throw Problem.invalidField("payload_json", "must be a JSON object");
    }
    JsonNode title = payload.path("title");
    if (!title.isString() || title.stringValue().isBlank()) {
      throw Problem.invalidField(
          "payload_json.title", "is required: a text that says what is asked");
    }
    if (kind == ApprovalKind.SPEND) {
      List<Violation> violations = new ArrayList<>();
      BudgetKeys.checkStrictly(payload.path(BUDGET), "payload_json." + BUDGET, violations);
      if (!violations.isEmpty()) {
        throw Problem.invalidFields(violations);
      }
    }
  }

  /**
   * Asks for a yes.
   *
   * @param subjectId the changeset or interrupt that it is about; absent when it stands for itself
   * @param payloadJson what is shown, before redaction
   * @param payloadHash what names it
   * @param risk if it is higher than the kind's own
   */
  public ApprovalRow request(
      Tx tx,
      RunRow run,
      ApprovalKind kind,
      @Nullable String subjectId,
      String payloadJson,
      String payloadHash,
      @Nullable Risk risk) {
    ApprovalRow row =
        new ApprovalRow(
            ids.next(PREFIX),
            run.workspaceId(),
            run.runId(),
            kind,
            ApprovalStatus.PENDING,
            subjectId,
            Kept.json("what is to be approved", payloadJson),
            payloadHash,
            kind.risk().raisedTo(risk),
            tx.now(),
            null,
            null,
            null,
            null);
    tx.mapper(ApprovalMapper.class).insert(row);
    audit.append(tx, event(row, "approval.requested").thread(run.threadId()));
    return row;
  }

  /**
   * A person says yes or no, and what follows from it follows.
   *
   * @throws Problem NOT_FOUND, STALE_DECISION, ALREADY_DECIDED, QUESTION_CLOSED, and what the
   *     kind's handler refuses
   */
  public ApprovalRow resolve(
      Tx tx, String approvalId, ApprovalStatus status, String payloadHash, String notes) {
    ApprovalRow row = get(tx, approvalId);
    if (!row.payloadHash().equals(payloadHash)) {
      throw Problem.staleDecision("approval", approvalId);
    }
    if (row.status() != ApprovalStatus.PENDING) {
      return sameAgain(tx, row, status);
    }
    ApprovalRow resolved = settle(tx, row, status, notes);
    if (row.kind() == ApprovalKind.SPEND && row.subjectId() == null) {
      spendDecided(tx, resolved);
    }
    follower(row).decided(tx, resolved);
    runs.unblock(tx, row.runId());
    return resolved;
  }

  /** One that belongs to a question is seen to by that. */
  private void spendDecided(Tx tx, ApprovalRow resolved) {
    List<Budget> granted =
        resolved.status() == ApprovalStatus.APPROVED
            ? List.of(Budget.of(JsonText.read(resolved.payloadJson()).path(BUDGET)))
            : List.of();
    runs.spendDecided(tx, resolved.runId(), granted);
  }

  private Follower follower(ApprovalRow row) {
    return Objects.requireNonNull(followers.get(row.kind()), "nobody follows " + row.kind());
  }

  private ApprovalRow sameAgain(Tx tx, ApprovalRow row, ApprovalStatus status) {
    ClosedBy closedBy = row.closedBy();
    if (closedBy != null && closedBy != ClosedBy.DECISION) {
      throw Problem.questionClosed("approval", row.approvalId(), closedBy);
    }
    if (row.status() != status || !tx.actor().equals(row.actor())) {
      throw Problem.alreadyDecided(
          "approval", row.approvalId(), row.status(), row.actor(), row.resolvedAt());
    }
    follower(row).decidedAgain(tx, row);
    return row;
  }

  /** Records a decision that was made, without what follows from it: its interrupt sees to that. */
  public ApprovalRow settle(Tx tx, String approvalId, ApprovalStatus status, String notes) {
    return settle(tx, get(tx, approvalId), status, notes);
  }

  private ApprovalRow settle(Tx tx, ApprovalRow row, ApprovalStatus status, String notes) {
    return end(
        tx, row, status, tx.actor(), Kept.text(notes), ClosedBy.DECISION, "approval.resolved");
  }

  /**
   * Ends a pending approval without a person: it counts as a no, and is never taken for an answer.
   */
  public void close(Tx tx, String approvalId, ClosedBy closedBy) {
    ApprovalRow row = get(tx, approvalId);
    if (row.status() == ApprovalStatus.PENDING) {
      close(tx, row, closedBy);
    }
  }

  /** Closes what a run that has ended leaves open; a changeset may outlive its run. */
  public void closeAll(Tx tx, RunRow run) {
    for (ApprovalRow row : tx.mapper(ApprovalMapper.class).pendingOfRun(run.runId())) {
      if (row.kind() != ApprovalKind.CHANGESET_APPLY) {
        close(tx, row, ClosedBy.RUN_ENDED);
      }
    }
  }

  private void close(Tx tx, ApprovalRow row, ClosedBy closedBy) {
    end(tx, row, ApprovalStatus.REJECTED, Principal.SYSTEM, null, closedBy, "approval.closed");
  }

  private ApprovalRow end(
      Tx tx,
      ApprovalRow row,
      ApprovalStatus status,
      String actor,
      @Nullable String notes,
      ClosedBy closedBy,
      String type) {
    ApprovalRow ended =
        tx.mapper(ApprovalMapper.class)
            .end(row.approvalId(), status, tx.now(), actor, notes, closedBy);
    if (ended == null) {
      throw Problem.alreadyDecided(
          "approval", row.approvalId(), row.status(), row.actor(), row.resolvedAt());
    }
    audit.append(
        tx,
        event(ended, type)
            .thread(runs.get(tx, row.runId()).threadId())
            .with("status", status)
            .with("closed_by", closedBy)
            .with("notes", notes));
    return ended;
  }

  /** Whether an approval only sums up a question, which is what a person sees in the inbox. */
  public static boolean isOfInterrupt(ApprovalRow row) {
    return row.subjectId() != null && row.kind().blocks();
  }

  /** Whether a run waits for one of its approvals. */
  public boolean blocks(Tx tx, String runId) {
    return tx.mapper(ApprovalMapper.class).anyBlocking(runId) != null;
  }

  /**
   * The approvals that runs asked for themselves and that a person decided, in the order of their
   * ids.
   *
   * @param runIds at least one
   */
  public List<String> decidedMidRun(Tx tx, List<String> runIds) {
    return tx.mapper(ApprovalMapper.class).decidedMidRun(runIds);
  }

  /** Whether a run has asked a person to let it spend more, and has no answer yet. */
  public boolean asksToSpend(Tx tx, String runId) {
    return tx.mapper(ApprovalMapper.class).pendingOfRun(runId).stream()
        .anyMatch(row -> row.kind() == ApprovalKind.SPEND);
  }

  /** The approval with an id. */
  public ApprovalRow get(Tx tx, String approvalId) {
    ApprovalRow row = tx.mapper(ApprovalMapper.class).find(approvalId);
    if (row == null) {
      throw Problem.notFound("approval", approvalId);
    }
    return row;
  }

  /** The approvals with some ids, those that there are, in no order. */
  public List<ApprovalRow> getAll(Tx tx, List<String> approvalIds) {
    return tx.mapper(ApprovalMapper.class).findAll(approvalIds);
  }

  /** Refuses a query that names what does not exist. */
  void admit(Tx tx, ApprovalQuery query) {
    runs.admit(tx, query.workspaceId(), query.runId());
  }

  /** Looks at the next approvals behind an id, newest first. */
  List<Looked> look(Tx tx, ApprovalQuery query, @Nullable String behind, int limit) {
    Created created = query.created();
    return tx.mapper(ApprovalMapper.class)
        .look(query, query.way(), created.lowestId(PREFIX), created.idBound(PREFIX, behind), limit);
  }

  /**
   * What waits in the inbox at one risk behind a place, oldest first: approvals that belong to no
   * interrupt.
   *
   * @param kind what is looked for; absent: anything
   */
  public List<Waiting> waiting(Tx tx, Waiting.Where where, @Nullable ApprovalKind kind) {
    return tx.mapper(ApprovalMapper.class).waiting(where, kind);
  }

  private static Event event(ApprovalRow row, String type) {
    return Event.of(row.workspaceId(), type)
        .run(row.runId())
        .with("approval_id", row.approvalId())
        .with("kind", row.kind())
        .with("risk", row.risk())
        .with("subject_id", row.subjectId())
        .with("payload_hash", row.payloadHash());
  }
}
