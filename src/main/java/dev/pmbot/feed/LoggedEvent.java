package dev.pmbot.feed;

import org.jspecify.annotations.Nullable;

/** What the feed needs to know of an event. */
public interface LoggedEvent {
  /** Whose log it is in. */
  String workspaceId();

  /** Its place there. */
  long seq();

  /** The place of the first event of its transaction. */
  long txFirstSeq();

  /** Its hash. */
  byte[] hash();

  /** The run that it is about. */
  @Nullable String runId();

  /** The thread that it is about. */
  @Nullable String threadId();

  /** About how much memory it takes, in bytes. */
  int size();
}
