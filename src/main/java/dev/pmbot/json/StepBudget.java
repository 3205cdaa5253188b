package dev.pmbot.json;

/** How much work the patterns of one schema may still cause; shared by all of them. */
final class StepBudget {
  private long left;

  StepBudget(long steps) {
    left = steps;
  }

  /**
   * @throws JsonProblem once all steps are used
   */
  void spend(long steps) {
    left -= steps;
    if (left < 0) {
      throw new JsonProblem(
          "The patterns of the schema take too many steps to compare with the value; simpler"
              + " patterns, or shorter text, would do.");
    }
  }
}
