package dev.pmbot.store;

import org.jspecify.annotations.Nullable;

/**
 * The store could not do what it was asked; {@link #kind} says what that means for the one who
 * asked.
 */
public final class StoreException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What a failure means for the one who asked. */
  public enum Kind {
    /** More units are waiting than the queue holds. Nothing was done. */
    QUEUE_FULL,
    /** The disk, or the database's own limit, is full. Nothing was stored. */
    DISK_FULL,
    /** The database did not answer. Nothing was stored. */
    UNAVAILABLE,
    /** The commit may or may not have happened. */
    OUTCOME_UNKNOWN,
    /** The caller had gone before the unit's turn came. Nothing was done. */
    ABANDONED,
    /** The store is closing. Nothing was done. */
    CLOSED
  }

  private final Kind kind;

  /** A failure of a kind, with the error behind it, for the log. */
  public StoreException(Kind kind, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  static StoreException abandoned() {
    return new StoreException(Kind.ABANDONED, "the caller has gone", null);
  }

  /** What it means. */
  public Kind kind() {
    return kind;
  }
}
