package dev.pmbot.run;

import dev.pmbot.json.JsonText;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import dev.pmbot.workspace.BudgetKeys;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * What the server itself reads in {@code agent_run_spec_json}.
 *
 * @param maxAttempts how many attempts there are
 * @param leaseSeconds a lease's full term
 * @param budget what the run may use, if the spec names a budget, which may limit nothing
 */
record RunSpec(int maxAttempts, int leaseSeconds, @Nullable Budget budget) {
  private static final String FIELD = "agent_run_spec_json";
  private static final Set<String> DURABILITIES = Set.of("sync", "async", "exit");
  private static final int MOST_ATTEMPTS = 1_000;
  private static final int ATTEMPTS = 3;
  private static final int LEASE_SECONDS = 60;
  private static final int SHORTEST_LEASE = 5;
  private static final int LONGEST_LEASE = 3_600;

  /** What holds where a spec says nothing. */
  private static final RunSpec UNSAID = new RunSpec(ATTEMPTS, LEASE_SECONDS, null);

  /**
   * Reads a spec that was checked when it came, or checks it.
   *
   * @throws Problem INVALID_FIELDS, naming every known key that is wrong
   */
  static RunSpec parse(String json) {
    if (json.equals("{}")) {
      return UNSAID;
    }
    JsonNode spec = JsonText.parse(json, Fields.LARGEST_JSON);
    List<Violation> violations = new ArrayList<>();
    if (!spec.isObject()) {
      throw Problem.invalidField(FIELD, "must be a JSON object");
    }
    object(spec.path("config"), FIELD + ".config", violations);
    JsonNode execution = spec.path("execution");
    String path = FIELD + ".execution";
    object(execution, path, violations);
    JsonNode budget = execution.path("budget");
    BudgetKeys.check(budget, path + ".budget", violations);
    JsonNode attempts = execution.path("max_attempts");
    BudgetKeys.wholeNumber(attempts, path + ".max_attempts", 1, MOST_ATTEMPTS, violations);
    JsonNode lease = execution.path("lease_seconds");
    BudgetKeys.wholeNumber(
        lease, path + ".lease_seconds", SHORTEST_LEASE, LONGEST_LEASE, violations);
    JsonNode durability = execution.path("durability");
    if (!durability.isMissingNode()
        && !(durability.isString() && DURABILITIES.contains(durability.stringValue()))) {
      violations.add(
          new Violation(path + ".durability", "must be \"sync\", \"async\" or \"exit\""));
    }
    if (!violations.isEmpty()) {
      throw Problem.invalidFields(violations);
    }
    return new RunSpec(
        attempts.asInt(ATTEMPTS),
        lease.asInt(LEASE_SECONDS),
        budget.isMissingNode() ? null : Budget.of(budget));
  }

  private static void object(JsonNode value, String path, List<Violation> violations) {
    if (!value.isMissingNode() && !value.isObject()) {
      violations.add(new Violation(path, "must be an object"));
    }
  }
}
