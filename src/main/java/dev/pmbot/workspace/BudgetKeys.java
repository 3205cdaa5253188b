package dev.pmbot.workspace;

import dev.pmbot.wire.Violation;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** The keys of a budget, wherever one stands. */
public final class BudgetKeys {
  private static final List<String> KEYS =
      List.of("max_total_tokens", "max_tool_calls", "max_cost_micros", "max_wall_seconds");

  private BudgetKeys() {}

  /** Checks a budget, if there is one; other keys are kept. */
  public static void check(JsonNode budget, String path, List<Violation> violations) {
    if (budget.isMissingNode()) {
      return;
    }
    if (!budget.isObject()) {
      violations.add(
          new Violation(path, "must be an object with any of " + String.join(", ", KEYS)));
      return;
    }
    for (String key : KEYS) {
      wholeNumber(budget.path(key), path + "." + key, 1, Long.MAX_VALUE, violations);
    }
  }

  /** Checks a whole number, if there is one. */
  public static void wholeNumber(
      JsonNode value, String path, long least, long most, List<Violation> violations) {
    boolean right =
        value.isMissingNode()
            || (value.isIntegralNumber()
                && value.canConvertToLong()
                && value.longValue() >= least
                && value.longValue() <= most);
    if (!right) {
      violations.add(
          new Violation(
              path,
              "must be a whole number from "
                  + least
                  + (most == Long.MAX_VALUE ? "" : " to " + most)));
    }
  }
}
