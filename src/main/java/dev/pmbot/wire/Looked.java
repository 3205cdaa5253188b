package dev.pmbot.wire;

import org.jspecify.annotations.Nullable;

/**
 * A row that a filtered list looked at.
 *
 * @param key its place in the list's order; the row can be found by it
 * @param matches whether the whole filter takes it; absent, as SQL has it, when it is asked for a
 *     value and has none
 */
public record Looked(String key, @Nullable Boolean matches) {
  /** Whether the list shows it. */
  public boolean isTaken() {
    return Boolean.TRUE.equals(matches);
  }
}
