package dev.pmbot.wire;

import org.jspecify.annotations.Nullable;

/** What is remembered of a request that was carried out. */
public record RequestRow(String method, byte[] requestHash, byte[] response, long expiresAt) {
  /** Whether it is remembered for this very request. */
  boolean isFor(String otherMethod, byte[] otherHash) {
    return method.equals(otherMethod) && java.util.Arrays.equals(requestHash, otherHash);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return this == other;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }
}
