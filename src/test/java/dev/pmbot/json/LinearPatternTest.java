package dev.pmbot.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class LinearPatternTest {
  private static boolean find(String pattern, String text) {
    return LinearPattern.compile(pattern).find(text, new StepBudget(1_000_000));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "b abc true",
        "^b abc false",
        "^a.c$ abc true",
        "^a{2,3}$ aa true",
        "^a{2,3}$ aaaa false",
        "^a{2}$ aa true",
        "^a{2,}$ aaaaa true",
        "^(ab|c)*$ abcab true",
        "^(ab|c)*$ aba false",
        "^[a-c-]+$ a-b true",
        "^[^a-c]+$ xyz true",
        "^[^a-c]+$ xaz false",
        "^\\d{3}-\\d{2}$ 123-45 true",
        "\\bfoo\\b a-foo-b true",
        "\\bfoo\\b afoob false",
        "^(?:x|y)?z$ z true",
        "^\\w+@\\w+$ a@b true",
        "^\\u00e9$ é true",
        "^\\x41$ A true",
        "^\\u{1F600}$ 😀 true",
        "^.$ 😀 true",
        "^\\ud83d\\ude00$ 😀 true",
        "^\\p{L}+$ aé true",
        "^\\p{Lu}$ a false",
        "^\\P{L}$ 1 true",
        "^\\p{Script=Greek}+$ αβ true",
        "^\\p{Letter}$ x true",
        "^\\p{Alphabetic}$ x true",
        "^(?=.*\\d)(?=.*[A-Z]).{4,}$ abC1 true",
        "^(?=.*\\d)(?=.*[A-Z]).{4,}$ abc1 false",
        "^(?!admin$).+$ admin false",
        "^(?!admin$).+$ admins true",
        "^(?<year>\\d{4})$ 2024 true",
        "^a{,2}$ a{,2} true",
        "^\\/\\.$ /. true",
        "^[\\d_]+$ 1_2 true",
        "^[]$ x false",
        "^[^]$ x true",
        "^(a*)*$ aaa true",
        "^(a|)*b$ aab true",
        "^a*?b$ aab true",
        "^(|a){3}$ aa true",
      })
  void matchesAsEcmaScriptDoes(String pattern, String text, boolean expected) {
    assertEquals(expected, find(pattern, text));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(",
        ")",
        "a)",
        "[a",
        "*",
        "a**",
        "(?<=a)b",
        "(?<!a)b",
        "(a)\\1",
        "\\k<x>",
        "\\",
        "\\q",
        "\\xg1",
        "\\u12",
        "\\p{Nonsense}",
        "\\pL",
        "[b-a]",
        "a{3,2}",
        "(?i)a",
        "\\u{110000}",
        "(?<x",
        "\\c1",
      })
  void refusesWhatItCannotRun(String pattern) {
    assertThrows(JsonProblem.class, () -> LinearPattern.compile(pattern));
  }

  @Test
  void agreesWithJavaOnRandomPatterns() {
    List<String> parts =
        List.of(
            "a", "b", ".", "[ab]", "[^a]", "(a|b)", "(ab|)", "(?:b)", "^", "$", "\\b", "(?=a)",
            "(?!b)");
    List<String> quantifiers = List.of("", "", "", "*", "+", "?", "{2}", "{1,2}");
    Random random = new Random(7);
    int found = 0;
    for (int i = 0; i < 50_000; i++) {
      StringBuilder pattern = new StringBuilder();
      for (int length = 1 + random.nextInt(5); length > 0; length--) {
        String part = parts.get(random.nextInt(parts.size()));
        boolean place = part.equals("^") || part.equals("$") || part.equals("\\b");
        pattern.append(random.nextInt(6) == 0 ? "|" : "").append(part);
        pattern.append(place ? "" : quantifiers.get(random.nextInt(quantifiers.size())));
      }
      StringBuilder text = new StringBuilder();
      for (int length = random.nextInt(6); length > 0; length--) {
        text.append("abc".charAt(random.nextInt(3)));
      }
      boolean expected = Pattern.compile(pattern.toString()).matcher(text).find();
      assertEquals(expected, find(pattern.toString(), text.toString()), pattern + " on " + text);
      found += expected ? 1 : 0;
    }
    assertTrue(found > 5_000 && found < 45_000, "both answers must occur: " + found);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a+)+$",
        "^(a|a)*$",
        "(a|aa)+$",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(.*a){20}$",
        "(?:|){64}b"
      })
  void patternsThatExplodeElsewhereStayWithinTheBudget(String pattern) {
    String text = "a".repeat(5_000) + "!";
    StepBudget budget = new StepBudget(20_000_000);
    assertFalse(LinearPattern.compile(pattern).find(text, budget));
  }

  @Test
  void stopsWhenTheBudgetIsUsedUp() {
    // A look-ahead over all that follows, at each place: quadratic by its nature.
    LinearPattern pattern = LinearPattern.compile("(?=.*x)y");
    String text = "a".repeat(1_000_000);
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () ->
            assertThrows(JsonProblem.class, () -> pattern.find(text, new StepBudget(20_000_000))));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"((a{1000}){1000}){1000}", "((){100000}){100000}", "(((a|b){99}){99}){99}"})
  void refusesRepetitionsThatAreTooLargeWrittenOut(String pattern) {
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> assertThrows(JsonProblem.class, () -> LinearPattern.compile(pattern)));
  }

  @Test
  void refusesPatternsThatAreTooLongOrTooDeep() {
    assertThrows(JsonProblem.class, () -> LinearPattern.compile("a".repeat(5_001)));
    assertThrows(
        JsonProblem.class, () -> LinearPattern.compile("(".repeat(2_000) + ")".repeat(2_000)));
  }
}
