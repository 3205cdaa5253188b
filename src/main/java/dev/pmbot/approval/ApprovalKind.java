package dev.pmbot.approval;

/** What an approval lets happen. */
public enum ApprovalKind {
  /** A run may be claimed. */
  RUN_START(Risk.LOW),
  /** Tool calls may be made. */
  TOOL_CALL(Risk.MEDIUM),
  /** Something may be spent. */
  SPEND(Risk.MEDIUM),
  /** Something may be shown to others. */
  PUBLISH(Risk.HIGH),
  /** A changeset may be applied. */
  CHANGESET_APPLY(Risk.MEDIUM);

  private final Risk risk;

  ApprovalKind(Risk risk) {
    this.risk = risk;
  }

  /** The kind's own risk; who asks may raise it, not lower it. */
  public Risk risk() {
    return risk;
  }

  /**
   * Whether a run waits for it: a start has nothing to wait with, and a changeset may outlive its
   * run.
   */
  boolean blocks() {
    return switch (this) {
      case RUN_START, CHANGESET_APPLY -> false;
      case TOOL_CALL, SPEND, PUBLISH -> true;
    };
  }
}
