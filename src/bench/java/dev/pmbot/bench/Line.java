package dev.pmbot.bench;

import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * One figure.
 *
 * @param text as a table shows it
 * @param cost what grows when it gets worse: the time of one
 */
record Line(String text, double cost) {
  static Line calls(List<Load.Result> results) {
    Load.Result median =
        new Load.Result(
            median(results, Load.Result::perSecond),
            median(results, Load.Result::p50),
            median(results, Load.Result::p99));
    return new Line(median.toString(), 1 / median.perSecond());
  }

  static Line perSecond(double figure) {
    return new Line(String.format("%,.0f/s", figure), 1 / figure);
  }

  static Line millis(double p50, double p99) {
    return new Line(String.format("p50 %.2f ms, p99 %.2f ms", p50, p99), p50);
  }

  /** Of times in milliseconds. */
  static Line of(List<Double> millis) {
    List<Double> sorted = millis.stream().sorted().toList();
    return millis(sorted.get(sorted.size() / 2), sorted.get((int) (sorted.size() * 0.99)));
  }

  static <T> double median(List<T> values, ToDoubleFunction<T> of) {
    return values.stream()
        .map(of::applyAsDouble)
        .sorted(Comparator.naturalOrder())
        .toList()
        .get(values.size() / 2);
  }
}
