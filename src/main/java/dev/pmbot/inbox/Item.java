package dev.pmbot.inbox;

import dev.pmbot.approval.ApprovalRow;
import dev.pmbot.approval.Approvals;
import dev.pmbot.approval.Risk;
import dev.pmbot.interrupt.InterruptRow;

/** Something that waits for the person. */
sealed interface Item {
  /** Its id. */
  String id();

  /** How bad it could be. */
  Risk risk();

  /** Since when it waits, in microseconds since the epoch. */
  long createdAt();

  /** Whether it asks for this. */
  boolean isOf(ItemKind kind);

  /** A question. */
  record OfInterrupt(InterruptRow row) implements Item {
    @Override
    public String id() {
      return row.interruptId();
    }

    @Override
    public Risk risk() {
      return row.risk();
    }

    @Override
    public long createdAt() {
      return row.createdAt();
    }

    @Override
    public boolean isOf(ItemKind kind) {
      return row.kind() == kind.interrupt();
    }
  }

  /** An approval that belongs to no question. */
  record OfApproval(ApprovalRow row) implements Item {
    public OfApproval {
      if (Approvals.isOfInterrupt(row)) {
        throw new IllegalArgumentException("it is shown as its question: " + row.approvalId());
      }
    }

    @Override
    public String id() {
      return row.approvalId();
    }

    @Override
    public Risk risk() {
      return row.risk();
    }

    @Override
    public long createdAt() {
      return row.createdAt();
    }

    @Override
    public boolean isOf(ItemKind kind) {
      return row.kind() == kind.approval();
    }
  }
}
