package dev.pmbot.audit;

import dev.pmbot.store.Tx;
import dev.pmbot.wire.Problem;
import org.jspecify.annotations.Nullable;

/** What the log must know of runs; it knows none itself. */
public interface RunAccess {
  /** Where a run's events belong. */
  record Place(String workspaceId, @Nullable String threadId) {}

  /**
   * The workspace of a run.
   *
   * @throws Problem NOT_FOUND, also when a workspace is named and the run is another's
   */
  String workspaceOf(Tx tx, String runId, String workspaceId);

  /**
   * Where a run's events belong, if whom the transaction acts for may add to it.
   *
   * @throws Problem NOT_FOUND, LEASE_LOST
   */
  Place open(Tx tx, String runId, String leaseToken);

  /** The unfinished run that was started on a thread. */
  @Nullable String runOnThread(Tx tx, String threadId);
}
