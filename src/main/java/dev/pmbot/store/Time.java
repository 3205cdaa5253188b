package dev.pmbot.store;

/**
 * The clocks. Everything that asks for the time is given one of these, so that tests can turn it.
 */
public interface Time {
  /** Microseconds since the epoch, UTC. For people: it may step back. */
  long nowMicros();

  /**
   * Nanoseconds on a clock that never steps, from an arbitrary origin. Deadlines are kept on it.
   */
  long monotonicNanos();
}
