package dev.pmbot.feed;

import dev.pmbot.v1.LogHead;
import java.util.List;

/**
 * One message of a stream, as its client understood it.
 *
 * @param cursor what it may be resumed behind; empty: nothing
 * @param facts what it told of the log, in its order; each has {@code equals}
 * @param heads where it said that logs end
 */
record Told(Content content, String cursor, List<Object> facts, List<LogHead> heads) {
  /** What a message is. */
  enum Content {
    ITEMS,
    SYNCED,
    HEARTBEAT
  }

  static Told items(String cursor, List<Object> facts) {
    return new Told(Content.ITEMS, cursor, facts, List.of());
  }

  static Told synced(String cursor) {
    return new Told(Content.SYNCED, cursor, List.of(), List.of());
  }

  static Told heartbeat(String cursor, List<LogHead> heads) {
    return new Told(Content.HEARTBEAT, cursor, List.of(), heads);
  }
}
