package dev.pmbot.workspace;

import java.util.Arrays;
import java.util.stream.Collectors;

/** What a budget may limit. */
public enum BudgetLimit {
  /** Tokens of all models together. */
  TOTAL_TOKENS("max_total_tokens"),
  /** Calls of tools. */
  TOOL_CALLS("max_tool_calls"),
  /** Money, in millionths of the currency unit. */
  COST_MICROS("max_cost_micros"),
  /** Time spent running, not waiting for a person or a worker. */
  WALL_SECONDS("max_wall_seconds");

  private final String key;

  BudgetLimit(String key) {
    this.key = key;
  }

  /** Its key in JSON. */
  public String key() {
    return key;
  }

  static String keys() {
    return Arrays.stream(values()).map(BudgetLimit::key).collect(Collectors.joining(", "));
  }
}
