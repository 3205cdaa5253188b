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
   * Called just before and after a file gets its final name, or a group of writes is committed, and
   * before each part of a file is read to be hashed.
   *
   * @param point {@code rename.before}, {@code rename.after}, {@code commit.before}, {@code
   *     commit.after} or {@code hash.part}
   */
  void reached(String point);
}
