package dev.pmbot.json;

/**
 * Reads one JSON string inside a text: finds its end, refusing what a database or another reader
 * could not hold (NUL, half a surrogate pair, raw control characters), and decodes its escapes.
 */
final class StringScanner {
  private final String text;

  StringScanner(String text) {
    this.text = text;
  }

  /**
   * The offset after the closing quote of the string whose opening quote stands at {@code open}.
   *
   * @throws JsonProblem if the string is not closed, or holds what no string may hold
   */
  int end(int open) {
    int position = open + 1;
    while (position < text.length()) {
      char c = text.charAt(position);
      if (c == '"') {
        return position + 1;
      } else if (c == '\\') {
        position = escape(position);
      } else if (c < 0x20) {
        throw control(position, c);
      } else if (Character.isSurrogate(c)) {
        position = rawPair(position, c);
      } else {
        position++;
      }
    }
    throw JsonProblem.at(text, open, "a string without an end", "a double quote must close it");
  }

  /** Decodes the escapes between two offsets of a string that {@link #end} has accepted. */
  String decode(int from, int to) {
    int position = from;
    // Not indexOf: that would look through the whole rest of the text for every string.
    while (position < to && text.charAt(position) != '\\') {
      position++;
    }
    if (position == to) {
      return text.substring(from, to);
    }
    StringBuilder decoded = new StringBuilder(to - from).append(text, from, position);
    while (position < to) {
      decoded.append(decodedAt(position));
      position = after(position);
    }
    return decoded.toString();
  }

  /** The offset after the one (perhaps escaped) UTF-16 character that begins at an offset. */
  int after(int position) {
    if (text.charAt(position) != '\\') {
      return position + 1;
    }
    return text.charAt(position + 1) == 'u' ? position + 6 : position + 2;
  }

  private char decodedAt(int position) {
    char c = text.charAt(position);
    if (c != '\\') {
      return c;
    }
    char escaped = text.charAt(position + 1);
    return switch (escaped) {
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'u' -> (char) hexadecimal(position);
      default -> escaped;
    };
  }

  private int escape(int position) {
    char escaped = position + 1 < text.length() ? text.charAt(position + 1) : 0;
    if (escaped != 'u') {
      if ("\"\\/bfnrt".indexOf(escaped) < 0) {
        throw JsonProblem.at(
            text,
            position,
            "an unknown escape",
            "only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX are");
      }
      return position + 2;
    }
    char unit = (char) hexadecimal(position);
    if (unit == 0) {
      throw control(position, unit);
    }
    if (!Character.isSurrogate(unit)) {
      return position + 6;
    }
    boolean paired =
        Character.isHighSurrogate(unit)
            && text.startsWith("\\u", position + 6)
            && Character.isLowSurrogate((char) hexadecimal(position + 6));
    if (!paired) {
      throw half(position);
    }
    return position + 12;
  }

  private int rawPair(int position, char c) {
    boolean paired =
        Character.isHighSurrogate(c)
            && position + 1 < text.length()
            && Character.isLowSurrogate(text.charAt(position + 1));
    if (!paired) {
      throw half(position);
    }
    return position + 2;
  }

  private int hexadecimal(int escape) {
    int value = 0;
    for (int i = escape + 2; i < escape + 6; i++) {
      char c = i < text.length() ? text.charAt(i) : 0;
      int digit = c < 128 ? Character.digit(c, 16) : -1;
      if (digit < 0) {
        throw JsonProblem.at(
            text, escape, "an incomplete \\u escape", "four hexadecimal digits must follow it");
      }
      value = value << 4 | digit;
    }
    return value;
  }

  private JsonProblem control(int position, char c) {
    return c == 0
        ? JsonProblem.at(text, position, "a NUL character in a string", "leave it out")
        : JsonProblem.at(
            text, position, "a raw control character in a string", "write it as an escape");
  }

  private JsonProblem half(int position) {
    return JsonProblem.at(
        text, position, "half a surrogate pair in a string", "both halves must stand together");
  }
}
