package dev.pmbot.run;

import dev.pmbot.audit.Audit;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Kept;

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
}
