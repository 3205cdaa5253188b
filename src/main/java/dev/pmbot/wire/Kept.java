package dev.pmbot.wire;

import dev.pmbot.json.Redaction;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.util.RawValue;

/**
 * What is stored of what came in: redacted, and no longer than its column takes. A marker may be
 * longer than the secret that it stands for, so that a text within its limit can outgrow it.
 */
public final class Kept {
  private static final int LARGEST_JSON = 2 << 20;
  private static final int LARGEST_FACT = LARGEST_JSON - 8192;
  private static final int LONGEST_TEXT = 8192;
  private static final String CUT = "…";

  private Kept() {}

  /**
   * JSON as it is stored.
   *
   * @param what it is, for the message
   * @throws Problem TOO_LARGE
   */
  public static String json(String what, String json) {
    return redacted(what, json, LARGEST_JSON);
  }

  /**
   * JSON as it stands among the facts of an event, of which the others are small.
   *
   * @param what it is, for the message
   * @throws Problem TOO_LARGE
   */
  public static RawValue fact(String what, String json) {
    return new RawValue(redacted(what, json, LARGEST_FACT));
  }

  private static String redacted(String what, String json, int limit) {
    String redacted = Redaction.redact(json);
    if (redacted.length() > limit) {
      throw Problem.tooLarge(what + " once its secrets are redacted", limit);
    }
    return redacted;
  }

  /**
   * A person's or a program's words as they are stored, cut where they are too long; none if empty.
   */
  public static @Nullable String text(String text) {
    if (text.isEmpty()) {
      return null;
    }
    String redacted = Redaction.redactText(text);
    return redacted.length() <= LONGEST_TEXT
        ? redacted
        : redacted.substring(0, redacted.offsetByCodePoints(0, LONGEST_TEXT / 2)) + CUT;
  }
}
