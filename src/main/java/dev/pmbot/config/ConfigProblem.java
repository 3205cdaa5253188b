package dev.pmbot.config;

import java.util.List;

/** Settings that cannot be used; the message names each, and what would be right, on a line. */
public final class ConfigProblem extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final List<String> problems;

  /** Each of them, in a sentence. */
  public List<String> problems() {
    return problems;
  }

  /** With what is wrong, one sentence for each setting. */
  public ConfigProblem(List<String> problems) {
    super(
        problems.size() == 1
            ? problems.get(0)
            : problems.size() + " settings cannot be used:\n  " + String.join("\n  ", problems));
    this.problems = List.copyOf(problems);
  }
}
