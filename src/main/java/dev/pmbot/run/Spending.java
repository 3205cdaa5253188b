package dev.pmbot.run;

import dev.pmbot.workspace.BudgetLimit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a run has used of its budget.
 *
 * @param budget what it may use
 * @param wallMicros how long it was running
 */
record Spending(
    Budget budget, long tokensUsed, long toolCallsUsed, long costMicrosUsed, long wallMicros) {
  private static final long MICROS = 1_000_000;

  static Spending of(RunRow row) {
    return of(row, row.wallMicrosUsed());
  }

  /** What a row says, with a later running time than it has. */
  static Spending of(RunRow row, long wallMicros) {
    return new Spending(
        Budget.of(row.budgetJson()),
        row.tokensUsed(),
        row.toolCallsUsed(),
        row.costMicrosUsed(),
        wallMicros);
  }

  /** This, and more; what would be beyond the largest number stays there. */
  Spending plus(long tokens, long toolCalls, long costMicros) {
    return new Spending(
        budget,
        sum(tokensUsed, tokens),
        sum(toolCallsUsed, toolCalls),
        sum(costMicrosUsed, costMicros),
        wallMicros);
  }

  private static long sum(long used, long more) {
    return more > Long.MAX_VALUE - used ? Long.MAX_VALUE : used + more;
  }

  /** What is left of a limit, time in microseconds, and less than nothing when it is exceeded. */
  private @Nullable Long balance(BudgetLimit limit) {
    Long most = budget.limits().get(limit);
    if (most == null) {
      return null;
    }
    return switch (limit) {
      case TOTAL_TOKENS -> most - tokensUsed;
      case TOOL_CALLS -> most - toolCallsUsed;
      case COST_MICROS -> most - costMicrosUsed;
      case WALL_SECONDS ->
          (most > Long.MAX_VALUE / MICROS ? Long.MAX_VALUE : most * MICROS) - wallMicros;
    };
  }

  /** What is left of a limit, time in microseconds; absent where there is no limit. */
  @Nullable Long left(BudgetLimit limit) {
    Long balance = balance(limit);
    return balance == null ? null : Long.valueOf(Math.max(0, balance));
  }

  /** Whether nothing is left of a limit. */
  boolean isExhausted() {
    return budget.limits().keySet().stream().anyMatch(limit -> Long.valueOf(0).equals(left(limit)));
  }

  /** Whether more was used than a limit allows. */
  boolean isOver() {
    return !exceeded().isEmpty();
  }

  /** The limits that were exceeded. */
  List<BudgetLimit> exceeded() {
    return budget.limits().keySet().stream()
        .filter(
            limit -> {
              Long balance = balance(limit);
              return balance != null && balance < 0;
            })
        .toList();
  }

  /** Which limits were exceeded, in words. */
  String complaint() {
    return exceeded().stream()
        .map(limit -> limit.key() + " " + budget.limits().get(limit) + ", used " + used(limit))
        .collect(Collectors.joining("; ", "over budget: ", ""));
  }

  private long used(BudgetLimit limit) {
    return switch (limit) {
      case TOTAL_TOKENS -> tokensUsed;
      case TOOL_CALLS -> toolCallsUsed;
      case COST_MICROS -> costMicrosUsed;
      case WALL_SECONDS -> wallMicros / MICROS;
    };
  }

  /** What was used, as an event has it. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("total_tokens", tokensUsed);
    facts.put("tool_calls", toolCallsUsed);
    facts.put("cost_micros", costMicrosUsed);
    facts.put("wall_micros", wallMicros);
    return facts;
  }
}
