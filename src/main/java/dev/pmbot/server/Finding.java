package dev.pmbot.server;

/**
 * One thing that a {@link Doctor} looked at.
 *
 * @param about what it is about, in a word or two
 * @param said how it is, and what to do if it is not well, in one line
 */
public record Finding(Verdict verdict, String about, String said) {
  /** How grave something is. */
  public enum Verdict {
    /** As it should be. */
    OK,
    /** It works, but may not for long, or somebody ought to know. */
    WARN,
    /** A server cannot start, or must not be left like this. */
    FAIL
  }

  static Finding ok(String about, String said) {
    return new Finding(Verdict.OK, about, said);
  }

  static Finding warn(String about, String said) {
    return new Finding(Verdict.WARN, about, said);
  }

  static Finding fail(String about, String said) {
    return new Finding(Verdict.FAIL, about, said);
  }
}
