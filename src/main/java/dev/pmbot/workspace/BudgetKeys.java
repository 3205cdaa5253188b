package dev.pmbot.workspace;

import dev.pmbot.wire.Violation;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The keys of a budget, wherever one stands. */
public final class BudgetKeys {
  private BudgetKeys() {}

  /** Checks a budget, if there is one; other keys are kept. */
  public static void check(JsonNode budget, String path, List<Violation> violations) {
    if (budget.isMissingNode()) {
      return;
    }
    if (!budget.isObject()) {
      violations.add(new Violation(path, "must be an object with any of " + BudgetLimit.keys()));
      return;
    }
    for (BudgetLimit limit : BudgetLimit.values()) {
      wholeNumber(
          budget.path(limit.key()), path + "." + limit.key(), 1, Long.MAX_VALUE, violations);
    }
  }

  /**
   * Checks a budget that a person decides on, if there is one: at least one limit, and no other
   * keys, for a misspelt one would be taken for a yes to nothing.
   */
  public static void checkStrictly(JsonNode budget, String path, List<Violation> violations) {
    check(budget, path, violations);
    if (!budget.isObject()) {
      return;
    }
    Set<String> known = new HashSet<>();
    for (BudgetLimit limit : BudgetLimit.values()) {
      known.add(limit.key());
    }
    if (budget.isEmpty()) {
      violations.add(new Violation(path, "must have at least one of " + BudgetLimit.keys()));
    }
    for (String key : budget.propertyNames()) {
      if (!known.contains(key)) {
        violations.add(
            new Violation(path + "." + key, "limits nothing; there are " + BudgetLimit.keys()));
      }
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
