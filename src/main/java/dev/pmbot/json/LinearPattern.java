package dev.pmbot.json;

import java.util.BitSet;

/**
 * A regular expression that is run over all its possibilities at once, so that its cost is at most
 * the pattern's size times the text's length. Java's own engine tries them one after the other and
 * needs longer than the universe has for {@code (a+)+$}; there is no way to stop it.
 *
 * <p>A look-ahead begins such a run at each place where it is met; the {@link StepBudget} bounds
 * that, and everything else.
 */
final class LinearPattern {
  private final PatternProgram program;

  private LinearPattern(PatternProgram program) {
    this.program = program;
  }

  /**
   * @throws JsonProblem if the pattern is no regular expression, has a look-behind or a
   *     back-reference, or is too large once its repetitions are written out
   */
  static LinearPattern compile(String pattern) {
    return new LinearPattern(PatternProgram.of(PatternParser.parse(pattern)));
  }

  /**
   * Whether the pattern matches anywhere in the text.
   *
   * @throws JsonProblem if the budget is used up before that is known
   */
  boolean find(String text, StepBudget budget) {
    return run(program, text, 0, true, budget);
  }

  private static boolean run(
      PatternProgram program, String text, int from, boolean anywhere, StepBudget budget) {
    Threads now = new Threads(program, text, budget);
    Threads then = new Threads(program, text, budget);
    int position = from;
    now.start(position);
    while (!now.matched) {
      if (position >= text.length() || (now.count == 0 && !anywhere)) {
        return false;
      }
      int c = text.codePointAt(position);
      position += Character.charCount(c);
      then.clear();
      budget.spend(1 + now.count);
      for (int i = 0; i < now.count && !then.matched; i++) {
        int instruction = now.waiting[i];
        if (program.set(instruction).test(c)) {
          then.add(program.next(instruction), position);
        }
      }
      if (anywhere) {
        then.start(position);
      }
      Threads swap = now;
      now = then;
      then = swap;
    }
    return true;
  }

  /** The instructions that wait for the next character, each at most once. */
  private static final class Threads {
    private final PatternProgram program;
    private final String text;
    private final StepBudget budget;
    private final int[] waiting;
    private final int[] open;
    private final BitSet seen;
    private int count;
    private boolean matched;

    Threads(PatternProgram program, String text, StepBudget budget) {
      this.program = program;
      this.text = text;
      this.budget = budget;
      waiting = new int[program.size()];
      open = new int[program.size() + 1];
      seen = new BitSet(program.size());
      budget.spend(program.size());
    }

    void clear() {
      seen.clear();
      count = 0;
    }

    void start(int position) {
      add(0, position);
    }

    /** Follows all that needs no character, with a list of its own instead of recursion. */
    void add(int first, int position) {
      int size = push(first, 0);
      while (size > 0 && !matched) {
        int instruction = open[--size];
        budget.spend(1);
        switch (program.operation(instruction)) {
          case CHARACTER -> waiting[count++] = instruction;
          case MATCH -> matched = true;
          case FORK -> {
            size = push(program.other(instruction), size);
            size = push(program.next(instruction), size);
          }
          case JUMP -> size = push(program.next(instruction), size);
          case PLACE -> {
            if (isAt(program.edge(instruction), position)) {
              size = push(program.next(instruction), size);
            }
          }
          case LOOK_AHEAD -> {
            PatternProgram ahead = program.ahead(instruction);
            if (run(ahead, text, position, false, budget) != program.negative(instruction)) {
              size = push(program.next(instruction), size);
            }
          }
        }
      }
    }

    private int push(int instruction, int size) {
      if (seen.get(instruction)) {
        return size;
      }
      seen.set(instruction);
      open[size] = instruction;
      return size + 1;
    }

    private boolean isAt(PatternNode.Edge edge, int position) {
      return switch (edge) {
        case START -> position == 0;
        case END -> position == text.length();
        case WORD -> wordBefore(position) != wordAfter(position);
        case NOT_WORD -> wordBefore(position) == wordAfter(position);
      };
    }

    private boolean wordBefore(int position) {
      return position > 0 && CharacterSets.isWord(text.charAt(position - 1));
    }

    private boolean wordAfter(int position) {
      return position < text.length() && CharacterSets.isWord(text.charAt(position));
    }
  }
}
