package dev.pmbot.audit;

import dev.pmbot.store.Tx;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Looked;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds a workspace's events, newest first. What narrows most is asked of an index: the run, the
 * thread, the time, the node, the type, the actor, in this order; the rest of each event that it
 * gives.
 */
final class EventSearch {
  /**
   * A beginning that more types have than this takes a good part of the log: it is found as fast by
   * looking at the log itself.
   */
  private static final int MOST_TYPES = 16;

  // No type has a character above it, nor one between a type's end and the least that may follow.
  private static final String BEHIND_ALL = "~";
  private static final String BEHIND_THIS_ALONE = "!";
  private static final String BETWEEN = ":";

  private EventSearch() {}

  /** Looks at the next events behind a key, newest first. */
  static List<Looked> look(Tx tx, EventQuery query, @Nullable String behind, int limit) {
    AuditMapper mapper = tx.mapper(AuditMapper.class);
    if (isByTime(query)) {
      long before = behind == null ? query.created().before() : createdAt(behind);
      return mapper.lookAtTimes(query, before, behind == null ? 0 : seq(behind), limit);
    }
    long before = behind == null ? Long.MAX_VALUE : seq(behind);
    if (!isOfOneRunOrThread(query) && query.nodeId() == null && query.typePrefix() != null) {
      List<String> types = types(mapper, query, query.typePrefix());
      if (types.isEmpty()) {
        return List.of();
      }
      if (types.size() <= MOST_TYPES) {
        return mapper.lookAtTypes(query, types, before, limit);
      }
    }
    return mapper.look(query, before, limit);
  }

  private static boolean isOfOneRunOrThread(EventQuery query) {
    return query.runId() != null || query.threadId() != null;
  }

  /** Whether the list is in the order of time; else it is in that of seq. */
  private static boolean isByTime(EventQuery query) {
    return !isOfOneRunOrThread(query) && !query.created().equals(Created.ANY);
  }

  /** The types that begin so, or more than can be looked at one by one. */
  private static List<String> types(AuditMapper mapper, EventQuery query, String prefix) {
    List<String> types = new ArrayList<>();
    String from = prefix;
    while (types.size() <= MOST_TYPES) {
      String type = mapper.nextType(query.workspaceId(), from, prefix + BEHIND_ALL);
      if (type == null) {
        break;
      }
      types.add(type);
      from = type + BEHIND_THIS_ALONE;
    }
    return types;
  }

  /** The events with some keys, in no order. */
  static List<EventRow> found(Tx tx, EventQuery query, List<String> keys) {
    return tx.mapper(AuditMapper.class)
        .atAll(query.workspaceId(), keys.stream().map(EventSearch::seq).toList());
  }

  /** The key that a query finds an event by. */
  static String key(EventQuery query, EventRow event) {
    return isByTime(query)
        ? event.createdAt() + BETWEEN + event.seq()
        : String.valueOf(event.seq());
  }

  /** The seq that a key ends with. */
  private static long seq(String key) {
    return Long.parseLong(key.substring(key.indexOf(BETWEEN) + 1));
  }

  /** The time that the key of a list in the order of time begins with. */
  private static long createdAt(String key) {
    return Long.parseLong(key.substring(0, key.indexOf(BETWEEN)));
  }
}
