package dev.pmbot.json;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * Reads a regular expression as JSON Schema means it (ECMA-262, by code points), without what no
 * engine can run in bounded time: back-references. Look-behind is left out as well.
 */
final class PatternParser {
  private static final int MAXIMUM_LENGTH = 5_000;
  private static final int MAXIMUM_GROUPS_DEEP = 100;

  private final String pattern;
  private int position;
  private int groupsDeep;

  private PatternParser(String pattern) {
    this.pattern = pattern;
  }

  /**
   * @throws JsonProblem if the pattern is longer than 5,000 characters, is no regular expression,
   *     or has a back-reference or a look-behind
   */
  static PatternNode parse(String pattern) {
    if (pattern.length() > MAXIMUM_LENGTH) {
      throw new JsonProblem(
          "A pattern in the schema is longer than %d characters.".formatted(MAXIMUM_LENGTH));
    }
    PatternParser parser = new PatternParser(pattern);
    PatternNode node = parser.choice();
    if (parser.position < pattern.length()) {
      throw parser.problem("an unmatched `)`");
    }
    return node;
  }

  private PatternNode choice() {
    List<PatternNode> branches = new ArrayList<>();
    branches.add(sequence());
    while (take("|")) {
      branches.add(sequence());
    }
    return branches.size() == 1 ? branches.get(0) : new PatternNode.Choice(branches);
  }

  private PatternNode sequence() {
    List<PatternNode> parts = new ArrayList<>();
    while (position < pattern.length() && peek() != '|' && peek() != ')') {
      parts.add(term());
    }
    return new PatternNode.Sequence(parts);
  }

  private PatternNode term() {
    if (take("^")) {
      return new PatternNode.Place(PatternNode.Edge.START);
    } else if (take("$")) {
      return new PatternNode.Place(PatternNode.Edge.END);
    } else if (take("\\b")) {
      return new PatternNode.Place(PatternNode.Edge.WORD);
    } else if (take("\\B")) {
      return new PatternNode.Place(PatternNode.Edge.NOT_WORD);
    }
    return repeated(atom());
  }

  private PatternNode atom() {
    if (take("(")) {
      return group();
    } else if (take("[")) {
      return new PatternNode.OneOf(characterClass());
    } else if (take(".")) {
      return new PatternNode.OneOf(c -> !CharacterSets.isLineEnd(c));
    } else if (peek() == '\\') {
      return new PatternNode.OneOf(escape().set());
    } else if (peek() == '*' || peek() == '+' || peek() == '?') {
      throw problem("a quantifier with nothing before it");
    }
    int literal = next();
    return new PatternNode.OneOf(c -> c == literal);
  }

  private PatternNode group() {
    if (++groupsDeep > MAXIMUM_GROUPS_DEEP) {
      throw problem("more than " + MAXIMUM_GROUPS_DEEP + " nested groups");
    }
    boolean ahead = take("?=");
    boolean notAhead = !ahead && take("?!");
    if (take("?<=") || take("?<!")) {
      throw problem("a look-behind, which this server does not run");
    } else if (take("?<")) {
      skipGroupName();
    } else if (!take("?:") && position < pattern.length() && peek() == '?') {
      throw problem("an unknown kind of group");
    }
    PatternNode node = choice();
    if (!take(")")) {
      throw problem("an unmatched `(`");
    }
    groupsDeep--;
    return ahead || notAhead ? new PatternNode.LookAhead(node, notAhead) : node;
  }

  private void skipGroupName() {
    int close = pattern.indexOf('>', position);
    if (close < 0) {
      throw problem("a group name without an end");
    }
    position = close + 1;
  }

  private PatternNode repeated(PatternNode atom) {
    PatternNode result = atom;
    if (take("*")) {
      result = new PatternNode.Repeat(atom, 0, PatternNode.Repeat.UNBOUNDED);
    } else if (take("+")) {
      result = new PatternNode.Repeat(atom, 1, PatternNode.Repeat.UNBOUNDED);
    } else if (take("?")) {
      result = new PatternNode.Repeat(atom, 0, 1);
    } else if (position < pattern.length() && peek() == '{') {
      result = counted(atom);
    }
    // Lazy or greedy: whether there is a match is the same.
    if (result != atom) {
      take("?");
    }
    return result;
  }

  private PatternNode counted(PatternNode atom) {
    int close = pattern.indexOf('}', position);
    String inside = close < 0 ? "" : pattern.substring(position + 1, close);
    if (!inside.matches("[0-9]+(,[0-9]*)?")) {
      return atom; // a plain brace, which browsers accept as well
    }
    position = close + 1;
    int comma = inside.indexOf(',');
    int minimum = count(comma < 0 ? inside : inside.substring(0, comma));
    int maximum = minimum;
    if (comma >= 0) {
      String upper = inside.substring(comma + 1);
      maximum = upper.isEmpty() ? PatternNode.Repeat.UNBOUNDED : count(upper);
    }
    if (maximum != PatternNode.Repeat.UNBOUNDED && maximum < minimum) {
      throw problem("a repetition whose upper bound is below its lower bound");
    }
    return new PatternNode.Repeat(atom, minimum, maximum);
  }

  private int count(String digits) {
    // Larger ones exceed the program's size in any case.
    return digits.length() > 6 ? 1_000_000 : Integer.parseInt(digits);
  }

  private IntPredicate characterClass() {
    boolean negated = take("^");
    List<IntPredicate> sets = new ArrayList<>();
    while (!take("]")) {
      PatternEscape.Read low = classMember();
      boolean range =
          low.isCharacter()
              && position + 1 < pattern.length()
              && peek() == '-'
              && pattern.charAt(position + 1) != ']';
      if (!range) {
        sets.add(low.set());
        continue;
      }
      position++;
      PatternEscape.Read high = classMember();
      if (!high.isCharacter()) {
        sets.add(low.set());
        sets.add(c -> c == '-');
        sets.add(high.set());
      } else if (high.character() < low.character()) {
        throw problem("a range whose end is below its start");
      } else {
        sets.add(c -> c >= low.character() && c <= high.character());
      }
    }
    return c -> sets.stream().anyMatch(set -> set.test(c)) != negated;
  }

  private PatternEscape.Read classMember() {
    if (position >= pattern.length()) {
      throw problem("a character class without an end");
    }
    if (take("\\b")) {
      return PatternEscape.Read.character('\b', position);
    }
    return peek() == '\\' ? escape() : PatternEscape.Read.character(next(), position);
  }

  private PatternEscape.Read escape() {
    PatternEscape.Read escape = PatternEscape.read(pattern, position);
    position = escape.end();
    return escape;
  }

  private boolean take(String expected) {
    boolean there = pattern.startsWith(expected, position);
    if (there) {
      position += expected.length();
    }
    return there;
  }

  private char peek() {
    return pattern.charAt(position);
  }

  private int next() {
    int c = pattern.codePointAt(position);
    position += Character.charCount(c);
    return c;
  }

  private JsonProblem problem(String wrong) {
    return PatternEscape.problem(wrong, position);
  }
}
