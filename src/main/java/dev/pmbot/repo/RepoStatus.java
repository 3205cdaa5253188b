package dev.pmbot.repo;

/** Whether a repo takes part. */
public enum RepoStatus {
  /** Runs may be created for it. */
  ACTIVE,
  /** Kept, but no run may be created for it. */
  DISABLED
}
