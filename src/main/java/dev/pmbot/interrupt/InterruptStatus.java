package dev.pmbot.interrupt;

/** Where a question stands: it begins pending, and ends approved, rejected or edited. */
public enum InterruptStatus {
  /** Nobody has decided. */
  PENDING,
  /** Every action was approved. */
  APPROVED,
  /** Every action was rejected, or the system closed it. */
  REJECTED,
  /** Anything else, and every answered question. */
  EDITED
}
