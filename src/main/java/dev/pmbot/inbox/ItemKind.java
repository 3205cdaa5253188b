package dev.pmbot.inbox;

import dev.pmbot.approval.ApprovalKind;
import dev.pmbot.interrupt.InterruptKind;
import org.jspecify.annotations.Nullable;

/** What an item asks for, whether a question or an approval asks for it. */
enum ItemKind {
  /** Whether a run may be claimed. */
  RUN_START(ApprovalKind.RUN_START, null),
  /** Whether tool calls may be made. */
  TOOL_CALL(ApprovalKind.TOOL_CALL, InterruptKind.APPROVE_TOOL_CALL),
  /** Whether something may be spent. */
  SPEND(ApprovalKind.SPEND, InterruptKind.APPROVE_SPEND),
  /** Whether something may be shown to others. */
  PUBLISH(ApprovalKind.PUBLISH, InterruptKind.APPROVE_PUBLISH),
  /** Whether a changeset may be applied. */
  CHANGESET_APPLY(ApprovalKind.CHANGESET_APPLY, null),
  /** Something with an answer of its own. */
  QUESTION(null, InterruptKind.QUESTION);

  private final @Nullable ApprovalKind approval;
  private final @Nullable InterruptKind interrupt;

  ItemKind(@Nullable ApprovalKind approval, @Nullable InterruptKind interrupt) {
    this.approval = approval;
    this.interrupt = interrupt;
  }

  /** The kind of the approvals that ask for it; absent when none does. */
  @Nullable ApprovalKind approval() {
    return approval;
  }

  /** The kind of the questions that ask for it; absent when none does. */
  @Nullable InterruptKind interrupt() {
    return interrupt;
  }
}
