package dev.pmbot.json;

import org.jspecify.annotations.Nullable;

/**
 * Finds values that a plain text gives to a secret-looking name: {@code API_KEY=…} in a shell
 * command, {@code "password": "…"} in JSON quoted as a string, {@code token: …} in YAML, {@code
 * Authorization: Basic …} in a header.
 */
final class AssignmentFinder {
  private static final int LONGEST_NAME = 64;
  private static final int MOST_SPACES = 4;

  /**
   * After a space a bare word must look like a secret, or prose ("token: a piece of text") and code
   * ({@code token = next(stream)}) would lose their words: this long, with a digit near its start.
   */
  private static final int SHORTEST_LOOSE_VALUE = 6;

  private static final int LOOK_FOR_DIGIT = 64;
  private static final String[] SCHEMES = {"Basic ", "Bearer ", "Digest ", "Token ", "ApiKey "};

  private final String text;

  AssignmentFinder(String text) {
    this.text = text;
  }

  /** The value that the {@code =} or {@code :} at an offset gives to a secret-looking name. */
  @Nullable Finding at(int sign) {
    if (sign + 1 == text.length() || "=:".indexOf(text.charAt(sign + 1)) >= 0) {
      return null;
    }
    int nameEnd = backOverSpaces(sign);
    boolean quotedName = nameEnd > 0 && isQuote(text.charAt(nameEnd - 1));
    if (quotedName) {
      nameEnd--;
      if (nameEnd > 0 && text.charAt(nameEnd - 1) == '\\') {
        nameEnd--;
      }
    }
    int nameStart = nameEnd;
    while (nameStart > 0
        && nameEnd - nameStart < LONGEST_NAME
        && isName(text.charAt(nameStart - 1))) {
      nameStart--;
    }
    String kind = nameStart == nameEnd ? null : SecretKeys.kind(text.substring(nameStart, nameEnd));
    if (kind == null) {
      return null;
    }
    boolean tight =
        text.charAt(sign) == '='
            && nameEnd == sign
            && !Character.isWhitespace(text.charAt(sign + 1));
    return value(sign + 1, kind, tight);
  }

  private @Nullable Finding value(int afterSign, String kind, boolean tight) {
    int start = overSpaces(afterSign);
    int opening = start < text.length() && text.charAt(start) == '\\' ? start + 1 : start;
    if (opening < text.length() && isQuote(text.charAt(opening))) {
      int end = quotedEnd(opening + 1, text.charAt(opening), opening > start);
      return finding(opening + 1, end, kind);
    }
    boolean certain = tight;
    for (String scheme : SCHEMES) {
      if (text.regionMatches(true, start, scheme, 0, scheme.length())) {
        start = overSpaces(start + scheme.length());
        certain = true;
      }
    }
    return certain || looksSecret(start) ? finding(start, bareEnd(start), kind) : null;
  }

  private @Nullable Finding finding(int start, int end, String kind) {
    return end > start && !Markers.isPlaceholder(text, start, end)
        ? new Finding(start, end, kind)
        : null;
  }

  private boolean looksSecret(int start) {
    boolean digit = false;
    int position = start;
    int limit = Math.min(text.length(), start + LOOK_FOR_DIGIT);
    while (position < limit && isBare(text.charAt(position))) {
      digit |= CharacterSets.isDigit(text.charAt(position));
      position++;
    }
    return digit && position - start >= SHORTEST_LOOSE_VALUE;
  }

  private int bareEnd(int start) {
    int position = start;
    while (position < text.length() && isBare(text.charAt(position))) {
      position++;
    }
    return position;
  }

  /** The end of a quoted value; one that is not closed ends with its line. */
  private int quotedEnd(int from, char quote, boolean escapedQuote) {
    int position = from;
    while (position < text.length()) {
      char c = text.charAt(position);
      if (c == quote || c == '\n') {
        return position;
      }
      if (c == '\\') {
        if (escapedQuote) {
          return position;
        }
        position++;
      }
      position++;
    }
    return text.length();
  }

  private int backOverSpaces(int sign) {
    int position = sign;
    while (position > 0 && sign - position < MOST_SPACES && text.charAt(position - 1) == ' ') {
      position--;
    }
    return position;
  }

  private int overSpaces(int from) {
    int position = from;
    while (position < text.length()
        && position - from < MOST_SPACES
        && text.charAt(position) == ' ') {
      position++;
    }
    return position;
  }

  private static boolean isQuote(char c) {
    return c == '"' || c == '\'' || c == '`';
  }

  private static boolean isName(char c) {
    return CharacterSets.isWord(c) || c == '-' || c == '.';
  }

  private static boolean isBare(char c) {
    return c > ' ' && "\"'`&;,()[]{}<>\\".indexOf(c) < 0;
  }
}
