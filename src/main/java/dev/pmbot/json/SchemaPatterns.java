package dev.pmbot.json;

import com.networknt.schema.regex.RegularExpression;
import com.networknt.schema.regex.RegularExpressionFactory;
import org.jspecify.annotations.Nullable;

/**
 * Runs the patterns of one schema on one value, within one budget. A problem is kept and not
 * thrown, since the validator would write the stranger's pattern into the log first.
 */
final class SchemaPatterns implements RegularExpressionFactory {
  private static final long MAXIMUM_STEPS = 20_000_000;

  private final StepBudget budget = new StepBudget(MAXIMUM_STEPS);
  private @Nullable JsonProblem problem;

  @Override
  public RegularExpression getRegularExpression(String regex) {
    try {
      LinearPattern pattern = LinearPattern.compile(regex);
      return text -> matches(pattern, text);
    } catch (JsonProblem e) {
      keep(e);
      return text -> true;
    }
  }

  /**
   * @throws JsonProblem the first that came up
   */
  void throwProblem() {
    if (problem != null) {
      throw problem;
    }
  }

  private boolean matches(LinearPattern pattern, String text) {
    // Once the budget is gone the answer does not matter any more, only that it comes at once.
    if (problem != null) {
      return true;
    }
    try {
      return pattern.find(text, budget);
    } catch (JsonProblem e) {
      keep(e);
      return true;
    }
  }

  private void keep(JsonProblem first) {
    if (problem == null) {
      problem = first;
    }
  }
}
