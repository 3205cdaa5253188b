package dev.pmbot.json;

import java.io.Serial;

/**
 * Says in one sentence for people what is wrong with a JSON text or a schema, where, and what would
 * be right. It never repeats a value of the text, since that may be a secret.
 */
public final class JsonProblem extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /**
   * @param message the sentence; it is shown to the client as it is
   */
  public JsonProblem(String message) {
    super(message);
  }

  /**
   * @param message the sentence; it is shown to the client as it is
   * @param cause what a library threw; for the log only
   */
  public JsonProblem(String message, Throwable cause) {
    super(message, cause);
  }

  /** A problem at one character of a text; the place is given as line and column, both from 1. */
  static JsonProblem at(String text, int offset, String wrong, String right) {
    int line = 1;
    int lineStart = 0;
    for (int i = 0; i < offset && i < text.length(); i++) {
      if (text.charAt(i) == '\n') {
        line++;
        lineStart = i + 1;
      }
    }
    int column = offset - lineStart + 1;
    return new JsonProblem(
        "The JSON text has %s at line %d, column %d; %s.".formatted(wrong, line, column, right));
  }
}
