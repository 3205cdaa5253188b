package dev.pmbot.json;

import java.util.function.IntPredicate;

/** Reads one escape of a regular expression, such as {@code \d}, {@code \u00e9}, {@code \p{L}}. */
final class PatternEscape {
  private static final String CONTROLS = "tnvfr";
  private static final int[] CONTROL_CODES = {0x09, 0x0a, 0x0b, 0x0c, 0x0d};

  private PatternEscape() {}

  /**
   * What an escape stands for.
   *
   * @param set the characters that match
   * @param character the one character, or -1 if the escape names a set
   * @param end the offset after the escape
   */
  record Read(IntPredicate set, int character, int end) {
    static Read character(int character, int end) {
      return new Read(c -> c == character, character, end);
    }

    static Read set(IntPredicate set, int end) {
      return new Read(set, -1, end);
    }

    boolean isCharacter() {
      return character >= 0;
    }
  }

  /**
   * @param pattern the whole regular expression
   * @param backslash where the escape begins
   * @throws JsonProblem if the escape is incomplete, unknown or a back-reference
   */
  static Read read(String pattern, int backslash) {
    if (backslash + 1 == pattern.length()) {
      throw problem("a backslash with nothing behind it", backslash);
    }
    int c = pattern.codePointAt(backslash + 1);
    int end = backslash + 1 + Character.charCount(c);
    int control = CONTROLS.indexOf(c);
    if (control >= 0) {
      return Read.character(CONTROL_CODES[control], end);
    }
    return switch (c) {
      case 'd' -> Read.set(CharacterSets::isDigit, end);
      case 'D' -> Read.set(x -> !CharacterSets.isDigit(x), end);
      case 'w' -> Read.set(CharacterSets::isWord, end);
      case 'W' -> Read.set(x -> !CharacterSets.isWord(x), end);
      case 's' -> Read.set(CharacterSets::isSpace, end);
      case 'S' -> Read.set(x -> !CharacterSets.isSpace(x), end);
      case 'p', 'P' -> property(pattern, backslash, c == 'P');
      case 'x' -> Read.character(hexadecimal(pattern, backslash, end, end + 2), end + 2);
      case 'u' -> unicode(pattern, backslash, end);
      case 'c' -> controlLetter(pattern, backslash, end);
      case '0' -> Read.character(0, end);
      default -> literal(c, backslash, end);
    };
  }

  private static Read literal(int c, int backslash, int end) {
    if (CharacterSets.isDigit(c) || c == 'k') {
      throw problem("a back-reference, which this server does not run", backslash);
    }
    if (c != '_' && CharacterSets.isWord(c)) {
      throw problem("an unknown escape", backslash);
    }
    return Read.character(c, end);
  }

  private static Read property(String pattern, int backslash, boolean negated) {
    int open = backslash + 2;
    int close = pattern.indexOf('}', open);
    if (close < 0 || pattern.charAt(open) != '{') {
      throw problem("a character property without braces", backslash);
    }
    IntPredicate set = CharacterSets.property(pattern.substring(open + 1, close));
    return Read.set(negated ? set.negate() : set, close + 1);
  }

  private static Read unicode(String pattern, int backslash, int end) {
    if (pattern.startsWith("{", end)) {
      int close = pattern.indexOf('}', end);
      if (close < 0 || close - end > 9) {
        throw problem("an incomplete escape", backslash);
      }
      return Read.character(hexadecimal(pattern, backslash, end + 1, close), close + 1);
    }
    int unit = hexadecimal(pattern, backslash, end, end + 4);
    // Two escapes that are the halves of one character mean that character.
    if (Character.isHighSurrogate((char) unit) && pattern.startsWith("\\u", end + 4)) {
      int low = hexadecimal(pattern, backslash, end + 6, end + 10);
      if (Character.isLowSurrogate((char) low)) {
        return Read.character(Character.toCodePoint((char) unit, (char) low), end + 10);
      }
    }
    return Read.character(unit, end + 4);
  }

  private static Read controlLetter(String pattern, int backslash, int end) {
    int letter = end < pattern.length() ? pattern.charAt(end) : 0;
    if ((letter | 0x20) < 'a' || (letter | 0x20) > 'z') {
      throw problem("an incomplete escape", backslash);
    }
    return Read.character(letter & 0x1f, end + 1);
  }

  private static int hexadecimal(String pattern, int backslash, int from, int to) {
    int value = 0;
    for (int i = from; i < to; i++) {
      char c = i < pattern.length() ? pattern.charAt(i) : 0;
      int digit = c < 128 ? Character.digit(c, 16) : -1;
      if (digit < 0) {
        throw problem("an incomplete escape", backslash);
      }
      value = value << 4 | digit;
    }
    if (from >= to || value < 0 || value > Character.MAX_CODE_POINT) {
      throw problem("an escape that names no character", backslash);
    }
    return value;
  }

  static JsonProblem problem(String wrong, int offset) {
    return new JsonProblem(
        "A pattern in the schema has %s at character %d.".formatted(wrong, offset + 1));
  }
}
