package dev.pmbot.changeset;

/**
 * Where a changeset stands: it begins proposed, is approved or rejected, and applied only when
 * approved.
 */
public enum ChangesetStatus {
  /** Waits for its approval. */
  PROPOSED,
  /** A person said yes. */
  APPROVED,
  /** It was applied. */
  APPLIED,
  /** A person said no. */
  REJECTED
}
