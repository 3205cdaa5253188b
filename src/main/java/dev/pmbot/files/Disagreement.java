package dev.pmbot.files;

/**
 * Something in a data directory that does not agree with something else in it.
 *
 * @param where what it is about: a file, a row, a place in a chain
 * @param what what is wrong with it
 * @param harmless whether everything works all the same: what a crash may leave behind
 */
public record Disagreement(String where, String what, boolean harmless) {
  /** Something that must not be. */
  public static Disagreement of(String where, String what) {
    return new Disagreement(where, what, false);
  }

  /** Something that a crash may leave behind, and that hurts nobody. */
  public static Disagreement harmless(String where, String what) {
    return new Disagreement(where, what, true);
  }
}
