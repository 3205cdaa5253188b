package dev.pmbot.interrupt;

import dev.pmbot.approval.ApprovalKind;
import dev.pmbot.approval.Risk;
import org.jspecify.annotations.Nullable;

/** What a question asks for. */
public enum InterruptKind {
  /** Tool calls that need a yes. */
  APPROVE_TOOL_CALL(ApprovalKind.TOOL_CALL),
  /** Spending that needs a yes. */
  APPROVE_SPEND(ApprovalKind.SPEND),
  /** Publishing that needs a yes. */
  APPROVE_PUBLISH(ApprovalKind.PUBLISH),
  /** A question with an answer of its own. */
  QUESTION(null);

  private final @Nullable ApprovalKind approval;

  InterruptKind(@Nullable ApprovalKind approval) {
    this.approval = approval;
  }

  /** The kind of approval that it carries; a plain question carries none. */
  public @Nullable ApprovalKind approval() {
    return approval;
  }

  /** The kind's own risk; who asks may raise it, not lower it. */
  public Risk risk() {
    return approval == null ? Risk.LOW : approval.risk();
  }
}
