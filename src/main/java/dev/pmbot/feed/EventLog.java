package dev.pmbot.feed;

import dev.pmbot.store.Tx;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The log that streams follow. Events of a workspace must have no gaps in {@code seq} and must
 * become visible in its order, whole transactions at a time.
 */
public interface EventLog<E extends LoggedEvent> {
  /** Where the logs in a scope end; those without events are left out. */
  List<LogEnd> ends(Tx tx, Scope scope);

  /**
   * A part of a log: whole transactions.
   *
   * @param more whether there is something in the scope behind it
   */
  record Slice<E>(List<E> events, boolean more) {}

  /**
   * A workspace's events in a scope behind a seq, in order: the first transaction, and others until
   * they come to so many bytes. No more is read than it takes to know that.
   */
  Slice<E> after(Tx tx, Scope scope, String workspaceId, long seq, int bytes);

  /** The event at a seq, if there is one. */
  @Nullable E at(Tx tx, String workspaceId, long seq);

  /** The last seq of the transaction that the event at this seq belongs to. */
  long endOfTransaction(Tx tx, String workspaceId, long seq);
}
