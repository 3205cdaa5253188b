package dev.pmbot.run;

import dev.pmbot.audit.Audit;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Problem;
import java.util.List;

/** What the operator does to runs that are under way, or were. */
final class Interventions {
  private final Runs runs;
  private final Audit audit;
  private final Leases leases;

  Interventions(Runs runs, Audit audit, Leases leases) {
    this.runs = runs;
    this.audit = audit;
    this.leases = leases;
  }

  /**
   * Ends a run that nobody holds; asks the worker of one that is held to let it go. One that is
   * cancelled, or whose cancel was asked for, stays as it is.
   */
  RunRow cancel(Tx tx, String runId, String reason) {
    RunRow row = runs.get(tx, runId);
    if (row.status() == RunStatus.CANCELLED) {
      return row;
    }
    Runs.require(row, RunStatus.PROPOSED, RunStatus.APPROVED, RunStatus.RUNNING, RunStatus.BLOCKED);
    String token = row.leaseToken();
    boolean held = token != null && !leases.isExpired(token);
    String why = Kept.text(reason);
    if (!held) {
      return runs.end(tx, row, RunStatus.CANCELLED, why);
    }
    if (row.cancelRequestedAt() != null) {
      return row;
    }
    RunRow asked = runs.store(tx, RunChange.of(row).cancelRequested(tx.now()).reason(why));
    audit.append(
        tx,
        Runs.event(asked, "run.cancel_requested")
            .with("status", asked.status())
            .with("lease_owner", asked.leaseOwner())
            .with("reason", why));
    return asked;
  }

  /**
   * Lets a failed run have another attempt, on its thread, with what it has used so far.
   *
   * @param version the version that the operator saw; 0: any
   */
  RunRow retry(Tx tx, String runId, long version) {
    RunRow row = runs.get(tx, runId);
    if (version != 0 && version != row.version()) {
      throw Problem.staleVersion("run", runId, row.version());
    }
    Runs.require(row, RunStatus.FAILED);
    // Else neither of the two could start again: each would find the thread taken by the other.
    runs.requireFreeThread(tx, runId, row.threadId());
    int attempt = row.attempt() + 1;
    RunChange change =
        RunChange.of(row)
            .status(RunStatus.APPROVED)
            .attempt(attempt)
            .maxAttempts(Math.max(attempt, row.maxAttempts()))
            .claimableFrom(leases.now())
            .withoutCancel();
    RunRow retried = runs.store(tx, change);
    audit.append(
        tx,
        Runs.event(retried, "run.retried")
            .with("attempt", attempt)
            .with("max_attempts", retried.maxAttempts()));
    runs.retried(tx, retried);
    // What it does over its budget from here on is by the operator's leave, for as long as any run.
    runs.spendDecided(tx, runId, List.of());
    runs.announce(tx, retried);
    return retried;
  }
}
