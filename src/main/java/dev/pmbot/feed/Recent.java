package dev.pmbot.feed;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The newest events of each log, kept for the many streams that stand at its end: they need not
 * read from the database what was in memory a moment ago. What is not here is there.
 */
final class Recent<E extends LoggedEvent> {
  private static final long MOST_BYTES = 8L << 20;

  private final Map<String, Tail<E>> tails = new LinkedHashMap<>(16, 0.75f, true);
  private long bytes;

  private static final class Tail<E> {
    final List<E> events = new ArrayList<>();
    long first;
  }

  /** Adds what was committed to a log, in the order of commits. */
  synchronized void add(String workspaceId, List<E> events) {
    long first = events.get(0).seq();
    Tail<E> tail = tails.computeIfAbsent(workspaceId, id -> new Tail<>());
    if (tail.first + tail.events.size() != first) {
      forget(tail, tail.events.size()); // Something was committed while nobody listened.
      tail.first = first;
    }
    for (E event : events) {
      tail.events.add(event);
      bytes += event.size();
    }
    if (bytes > MOST_BYTES) {
      shrink();
    }
  }

  /**
   * A log's events behind a seq, in order, whole transactions; absent when they are not all here.
   */
  synchronized @Nullable List<E> after(String workspaceId, long seq) {
    Tail<E> tail = tails.get(workspaceId);
    if (tail == null || seq + 1 < tail.first || seq + 1 > tail.first + tail.events.size()) {
      return null;
    }
    int from = (int) (seq + 1 - tail.first);
    return List.copyOf(tail.events.subList(from, tail.events.size()));
  }

  /** Half of each log goes, those first that were asked for the longest ago. */
  private void shrink() {
    Iterator<Tail<E>> eldest = tails.values().iterator();
    while (bytes > MOST_BYTES / 2 && eldest.hasNext()) {
      Tail<E> tail = eldest.next();
      forget(tail, (tail.events.size() + 1) / 2);
      if (tail.events.isEmpty()) {
        eldest.remove();
      }
    }
  }

  private void forget(Tail<E> tail, int count) {
    List<E> gone = tail.events.subList(0, count);
    long size = gone.stream().mapToLong(LoggedEvent::size).sum();
    gone.clear();
    tail.first += count;
    bytes -= size;
  }
}
