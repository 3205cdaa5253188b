package dev.pmbot.feed;

import com.google.protobuf.MessageLite;
import dev.pmbot.store.Tx;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A view whose messages are made of the events alone: a stream at the log's end then needs no look
 * at the database.
 *
 * @param <E> the log's events
 * @param <R> the stream's messages
 */
public interface EventView<E extends LoggedEvent, R extends MessageLite> extends View<E, R> {
  /** See {@link View#transaction}. */
  @Nullable R transaction(List<E> events, String cursor);

  @Override
  default @Nullable R transaction(Tx tx, List<E> events, String cursor) {
    return transaction(events, cursor);
  }
}
