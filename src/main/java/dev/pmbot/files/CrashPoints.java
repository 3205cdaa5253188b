package dev.pmbot.files;

/**
 * The places at which the tests of the whole system halt the process, to see what a crash there
 * leaves behind. In production it is {@link #NONE}.
 */
@FunctionalInterface
public interface CrashPoints {
  /** Does nothing. */
  CrashPoints NONE = point -> {};

  /**
   * Called just before and after a file gets its final name.
   *
   * @param point {@code rename.before} or {@code rename.after}
   */
  void reached(String point);
}
