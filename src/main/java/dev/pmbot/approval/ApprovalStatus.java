package dev.pmbot.approval;

/** Where an approval stands: it begins pending, and ends approved or rejected. */
public enum ApprovalStatus {
  /** Nobody has decided. */
  PENDING,
  /** A person said yes. */
  APPROVED,
  /** A person said no, or the system closed it. */
  REJECTED
}
