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

  /** Since when it waits. */
  long createdAt();

  /** Its place in the order of the inbox. */
  default String key() {
    return risk().name() + '|' + createdAt() + '|' + id();
  }

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
  }
}
