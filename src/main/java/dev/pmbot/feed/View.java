package dev.pmbot.feed;

import com.google.protobuf.MessageLite;
import dev.pmbot.store.Tx;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one kind of stream shows of the log, and how it says it.
 *
 * @param <E> the log's events
 * @param <R> the stream's messages
 */
public interface View<E extends LoggedEvent, R extends MessageLite> {
  /** Names the kind of stream; cursors of one kind are refused by another. */
  String kind();

  /** Which part of the log it follows. */
  Scope scope();

  /**
   * What else it asks of an event, in any words; a cursor is refused by a stream that asks other.
   */
  default String filter() {
    return "";
  }

  /** Refuses a stream about what does not exist, before anything is sent. */
  void admit(Tx tx);

  /** Whether, without a cursor, it begins at the log's beginning instead of its end. */
  default boolean fromBeginning() {
    return false;
  }

  /**
   * The keys of what stands now, in the order in which it is to be sent when the stream begins
   * without a cursor. Keys only: they are all held in memory.
   */
  default List<String> snapshot(Tx tx) {
    return List.of();
  }

  /** The message for a key of the snapshot. */
  default @Nullable R snapshotItem(Tx tx, String key) {
    return null;
  }

  /**
   * The message for events of one transaction; none when it shows none of them. Asked twice for the
   * same events, it must show the same.
   *
   * @param cursor where the stream goes on behind it; empty when more of the transaction follows
   */
  @Nullable R transaction(Tx tx, List<E> events, String cursor);

  /**
   * Whether what it follows has come to an end. The stream then ends well, once everything that
   * stands in the log has been sent. Not asked of an {@link EventView}.
   */
  default boolean isOver(Tx tx) {
    return false;
  }

  /** The message that says that everything that stood has been sent. */
  R synced(String cursor);

  /** The message of a quiet stream. */
  R heartbeat(String cursor, List<LogEnd> ends);
}
