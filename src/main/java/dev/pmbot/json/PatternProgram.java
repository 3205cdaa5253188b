package dev.pmbot.json;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** A regular expression as instructions for {@link LinearPattern}; repetitions are written out. */
final class PatternProgram {
  private static final int MAXIMUM_SIZE = 20_000;

  enum Operation {
    CHARACTER,
    FORK,
    JUMP,
    PLACE,
    LOOK_AHEAD,
    MATCH
  }

  private static final class Instruction {
    final Operation operation;
    int next;
    int other;
    @Nullable IntPredicate set;
    PatternNode.@Nullable Edge edge;
    @Nullable PatternProgram ahead;
    boolean negative;

    Instruction(Operation operation, int next) {
      this.operation = operation;
      this.next = next;
    }
  }

  /** Counts what was written out so far, the look-aheads of a program and empty parts included. */
  private static final class Size {
    private int visits;

    void visit() {
      if (++visits > MAXIMUM_SIZE) {
        throw new JsonProblem(
            "A pattern in the schema is too large; its repetitions, written out, may have at most"
                + " %d parts.".formatted(MAXIMUM_SIZE));
      }
    }
  }

  private final List<Instruction> instructions = new ArrayList<>();
  private final Size written;

  private PatternProgram(Size written) {
    this.written = written;
  }

  /**
   * @throws JsonProblem if the program would have more than 20,000 parts
   */
  static PatternProgram of(PatternNode node) {
    return of(node, new Size());
  }

  private static PatternProgram of(PatternNode node, Size written) {
    PatternProgram program = new PatternProgram(written);
    program.write(node);
    program.emit(Operation.MATCH);
    return program;
  }

  int size() {
    return instructions.size();
  }

  Operation operation(int index) {
    return instructions.get(index).operation;
  }

  int next(int index) {
    return instructions.get(index).next;
  }

  int other(int index) {
    return instructions.get(index).other;
  }

  IntPredicate set(int index) {
    return present(instructions.get(index).set);
  }

  PatternNode.Edge edge(int index) {
    return present(instructions.get(index).edge);
  }

  PatternProgram ahead(int index) {
    return present(instructions.get(index).ahead);
  }

  boolean negative(int index) {
    return instructions.get(index).negative;
  }

  private void write(PatternNode node) {
    written.visit();
    if (node instanceof PatternNode.OneOf one) {
      emit(Operation.CHARACTER).set = one.set();
    } else if (node instanceof PatternNode.Place place) {
      emit(Operation.PLACE).edge = place.edge();
    } else if (node instanceof PatternNode.Sequence sequence) {
      sequence.parts().forEach(this::write);
    } else if (node instanceof PatternNode.LookAhead look) {
      PatternProgram ahead = of(look.node(), written);
      Instruction instruction = emit(Operation.LOOK_AHEAD);
      instruction.ahead = ahead;
      instruction.negative = look.negative();
    } else if (node instanceof PatternNode.Choice choice) {
      write(choice);
    } else if (node instanceof PatternNode.Repeat repeat) {
      write(repeat);
    }
  }

  private void write(PatternNode.Choice choice) {
    List<Instruction> jumps = new ArrayList<>();
    int last = choice.branches().size() - 1;
    for (int i = 0; i < last; i++) {
      Instruction fork = emit(Operation.FORK);
      write(choice.branches().get(i));
      jumps.add(emit(Operation.JUMP));
      fork.other = size();
    }
    write(choice.branches().get(last));
    jumps.forEach(jump -> jump.next = size());
  }

  private void write(PatternNode.Repeat repeat) {
    for (int i = 0; i < repeat.minimum(); i++) {
      write(repeat.node());
    }
    if (repeat.maximum() == PatternNode.Repeat.UNBOUNDED) {
      int fork = size();
      Instruction loop = emit(Operation.FORK);
      write(repeat.node());
      emit(Operation.JUMP).next = fork;
      loop.other = size();
      return;
    }
    List<Instruction> exits = new ArrayList<>();
    for (int i = repeat.minimum(); i < repeat.maximum(); i++) {
      exits.add(emit(Operation.FORK));
      write(repeat.node());
    }
    exits.forEach(exit -> exit.other = size());
  }

  private Instruction emit(Operation operation) {
    written.visit();
    Instruction instruction = new Instruction(operation, size() + 1);
    instructions.add(instruction);
    return instruction;
  }

  private static <T> T present(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("this instruction has no such part");
    }
    return value;
  }
}
