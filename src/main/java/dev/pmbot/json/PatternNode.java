package dev.pmbot.json;

import java.util.List;
import java.util.function.IntPredicate;

/** What a regular expression says, as a tree; captures are left out, since only a yes is asked. */
sealed interface PatternNode {
  /** One character out of a set. */
  record OneOf(IntPredicate set) implements PatternNode {}

  /** All of them after each other; none matches the empty text. */
  record Sequence(List<PatternNode> parts) implements PatternNode {}

  /** Any one of them. */
  record Choice(List<PatternNode> branches) implements PatternNode {}

  /** A node again and again; {@code maximum} is {@link #UNBOUNDED} or at least {@code minimum}. */
  record Repeat(PatternNode node, int minimum, int maximum) implements PatternNode {
    static final int UNBOUNDED = -1;
  }

  /** A place between characters. */
  record Place(Edge edge) implements PatternNode {}

  /** What must, or must not, follow here. */
  record LookAhead(PatternNode node, boolean negative) implements PatternNode {}

  /** The places that a pattern can name. */
  enum Edge {
    START,
    END,
    WORD,
    NOT_WORD
  }
}
