package dev.pmbot.json;

/** Reads one JSON number inside a text without converting it, so that its length costs little. */
final class NumberScanner {
  /** Jackson refuses longer numbers, and Python refuses integers over 4,300 digits. */
  static final int MAXIMUM_LENGTH = 1_000;

  private final String text;
  private int position;

  private NumberScanner(String text, int start) {
    this.text = text;
    position = start;
  }

  /**
   * The offset after the number that begins at {@code start}.
   *
   * @throws JsonProblem if it is incomplete, longer than 1,000 characters, or has an exponent that
   *     takes it beyond 64-bit floating point
   */
  static int end(String text, int start) {
    return new NumberScanner(text, start).scan();
  }

  private int scan() {
    int start = position;
    skip("-");
    if (!skip("0")) {
      digits();
    }
    if (skip(".")) {
      digits();
    }
    boolean exponent = skip("eE");
    if (exponent) {
      skip("+-");
      digits();
    }
    int length = position - start;
    if (length > MAXIMUM_LENGTH) {
      throw JsonProblem.at(
          text,
          start,
          "a number of " + length + " characters",
          "a number may have at most " + MAXIMUM_LENGTH);
    }
    // Other readers turn 1e999 into infinity, which they cannot write as JSON again.
    if (exponent && !Double.isFinite(Double.parseDouble(text.substring(start, position)))) {
      throw JsonProblem.at(
          text, start, "a number beyond 64-bit floating point", "it must be below 1.8e308");
    }
    return position;
  }

  private boolean skip(String anyOf) {
    boolean there = position < text.length() && anyOf.indexOf(text.charAt(position)) >= 0;
    position += there ? 1 : 0;
    return there;
  }

  private void digits() {
    int first = position;
    while (position < text.length() && CharacterSets.isDigit(text.charAt(position))) {
      position++;
    }
    if (position == first) {
      throw JsonProblem.at(text, position, "an incomplete number", "a digit must stand here");
    }
  }
}
