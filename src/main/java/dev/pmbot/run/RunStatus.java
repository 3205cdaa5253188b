package dev.pmbot.run;

import java.util.EnumSet;
import java.util.Set;

/** Where a run stands, and where it may go from there. */
public enum RunStatus {
  /** Waits for its {@code run_start} approval. */
  PROPOSED,
  /** Cleared, and waiting for a worker. */
  APPROVED,
  /** A worker carries it out. */
  RUNNING,
  /** Its graph has stopped at questions. */
  BLOCKED,
  /** Ended well. */
  COMPLETED,
  /** Ended badly. */
  FAILED,
  /** Ended by the operator. */
  CANCELLED,
  /** Its approval was refused. */
  REJECTED;

  /** Where it may go from here. */
  public Set<RunStatus> next() {
    return switch (this) {
      case PROPOSED -> EnumSet.of(APPROVED, REJECTED, CANCELLED);
      case APPROVED -> EnumSet.of(RUNNING, CANCELLED);
      case RUNNING -> EnumSet.of(BLOCKED, COMPLETED, FAILED, CANCELLED, APPROVED);
      case BLOCKED -> EnumSet.of(RUNNING, APPROVED, CANCELLED, FAILED);
      case FAILED -> EnumSet.of(APPROVED);
      case COMPLETED, CANCELLED, REJECTED -> EnumSet.noneOf(RunStatus.class);
    };
  }

  /** Whether it has ended; a failed run may be retried, but until then it has. */
  public boolean isEnded() {
    return switch (this) {
      case PROPOSED, APPROVED, RUNNING, BLOCKED -> false;
      case COMPLETED, FAILED, CANCELLED, REJECTED -> true;
    };
  }
}
