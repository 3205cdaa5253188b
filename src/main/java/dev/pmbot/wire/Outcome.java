package dev.pmbot.wire;

import java.util.function.Function;
import java.util.function.Supplier;

/**
 * What became of one of several things in a call: it was done, or refused. What is refused must
 * leave no trace, so whoever does it checks everything before it writes anything.
 */
public sealed interface Outcome<T> {
  /** It was done. */
  record Done<T>(T value) implements Outcome<T> {
    @Override
    public T get() {
      return value;
    }

    @Override
    public <R> R map(Function<T, R> done, Function<Problem, R> refused) {
      return done.apply(value);
    }
  }

  /** It was refused. */
  record Refused<T>(Problem problem) implements Outcome<T> {
    @Override
    public T get() {
      throw problem;
    }

    @Override
    public <R> R map(Function<T, R> done, Function<Problem, R> refused) {
      return refused.apply(problem);
    }
  }

  /** Does it. */
  static <T> Outcome<T> of(Supplier<T> work) {
    try {
      return new Done<>(work.get());
    } catch (Problem problem) {
      return new Refused<>(problem);
    }
  }

  /**
   * What came of it.
   *
   * @throws Problem that it was refused with
   */
  T get();

  /** What either comes to. */
  <R> R map(Function<T, R> done, Function<Problem, R> refused);
}
