package dev.pmbot.feed;

import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Which part of the log a stream follows.
 *
 * @param workspaceId only this workspace's log; absent: all, future ones included
 * @param runIds only events about these runs; empty: all
 * @param threadIds only events about these threads; empty: all
 */
public record Scope(@Nullable String workspaceId, List<String> runIds, List<String> threadIds) {
  /** Everything. */
  public static final Scope ALL = new Scope(null, List.of(), List.of());

  /** One workspace, or all when none is named. */
  public static Scope workspace(@Nullable String workspaceId) {
    return new Scope(workspaceId, List.of(), List.of());
  }

  /** Whether it is narrower than whole logs. */
  public boolean isNarrow() {
    return !runIds.isEmpty() || !threadIds.isEmpty();
  }

  /** Whether an event of a log that it follows is one of those that it follows. */
  boolean includes(LoggedEvent event) {
    return runIds.isEmpty() && threadIds.isEmpty()
        || runIds.contains(String.valueOf(event.runId()))
        || threadIds.contains(String.valueOf(event.threadId()));
  }

  /** The same text for the same scope, whatever the order of ids. */
  String canonical() {
    return workspaceId + "|" + new TreeSet<>(runIds) + "|" + new TreeSet<>(threadIds);
  }
}
