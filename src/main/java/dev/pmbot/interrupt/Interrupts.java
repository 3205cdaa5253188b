package dev.pmbot.interrupt;

import dev.pmbot.approval.ApprovalRow;
import dev.pmbot.approval.ApprovalStatus;
import dev.pmbot.approval.Approvals;
import dev.pmbot.approval.ClosedBy;
import dev.pmbot.approval.PayloadSeal;
import dev.pmbot.approval.Risk;
import dev.pmbot.approval.Waiting;
import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.json.JsonText;
import dev.pmbot.run.RunRow;
import dev.pmbot.run.RunStatus;
import dev.pmbot.run.Runs;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Looked;
import dev.pmbot.wire.Outcome;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The questions of agents. */
public final class Interrupts implements Approvals.Follower {
  private static final String PREFIX = "intr";

  private final Runs runs;
  private final Approvals approvals;
  private final Audit audit;
  private final Ids ids;
  private final PayloadSeal seal;

  /** With the runs that ask, the approvals that some questions carry, and the server's seal. */
  public Interrupts(Runs runs, Approvals approvals, Audit audit, Ids ids, PayloadSeal seal) {
    this.runs = runs;
    this.approvals = approvals;
    this.audit = audit;
    this.ids = ids;
    this.seal = seal;
  }

  /** Raises everything that a graph stopped at; the questions as they stand, in the order given. */
  List<InterruptRow> raise(
      Tx tx, String runId, String token, String threadId, List<NewQuestion> questions) {
    RunRow run = runs.fence(tx, runId, token);
    if (run.status() != RunStatus.RUNNING && run.status() != RunStatus.BLOCKED) {
      throw Problem.wrongState(
          "run", runId, run.status(), EnumSet.of(RunStatus.RUNNING, RunStatus.BLOCKED));
    }
    List<String> titles = check(run, threadId, questions);
    Set<String> named = new HashSet<>();
    questions.forEach(question -> named.add(question.externalId()));
    for (InterruptRow open : mapper(tx).pendingOfRun(runId)) {
      if (open.threadId().equals(threadId) && !named.contains(open.externalId())) {
        close(tx, open, ClosedBy.SUPERSEDED);
      }
    }
    List<InterruptRow> standing = new ArrayList<>();
    for (int index = 0; index < questions.size(); index++) {
      standing.add(raise(tx, run, threadId, questions.get(index), titles.get(index)));
    }
    // What was superseded may have been the last that the run waited for.
    runs.unblock(tx, runId);
    return standing;
  }

  private static List<String> check(RunRow run, String threadId, List<NewQuestion> questions) {
    List<Violation> violations = new ArrayList<>();
    if (!threadId.equals(run.threadId())) {
      violations.add(new Violation("thread_id", "is not the run's, which is " + run.threadId()));
    }
    List<String> titles = new ArrayList<>();
    Set<String> externalIds = new HashSet<>();
    for (int index = 0; index < questions.size(); index++) {
      NewQuestion question = questions.get(index);
      String path = "questions[" + index + "].";
      if (!externalIds.add(question.externalId())) {
        violations.add(
            new Violation(path + "external_id", "stands twice; name each question once"));
      }
      titles.add(
          Questions.check(
              question.payloadJson(), question.kind(), path + "payload_json", violations));
    }
    if (!violations.isEmpty()) {
      throw Problem.invalidFields(violations);
    }
    return titles;
  }

  private InterruptRow raise(
      Tx tx, RunRow run, String threadId, NewQuestion question, String title) {
    String hash = seal.of(question.payloadJson());
    InterruptRow known = mapper(tx).newest(run.runId(), threadId, question.externalId());
    if (known != null) {
      boolean stands = known.status() == InterruptStatus.PENDING || known.isToDeliver();
      if (stands && known.payloadHash().equals(hash)) {
        return known;
      }
      if (stands) {
        close(tx, known, ClosedBy.SUPERSEDED);
      }
    }
    String interruptId = ids.next(PREFIX);
    Risk risk = question.kind().risk().raisedTo(question.risk());
    InterruptRow row =
        new InterruptRow(
            interruptId,
            run.workspaceId(),
            run.runId(),
            threadId,
            question.nodeId(),
            question.kind(),
            risk,
            Kept.json("payload_json", question.payloadJson()),
            hash,
            InterruptStatus.PENDING,
            null,
            tx.now(),
            null,
            null,
            approval(tx, run, interruptId, question, title, hash, risk),
            null,
            question.externalId(),
            known == null ? 1 : known.generation() + 1,
            question.checkpointId(),
            question.guard(),
            null,
            null);
    mapper(tx).insert(row);
    audit.append(tx, event(row, "interrupt.raised").with("title", title));
    return row;
  }

  /**
   * The approval that a question carries. Its payload only points: what is asked stands in the
   * interrupt.
   */
  private @Nullable String approval(
      Tx tx,
      RunRow run,
      String interruptId,
      NewQuestion question,
      String title,
      String hash,
      Risk risk) {
    if (question.kind().approval() == null) {
      return null;
    }
    Map<String, Object> payload = new LinkedHashMap<>();
    payload.put("interrupt_id", interruptId);
    payload.put("title", title);
    return approvals
        .request(
            tx, run, question.kind().approval(), interruptId, JsonText.write(payload), hash, risk)
        .approvalId();
  }

  /** Finds out what decisions come to, before their turn to write comes: that may take a while. */
  List<Outcome<Decisions.Summary>> checkAhead(Tx tx, List<NewDecision> decisions) {
    return decisions.stream()
        .map(
            one ->
                Outcome.of(() -> Decisions.check(get(tx, one.interruptId()), one.decisionJson())))
        .toList();
  }

  /**
   * A person decides questions, each by itself.
   *
   * @param ahead what each decision comes to
   */
  List<Outcome<InterruptRow>> resolve(
      Tx tx, List<NewDecision> decisions, List<Outcome<Decisions.Summary>> ahead) {
    List<Outcome<InterruptRow>> outcomes = new ArrayList<>();
    for (int index = 0; index < decisions.size(); index++) {
      NewDecision decision = decisions.get(index);
      Outcome<Decisions.Summary> checked = ahead.get(index);
      outcomes.add(Outcome.of(() -> resolve(tx, decision, checked)));
    }
    return outcomes;
  }

  /** Refuses before it writes. */
  private InterruptRow resolve(Tx tx, NewDecision decision, Outcome<Decisions.Summary> checked) {
    InterruptRow row = get(tx, decision.interruptId());
    if (!row.payloadHash().equals(decision.payloadHash())) {
      throw Problem.staleDecision("interrupt", row.interruptId());
    }
    ClosedBy closedBy = row.closedBy();
    if (closedBy != null && closedBy != ClosedBy.DECISION) {
      throw Problem.questionClosed("interrupt", row.interruptId(), closedBy);
    }
    if (closedBy != null) {
      if (Decisions.same(row.decisionJson(), decision.decisionJson())
          && tx.actor().equals(row.actor())) {
        return row;
      }
      throw alreadyDecided(row);
    }
    Decisions.Summary summary = checked.get();
    refuseToTakeAway(tx, row, decision.decisionJson());
    if (row.approvalId() != null) {
      approvals.settle(tx, row.approvalId(), summary.approval(), decision.notes());
    }
    InterruptRow decided = decide(tx, row, summary, decision.decisionJson());
    runs.unblock(tx, row.runId());
    return decided;
  }

  /** A number that a person wrote must do what it says, and a budget is only ever extended. */
  private void refuseToTakeAway(Tx tx, InterruptRow row, String decisionJson) {
    List<Violation> violations = new ArrayList<>();
    for (Decisions.Grant grant : Decisions.grants(row, decisionJson)) {
      if (grant.edited()) {
        runs.budget(tx, row.runId())
            .takenAwayBy(grant.budget())
            .forEach(
                (limit, why) ->
                    violations.add(new Violation(grant.path() + "." + limit.key(), why)));
      }
    }
    if (!violations.isEmpty()) {
      throw Problem.invalidDecision(violations);
    }
  }

  /** A person decided the approval that a question carries: the same for every action. */
  @Override
  public void decided(Tx tx, ApprovalRow approval) {
    if (approval.subjectId() != null) {
      InterruptRow row = get(tx, approval.subjectId());
      String decision = uniform(row, approval);
      decide(tx, row, Decisions.check(row, decision), decision);
    }
  }

  /**
   * A decision about the approval says the same for every action, the one about the question may
   * not have.
   */
  @Override
  public void decidedAgain(Tx tx, ApprovalRow approval) {
    if (approval.subjectId() != null) {
      InterruptRow row = get(tx, approval.subjectId());
      if (!Decisions.same(row.decisionJson(), uniform(row, approval))) {
        throw alreadyDecided(row);
      }
    }
  }

  private static String uniform(InterruptRow row, ApprovalRow approval) {
    boolean yes = approval.status() == ApprovalStatus.APPROVED;
    return Decisions.uniform(row, yes ? "approve" : "reject");
  }

  private static Problem alreadyDecided(InterruptRow row) {
    return Problem.alreadyDecided(
        "interrupt", row.interruptId(), row.status(), row.actor(), row.resolvedAt());
  }

  private InterruptRow decide(
      Tx tx, InterruptRow row, Decisions.Summary summary, String decisionJson) {
    InterruptRow decided =
        mapper(tx).decide(row.interruptId(), summary.status(), decisionJson, tx.now(), tx.actor());
    if (decided == null) {
      throw new IllegalStateException(
          "interrupt " + row.interruptId() + " changed within its transaction");
    }
    audit.append(
        tx,
        event(decided, "interrupt.resolved")
            .with("status", decided.status())
            .with("closed_by", ClosedBy.DECISION)
            .with("decision", summary.onRecord()));
    if (row.kind() == InterruptKind.APPROVE_SPEND) {
      runs.spendDecided(
          tx,
          row.runId(),
          Decisions.grants(row, decisionJson).stream().map(Decisions.Grant::budget).toList());
    }
    return decided;
  }

  /** Closes what a run that has ended leaves open. */
  public void closeAll(Tx tx, RunRow run) {
    mapper(tx).pendingOfRun(run.runId()).forEach(row -> close(tx, row, ClosedBy.RUN_ENDED));
  }

  /**
   * Puts on the record what is to be handed over to a run that goes on after it had ended: whoever
   * followed it past the decision meanwhile was not told.
   */
  public void handOverAgain(Tx tx, RunRow run) {
    mapper(tx)
        .toDeliver(List.of(run.runId()))
        .forEach(id -> audit.append(tx, event(get(tx, id), "interrupt.due_again")));
  }

  private void close(Tx tx, InterruptRow row, ClosedBy closedBy) {
    boolean decisionVoid = row.isDecided();
    InterruptRow closed = mapper(tx).close(row.interruptId(), tx.now(), closedBy);
    audit.append(
        tx,
        event(closed, "interrupt.closed")
            .with("status", closed.status())
            .with("closed_by", closedBy)
            .with("decision_void", decisionVoid ? true : null));
    if (row.approvalId() != null) {
      approvals.close(tx, row.approvalId(), closedBy);
    }
  }

  /** The graph has taken these decisions. */
  List<InterruptRow> acknowledge(Tx tx, String runId, String token, List<String> interruptIds) {
    runs.fence(tx, runId, token);
    return interruptIds.stream().map(id -> acknowledge(tx, runId, id)).toList();
  }

  private InterruptRow acknowledge(Tx tx, String runId, String interruptId) {
    InterruptRow row = get(tx, interruptId);
    if (!row.runId().equals(runId)) {
      throw Problem.notFound("interrupt", interruptId);
    }
    if (!row.isDecided()) {
      ClosedBy closedBy = row.closedBy();
      throw Problem.wrongState(
          "interrupt", interruptId, closedBy == null ? "pending" : "withdrawn", List.of("decided"));
    }
    if (row.acknowledgedAt() != null) {
      return row;
    }
    InterruptRow acknowledged = mapper(tx).acknowledge(interruptId, tx.now());
    audit.append(tx, event(acknowledged, "interrupt.acknowledged"));
    return acknowledged;
  }

  /** Whether a run waits for one of its questions. */
  public boolean blocks(Tx tx, String runId) {
    return mapper(tx).anyPending(runId) != null;
  }

  /** The question with an id. */
  public InterruptRow get(Tx tx, String interruptId) {
    InterruptRow row = mapper(tx).find(interruptId);
    if (row == null) {
      throw Problem.notFound("interrupt", interruptId);
    }
    return row;
  }

  /** The questions with some ids, those that there are, in no order. */
  public List<InterruptRow> getAll(Tx tx, List<String> interruptIds) {
    return mapper(tx).findAll(interruptIds);
  }

  /** Refuses runs that do not exist. */
  void admit(Tx tx, List<String> runIds) {
    runIds.forEach(runId -> runs.status(tx, runId));
  }

  /**
   * What is to be handed over to runs, or to the runs on threads: the questions that were decided
   * and the approvals that were asked for mid-run, each in the order of their ids. To a run that
   * has ended nothing is: nobody could take it.
   */
  List<String> toDeliver(Tx tx, List<String> runIds, List<String> threadIds) {
    List<String> unfinished =
        runIds.isEmpty()
            ? runs.unfinishedOn(tx, threadIds)
            : runIds.stream().filter(runId -> !hasEnded(tx, runId)).toList();
    if (unfinished.isEmpty()) {
      return List.of();
    }
    List<String> ids = new ArrayList<>(mapper(tx).toDeliver(unfinished));
    ids.addAll(approvals.decidedMidRun(tx, unfinished));
    return ids;
  }

  /**
   * Whether an answer is to be handed over: it still holds, was not taken, and its run goes on. One
   * that was taken would answer the graph's next question.
   */
  boolean isToDeliver(Tx tx, InterruptRow row) {
    return row.isToDeliver() && !hasEnded(tx, row.runId());
  }

  private boolean hasEnded(Tx tx, String runId) {
    return runs.status(tx, runId).isEnded();
  }

  /** Refuses a query that names what does not exist. */
  void admit(Tx tx, InterruptQuery query) {
    runs.admit(tx, query.workspaceId(), query.runId());
  }

  /** Looks at the next questions behind an id, newest first. */
  List<Looked> look(Tx tx, InterruptQuery query, @Nullable String behind, int limit) {
    Created created = query.created();
    return mapper(tx)
        .look(query, query.way(), created.lowestId(PREFIX), created.idBound(PREFIX, behind), limit);
  }

  /**
   * What waits in the inbox at one risk behind a place, oldest first.
   *
   * @param kind what is looked for; absent: anything
   */
  public List<Waiting> waiting(Tx tx, Waiting.Where where, @Nullable InterruptKind kind) {
    return mapper(tx).waiting(where, kind);
  }

  private static InterruptMapper mapper(Tx tx) {
    return tx.mapper(InterruptMapper.class);
  }

  private static Event event(InterruptRow row, String type) {
    return Event.of(row.workspaceId(), type)
        .run(row.runId())
        .thread(row.threadId())
        .node(row.nodeId())
        .with("interrupt_id", row.interruptId())
        .with("external_id", row.externalId())
        .with("generation", row.generation())
        .with("kind", row.kind())
        .with("risk", row.risk())
        .with("approval_id", row.approvalId())
        .with("payload_hash", row.payloadHash());
  }
}
