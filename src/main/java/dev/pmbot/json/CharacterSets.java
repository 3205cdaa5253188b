package dev.pmbot.json;

import java.util.Map;
import java.util.function.IntPredicate;
import java.util.regex.Pattern;

/** The named sets of characters of ECMA-262 regular expressions. */
final class CharacterSets {
  private static final Map<String, String> SHORT_NAMES =
      Map.ofEntries(
          Map.entry("Letter", "L"),
          Map.entry("Uppercase_Letter", "Lu"),
          Map.entry("Lowercase_Letter", "Ll"),
          Map.entry("Mark", "M"),
          Map.entry("Number", "N"),
          Map.entry("Decimal_Number", "Nd"),
          Map.entry("Punctuation", "P"),
          Map.entry("Symbol", "S"),
          Map.entry("Separator", "Z"),
          Map.entry("Space_Separator", "Zs"),
          Map.entry("Other", "C"),
          Map.entry("Control", "Cc"));

  private CharacterSets() {}

  static boolean isDigit(int c) {
    return c >= '0' && c <= '9';
  }

  static boolean isWord(int c) {
    return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }

  static boolean isSpace(int c) {
    return (c >= 0x09 && c <= 0x0d)
        || c == 0xfeff
        || isLineEnd(c)
        || Character.getType(c) == Character.SPACE_SEPARATOR;
  }

  static boolean isLineEnd(int c) {
    return c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029;
  }

  /**
   * The set named in {@code \p{…}}, such as {@code L}, {@code Letter}, {@code Script=Greek}.
   *
   * @throws JsonProblem if there is no such set
   */
  static IntPredicate property(String name) {
    String known = SHORT_NAMES.getOrDefault(name, name);
    String javaName = known.length() <= 2 || known.contains("=") ? known : "Is" + known;
    if (!javaName.matches("[A-Za-z0-9_=]{1,60}")) {
      throw unknown();
    }
    try {
      Pattern pattern = Pattern.compile("\\p{" + javaName + "}");
      // One character against one set: nothing that could run away.
      return c -> pattern.matcher(Character.toString(c)).matches();
    } catch (IllegalArgumentException e) {
      throw unknown();
    }
  }

  private static JsonProblem unknown() {
    return new JsonProblem("A pattern in the schema names an unknown character property.");
  }
}
