package dev.pmbot.run;

import dev.pmbot.audit.Audit;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Problem;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What workers do with the runs that they hold, from one attempt's start to its end, and what
 * becomes of those that they lose.
 */
final class Attempts {
  private static final Logger log = LoggerFactory.getLogger(Attempts.class);
  private static final long MICROS = 1_000_000;
  private static final int LONGEST_BACK_OFF_SECONDS = 60;

  private final Runs runs;
  private final Audit audit;
  private final Leases leases;
  private final Waiters waiters;
  private final Budgets budgets;

  Attempts(Runs runs, Audit audit, Leases leases, Waiters waiters, Budgets budgets) {
    this.runs = runs;
    this.audit = audit;
    this.leases = leases;
    this.waiters = waiters;
    this.budgets = budgets;
  }

  /** A worker starts a run that it has claimed. */
  RunRow start(Tx tx, String runId, String token, String threadId) {
    RunRow row = runs.fence(tx, runId, token);
    if (row.threadId() != null && !row.threadId().equals(threadId)) {
      throw Problem.invalidField(
          "thread_id", "the run is bound to thread " + row.threadId() + "; start it on that one");
    }
    if (row.status() == RunStatus.RUNNING) {
      return row;
    }
    Runs.require(row, RunStatus.APPROVED);
    runs.requireFreeThread(tx, runId, threadId);
    RunRow started =
        runs.store(tx, RunChange.of(row).status(RunStatus.RUNNING).thread(threadId, tx.now()));
    audit.append(tx, Runs.event(started, "run.started").with("attempt", started.attempt()));
    return started;
  }

  /**
   * A worker is still there.
   *
   * @throws Problem NOT_FOUND, LEASE_LOST, BUDGET_EXCEEDED
   */
  RunRow renew(Tx tx, String runId, String token) {
    RunRow row = runs.fence(tx, runId, token);
    return budgets.renew(tx, row, token, RunSpec.parse(row.agentRunSpecJson()).leaseSeconds());
  }

  /** A worker has used more. */
  RunRow recordUsage(
      Tx tx, String runId, String token, long tokens, long toolCalls, long costMicros) {
    RunRow row = runs.fence(tx, runId, token);
    Runs.require(row, RunStatus.RUNNING, RunStatus.BLOCKED);
    return budgets.use(tx, row, tokens, toolCalls, costMicros);
  }

  /** The graph has stopped at questions. */
  RunRow pause(Tx tx, String runId, String token, boolean releaseLease) {
    RunRow row = runs.fence(tx, runId, token);
    Runs.require(row, RunStatus.RUNNING, RunStatus.BLOCKED);
    boolean waits = runs.isWaiting(tx, runId);
    if (row.status() == RunStatus.BLOCKED && !releaseLease) {
      return row;
    }
    if (!waits && !releaseLease) {
      return row; // All was decided meanwhile: it goes on as it is.
    }
    // One that waits for a person spends nothing meanwhile.
    if (releaseLease && (!waits || row.cancelRequestedAt() != null)) {
      RunRow ended = runs.endWithLease(tx, row, null);
      if (ended != null) {
        return ended;
      }
    }
    RunChange change = RunChange.of(row);
    change.status(waits ? RunStatus.BLOCKED : RunStatus.APPROVED);
    if (!waits) {
      change.claimableFrom(leases.now());
    }
    RunRow paused = runs.store(tx, releaseLease ? runs.withoutLease(tx, change) : change);
    audit.append(
        tx,
        Runs.event(paused, waits ? "run.blocked" : "run.released")
            .with("lease_released", releaseLease));
    if (!waits) {
      runs.announce(tx, paused);
    }
    return paused;
  }

  /** A worker has carried a run to its end. */
  RunRow complete(Tx tx, String runId, String token, String summary) {
    RunRow row = runs.fence(tx, runId, token);
    Runs.require(row, RunStatus.RUNNING);
    return runs.end(tx, row, RunStatus.COMPLETED, Kept.text(summary));
  }

  /** A worker gives a run back; no attempt is counted. */
  RunRow release(Tx tx, String runId, String token, String reason) {
    RunRow row = runs.fence(tx, runId, token);
    Runs.require(row, RunStatus.APPROVED, RunStatus.RUNNING, RunStatus.BLOCKED);
    String why = Kept.text(reason);
    RunRow ended = runs.endWithLease(tx, row, why);
    if (ended != null) {
      return ended;
    }
    RunChange change = runs.withoutLease(tx, RunChange.of(row));
    if (row.status() != RunStatus.BLOCKED) {
      change.status(RunStatus.APPROVED).claimableFrom(leases.now());
    }
    RunRow released = runs.store(tx, change.reason(why));
    audit.append(tx, Runs.event(released, "run.released").with("reason", why));
    runs.announce(tx, released);
    return released;
  }

  /** An attempt failed. */
  RunRow fail(Tx tx, String runId, String token, String reason, boolean retryable) {
    RunRow row = runs.fence(tx, runId, token);
    Runs.require(row, RunStatus.RUNNING, RunStatus.BLOCKED);
    String why = Kept.text(reason);
    if (!retryable) {
      return runs.end(tx, row, RunStatus.FAILED, why);
    }
    RunRow ended = runs.endWithLease(tx, row, why);
    return ended != null ? ended : retryOrFail(tx, row, why, why);
  }

  /** Takes a run back from a worker whose lease has ended. */
  void expire(Tx tx, String runId) {
    RunRow row = runs.get(tx, runId);
    String token = row.leaseToken();
    if (token == null || !leases.isExpired(token)) {
      return;
    }
    takeBack(tx, row);
    RunRow now = runs.get(tx, runId);
    tx.afterCommit(
        () ->
            log.warn(
                "worker {} did not renew its lease of run {}, in attempt {} of {}; the run is {} now",
                row.leaseOwner(),
                runId,
                row.attempt(),
                row.maxAttempts(),
                now.status().name().toLowerCase(Locale.ROOT)));
  }

  private void takeBack(Tx tx, RunRow row) {
    audit.append(
        tx,
        Runs.event(row, "run.lease_expired")
            .with("lease_owner", row.leaseOwner())
            .with("status", row.status())
            .with("attempt", row.attempt()));
    if (runs.endWithLease(tx, row, null) != null) {
      return;
    }
    String reason = "the lease of worker " + row.leaseOwner() + " ended";
    switch (row.status()) {
      case RUNNING -> retryOrFail(tx, row, reason, reason + "; no attempt is left");
      // It never started, so no attempt was lost.
      case APPROVED -> {
        RunChange change = RunChange.of(row).claimableFrom(leases.now());
        runs.announce(tx, runs.store(tx, runs.withoutLease(tx, change)));
      }
      case PROPOSED, BLOCKED, COMPLETED, FAILED, CANCELLED, REJECTED ->
          runs.store(tx, runs.withoutLease(tx, RunChange.of(row)));
    }
  }

  private RunRow retryOrFail(
      Tx tx, RunRow row, @Nullable String reason, @Nullable String reasonOfTheLast) {
    return row.attempt() < row.maxAttempts()
        ? retry(tx, row, reason)
        : runs.end(tx, row, RunStatus.FAILED, reasonOfTheLast);
  }

  /** How long an attempt waits for its turn at most: as long as if the one before it had failed. */
  static long backOffSeconds(int attempt) {
    return attempt <= 1
        ? 0
        : Math.min(LONGEST_BACK_OFF_SECONDS, 1L << Math.min(attempt - 2, Integer.SIZE - 2));
  }

  private RunRow retry(Tx tx, RunRow row, @Nullable String reason) {
    long seconds = backOffSeconds(row.attempt() + 1);
    RunChange change =
        RunChange.of(row)
            .status(RunStatus.APPROVED)
            .attempt(row.attempt() + 1)
            .claimableFrom(leases.now() + seconds * MICROS)
            .reason(reason);
    RunRow retried = runs.store(tx, runs.withoutLease(tx, change));
    audit.append(
        tx,
        Runs.event(retried, "run.retry_scheduled")
            .with("attempt", retried.attempt())
            .with("back_off_seconds", seconds)
            .with("reason", reason));
    tx.afterCommit(
        () ->
            waiters.wakeLater(
                retried.workspaceId(), retried.graphId(), TimeUnit.SECONDS.toMicros(seconds)));
    return retried;
  }
}
