package dev.pmbot.audit;

import org.jspecify.annotations.Nullable;

/**
 * What walking a chain found: how many events hold, where it ends, and the first fault if there is
 * one.
 */
public record Verification(long verifiedEvents, HeadRow head, @Nullable Fault fault) {
  /** Where and how a chain is broken. */
  public record Fault(long seq, String description) {}
}
