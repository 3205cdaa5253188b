package dev.pmbot.run;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.audit.RunAccess;
import dev.pmbot.repo.RepoRow;
import dev.pmbot.repo.RepoStatus;
import dev.pmbot.repo.Repos;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Looked;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.workspace.WorkspaceRow;
import dev.pmbot.workspace.Workspaces;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;

/** The life of runs. */
public final class Runs implements RunAccess {
  private static final String PREFIX = "run";

  private final Workspaces workspaces;
  private final Repos repos;
  private final Audit audit;
  private final Ids ids;
  private final Leases leases;
  private final Waiters waiters;
  private final Budgets budgets;
  private final List<BiConsumer<Tx, RunRow>> endings = new ArrayList<>();
  private final List<BiConsumer<Tx, RunRow>> retries = new ArrayList<>();
  private final List<BiPredicate<Tx, String>> blockers = new ArrayList<>();

  Runs(
      Workspaces workspaces,
      Repos repos,
      Audit audit,
      Ids ids,
      Leases leases,
      Waiters waiters,
      Budgets budgets) {
    this.workspaces = workspaces;
    this.repos = repos;
    this.audit = audit;
    this.ids = ids;
    this.leases = leases;
    this.waiters = waiters;
    this.budgets = budgets;
  }

  /** Names who closes what a run leaves open when it ends. */
  public void onEnded(BiConsumer<Tx, RunRow> handler) {
    endings.add(handler);
  }

  /** Names who has something for a run that has ended and goes on after all. */
  public void onRetried(BiConsumer<Tx, RunRow> handler) {
    retries.add(handler);
  }

  /** A run that has ended goes on after all. */
  void retried(Tx tx, RunRow run) {
    retries.forEach(handler -> handler.accept(tx, run));
  }

  /** Names who knows whether a run waits for a person. */
  public void blockedBy(BiPredicate<Tx, String> blocker) {
    blockers.add(blocker);
  }

  /** Names who knows whether a run has asked a person to let it spend more. */
  public void askedToSpendBy(BiPredicate<Tx, String> knower) {
    budgets.askedBy(knower);
  }

  /** Proposes a run. */
  public RunRow create(Tx tx, NewRun proposed) {
    RunSpec spec = RunSpec.parse(proposed.agentRunSpecJson());
    WorkspaceRow workspace = workspaces.get(tx, proposed.workspaceId());
    Budget budget =
        spec.budget() != null ? spec.budget() : Budget.of(Workspaces.defaultBudget(workspace));
    if (proposed.repoId() != null) {
      RepoRow repo = repos.get(tx, proposed.repoId());
      if (!repo.workspaceId().equals(proposed.workspaceId())) {
        throw Problem.notFound("repo", repo.repoId());
      }
      if (repo.status() != RepoStatus.ACTIVE) {
        throw Problem.wrongState(
            "repo", repo.repoId(), repo.status(), EnumSet.of(RepoStatus.ACTIVE));
      }
    }
    RunRow row =
        new RunRow(
            ids.next(PREFIX),
            proposed.workspaceId(),
            proposed.repoId(),
            proposed.goal(),
            RunStatus.PROPOSED,
            proposed.graphId(),
            proposed.threadId(),
            proposed.agentRunSpecJson(),
            tx.now(),
            tx.now(),
            tx.actor(),
            null,
            1,
            spec.maxAttempts(),
            null,
            null,
            null,
            null,
            null,
            null,
            budget.json(),
            0,
            0,
            0,
            0,
            null,
            1);
    tx.mapper(RunMapper.class).insert(row);
    audit.append(
        tx,
        event(row, "run.created")
            .with("goal", row.goal())
            .with("graph_id", row.graphId())
            .with("budget", budget.equals(Budget.NONE) ? null : budget.facts()));
    return row;
  }

  /** The run with an id. */
  public RunRow get(Tx tx, String runId) {
    RunRow row = tx.mapper(RunMapper.class).find(runId);
    if (row == null) {
      throw Problem.notFound("run", runId);
    }
    return row;
  }

  /** The runs with some ids, those that there are, in no order. */
  List<RunRow> getAll(Tx tx, List<String> runIds) {
    return tx.mapper(RunMapper.class).findAll(runIds);
  }

  /** Where the run with an id stands: cheaper than all of it, whose spec may be long. */
  public RunStatus status(Tx tx, String runId) {
    RunStatus status = tx.mapper(RunMapper.class).status(runId);
    if (status == null) {
      throw Problem.notFound("run", runId);
    }
    return status;
  }

  /** The runs on threads that were cleared and have not ended, oldest first. */
  public List<String> unfinishedOn(Tx tx, List<String> threadIds) {
    return tx.mapper(RunMapper.class).unfinishedOn(threadIds);
  }

  /**
   * Refuses a filter that names a workspace or a run that does not exist, or a run of another
   * workspace than it names.
   *
   * @throws Problem NOT_FOUND
   */
  public void admit(Tx tx, @Nullable String workspaceId, @Nullable String runId) {
    if (workspaceId != null) {
      workspaces.get(tx, workspaceId);
    }
    if (runId != null) {
      get(tx, runId, ProtoText.toProto(workspaceId));
    }
  }

  /** The run with an id, of a workspace if one is named: another workspace's run is not found. */
  public RunRow get(Tx tx, String runId, String workspaceId) {
    RunRow row = get(tx, runId);
    if (!workspaceId.isEmpty() && !row.workspaceId().equals(workspaceId)) {
      throw Problem.notFound("run", runId);
    }
    return row;
  }

  /**
   * Refuses a query that names what does not exist, or what is of another workspace than it names.
   *
   * @throws Problem NOT_FOUND
   */
  void admit(Tx tx, RunQuery query) {
    workspaces.get(tx, query.workspaceId());
    if (query.repoId() != null) {
      repos.get(tx, query.repoId(), query.workspaceId());
    }
  }

  /** Looks at the next runs behind an id, newest first. */
  List<Looked> look(Tx tx, RunQuery query, @Nullable String behind, int limit) {
    RunMapper mapper = tx.mapper(RunMapper.class);
    RunQuery.Way way = query.way();
    String lowest = query.created().lowestId(PREFIX);
    String bound = query.created().idBound(PREFIX, behind);
    if (way != RunQuery.Way.STATUS) {
      return mapper.look(query, way, null, lowest, bound, limit);
    }
    // Each status has a place of its own in the index: the newest of all come from the newest of
    // each.
    return query.statuses().stream()
        .flatMap(status -> mapper.look(query, way, status, lowest, bound, limit).stream())
        .sorted(Comparator.comparing(Looked::key).reversed())
        .limit(limit)
        .toList();
  }

  /** A person decided whether a run may start. */
  public void decided(Tx tx, String runId, boolean approved) {
    RunRow row = get(tx, runId);
    if (row.status() != RunStatus.PROPOSED) {
      return; // It ended while the question stood; the approval was closed with it.
    }
    if (approved) {
      RunRow cleared =
          store(tx, RunChange.of(row).status(RunStatus.APPROVED).claimableFrom(leases.now()));
      audit.append(tx, event(cleared, "run.approved"));
      announce(tx, cleared);
    } else {
      end(tx, row, RunStatus.REJECTED, null);
    }
  }

  /**
   * The run, if the token is that of its current lease.
   *
   * @throws Problem NOT_FOUND, LEASE_LOST
   */
  public RunRow fence(Tx tx, String runId, String token) {
    RunRow row = get(tx, runId);
    String owner = row.leaseOwner();
    if (owner == null || !token.equals(row.leaseToken()) || leases.isExpired(token)) {
      throw Problem.leaseLost(runId);
    }
    if (!tx.actor().equals(Principal.LOCAL_USER)) {
      tx.actAs(Principal.worker(owner));
    }
    return row;
  }

  /**
   * The run, if this caller may add to what it produces: while it has not ended a worker needs its
   * lease.
   *
   * @throws Problem NOT_FOUND, LEASE_LOST
   */
  public RunRow open(Tx tx, String runId, String leaseToken, boolean operator) {
    RunRow run = get(tx, runId);
    boolean free = leaseToken.isEmpty() && (run.status().isEnded() || operator);
    return free ? run : fence(tx, runId, leaseToken);
  }

  @Override
  public Place open(Tx tx, String runId, String leaseToken) {
    RunRow run = open(tx, runId, leaseToken, tx.actor().equals(Principal.LOCAL_USER));
    return new Place(run.workspaceId(), run.threadId());
  }

  @Override
  public String workspaceOf(Tx tx, String runId, String workspaceId) {
    return get(tx, runId, workspaceId).workspaceId();
  }

  @Override
  public @Nullable String runOnThread(Tx tx, String threadId) {
    return tx.mapper(RunMapper.class).otherRunOnThread(threadId, "");
  }

  /** Refuses a thread, if there is one, that another unfinished run was started on. */
  void requireFreeThread(Tx tx, String runId, @Nullable String threadId) {
    if (threadId != null) {
      String other = tx.mapper(RunMapper.class).otherRunOnThread(threadId, runId);
      if (other != null) {
        throw Problem.threadInUse(threadId, other);
      }
    }
  }

  /** What a run may use. */
  public Budget budget(Tx tx, String runId) {
    return Budget.of(get(tx, runId).budgetJson());
  }

  /**
   * A person decided whether a run may spend more.
   *
   * @param granted what they said yes to; none when they said no
   */
  public void spendDecided(Tx tx, String runId, List<Budget> granted) {
    budgets.decided(tx, get(tx, runId), granted);
  }

  /** A question of the run was decided or closed: when it was the last, the run goes on. */
  public void unblock(Tx tx, String runId) {
    RunRow row = get(tx, runId);
    if (row.status() != RunStatus.BLOCKED || isWaiting(tx, runId)) {
      return;
    }
    String token = row.leaseToken();
    boolean held = token != null && !leases.isExpired(token);
    if (!held && row.cancelRequestedAt() != null) {
      asSystem(tx, () -> endWithLease(tx, row, null));
      return;
    }
    RunChange change = RunChange.of(row);
    if (held) {
      change.status(RunStatus.RUNNING);
    } else {
      withoutLease(tx, change.status(RunStatus.APPROVED).claimableFrom(leases.now()));
    }
    RunRow resumed = store(tx, change);
    audit.append(tx, event(resumed, "run.resumed").with("status", resumed.status()));
    if (!held) {
      announce(tx, resumed);
    }
  }

  /** Ends a run, and closes what it leaves open. */
  RunRow end(Tx tx, RunRow row, RunStatus status, @Nullable String reason) {
    return end(tx, row, status, reason, null);
  }

  private RunRow end(
      Tx tx, RunRow row, RunStatus status, @Nullable String reason, @Nullable String workerReason) {
    RunRow ended = store(tx, withoutLease(tx, RunChange.of(row).status(status).reason(reason)));
    audit.append(
        tx,
        event(ended, "run." + status.name().toLowerCase(Locale.ROOT))
            .with("reason", reason)
            .with("worker_reason", workerReason)
            .with("cancel_requested", row.cancelRequestedAt() == null ? null : true));
    endings.forEach(handler -> handler.accept(tx, ended));
    return ended;
  }

  /**
   * Ends a run with its lease, if it is not to be claimed again: one whose cancel was asked for is
   * cancelled, and one that has been over its budget for too long fails. None when the run may go
   * on with another worker.
   *
   * @param workerReason what its worker said when it let go, for the log
   */
  @Nullable RunRow endWithLease(Tx tx, RunRow row, @Nullable String workerReason) {
    if (row.cancelRequestedAt() != null) {
      return end(tx, row, RunStatus.CANCELLED, row.statusReason(), workerReason);
    }
    return budgets.endsWithLease(tx, row)
        ? end(tx, row, RunStatus.FAILED, budgets.complaint(row), workerReason)
        : null;
  }

  /** Whether a run waits for a person. */
  boolean isWaiting(Tx tx, String runId) {
    return blockers.stream().anyMatch(blocker -> blocker.test(tx, runId));
  }

  RunChange withoutLease(Tx tx, RunChange change) {
    String token = change.leaseToken;
    tx.afterCommit(() -> leases.forget(token));
    return change.withoutLease();
  }

  /** Tells those who wait for work that a run may be claimed, if it may. */
  void announce(Tx tx, RunRow row) {
    if (row.status() == RunStatus.APPROVED) {
      tx.afterCommit(() -> waiters.wake(row.workspaceId(), row.graphId()));
    }
  }

  /** Does something in the name of the system: whoever calls did not do it. */
  static void asSystem(Tx tx, Runnable action) {
    String caller = tx.actor();
    tx.actAs(Principal.SYSTEM);
    action.run();
    tx.actAs(caller);
  }

  /** Stores a change; a run that was running has run until now, one that begins to is timed. */
  RunRow store(Tx tx, RunChange change) {
    String before = change.from == RunStatus.RUNNING ? change.fromToken : null;
    if (before != null) {
      change.wallMicrosUsed = leases.wallMicros(before, change.wallMicrosUsed);
    }
    RunRow stored = tx.mapper(RunMapper.class).store(change, tx.now());
    if (stored == null) {
      throw new IllegalStateException("run " + change.runId + " changed within its transaction");
    }
    String after = stored.status() == RunStatus.RUNNING ? stored.leaseToken() : null;
    if (before == null && after != null) {
      tx.afterCommit(() -> leases.run(after, stored.wallMicrosUsed()));
    } else if (before != null && after == null) {
      tx.afterCommit(() -> leases.rest(before));
    }
    return stored;
  }

  /** Refuses a run that is in none of these states. */
  static void require(RunRow row, RunStatus first, RunStatus... others) {
    Set<RunStatus> allowed = EnumSet.of(first, others);
    if (!allowed.contains(row.status())) {
      throw Problem.wrongState("run", row.runId(), row.status(), allowed);
    }
  }

  static Event event(RunRow row, String type) {
    return Event.of(row.workspaceId(), type)
        .run(row.runId())
        .thread(row.threadId())
        .with("run_id", row.runId());
  }
}
