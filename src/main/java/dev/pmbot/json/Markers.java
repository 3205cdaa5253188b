package dev.pmbot.json;

/** What stands where a secret stood, and what never was one. */
final class Markers {
  private static final String BEGIN = "[redacted:";
  private static final int LONGEST_VARIABLE = 100;

  private Markers() {}

  static String of(String kind) {
    return BEGIN + kind + "]";
  }

  /** Whether a marker stands anywhere in a text. */
  static boolean holds(String text) {
    int begin = text.indexOf(BEGIN);
    while (begin >= 0) {
      if (end(text, begin) >= 0) {
        return true;
      }
      begin = text.indexOf(BEGIN, begin + 1);
    }
    return false;
  }

  /** Whether a part of a text is one marker and nothing else. */
  static boolean is(String text, int from, int to) {
    return text.startsWith(BEGIN, from) && end(text, from) == to;
  }

  /**
   * Whether a part of a text only stands for a secret: a marker, asterisks, or a variable such as
   * {@code ${PASSWORD}} or {@code $PASSWORD}.
   */
  static boolean isPlaceholder(String text, int from, int to) {
    char first = text.charAt(from);
    if (first == '[') {
      return is(text, from, to);
    }
    boolean allowed = (first == '$' && to - from <= LONGEST_VARIABLE) || first == '*';
    for (int i = from + 1; allowed && i < to; i++) {
      char c = text.charAt(i);
      allowed = first == '*' ? c == '*' : CharacterSets.isWord(c) || c == '{' || c == '}';
    }
    return allowed;
  }

  private static int end(String text, int begin) {
    int position = begin + BEGIN.length();
    int kind = position;
    while (position < text.length() && CharacterSets.isWord(text.charAt(position))) {
      position++;
    }
    return position > kind && text.startsWith("]", position) ? position + 1 : -1;
  }
}
