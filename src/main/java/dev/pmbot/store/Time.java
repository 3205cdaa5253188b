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

  /**
   * For how long, in nanoseconds and all in all, this process has stood still while that clock went
   * on: it was stopped, or was given no time. Whoever counts on it asks several times a second.
   */
  long stoodStillNanos();
}
