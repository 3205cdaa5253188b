package dev.pmbot.config;

/** A setting that cannot be used; the message says which, and what would be right. */
public final class ConfigProblem extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** With what is wrong. */
  public ConfigProblem(String message) {
    super(message);
  }
}
