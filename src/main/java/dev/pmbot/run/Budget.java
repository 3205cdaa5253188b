package dev.pmbot.run;

import dev.pmbot.json.JsonText;
import dev.pmbot.workspace.BudgetLimit;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * How much a run may use.
 *
 * @param limits what is limited, and to how much; what is not is absent
 */
public record Budget(Map<BudgetLimit, Long> limits) {
  /** No limits. */
  static final Budget NONE = new Budget(Map.of());

  /** A budget as JSON that was checked; one that is missing limits nothing. */
  public static Budget of(JsonNode json) {
    Map<BudgetLimit, Long> limits = new EnumMap<>(BudgetLimit.class);
    for (BudgetLimit limit : BudgetLimit.values()) {
      JsonNode value = json.path(limit.key());
      if (!value.isMissingNode()) {
        limits.put(limit, value.longValue());
      }
    }
    return new Budget(limits);
  }

  static Budget of(@Nullable String json) {
    return json == null ? NONE : of(JsonText.read(json));
  }

  /** As a row has it; none when nothing is limited. */
  @Nullable String json() {
    return limits.isEmpty() ? null : JsonText.write(facts());
  }

  /** As an event has it. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    limits.forEach((limit, most) -> facts.put(limit.key(), most));
    return facts;
  }

  /**
   * This budget, with every limit raised to the other's where that is more. What is not limited
   * stays so: a budget is only ever extended.
   */
  Budget extendedBy(Budget other) {
    Map<BudgetLimit, Long> extended = new EnumMap<>(BudgetLimit.class);
    limits.forEach(
        (limit, most) -> extended.put(limit, Math.max(most, other.limits.getOrDefault(limit, 0L))));
    return new Budget(extended);
  }

  /** What the other would take away from this budget, in words for each limit. */
  public Map<BudgetLimit, String> takenAwayBy(Budget other) {
    Map<BudgetLimit, String> taken = new EnumMap<>(BudgetLimit.class);
    other.limits.forEach(
        (limit, most) -> {
          Long now = limits.get(limit);
          if (now == null) {
            taken.put(limit, "is not limited now; a budget is only ever extended");
          } else if (most < now) {
            taken.put(limit, "is " + now + " now; a budget is only ever extended");
          }
        });
    return taken;
  }
}
