package dev.pmbot.config;

import java.util.Locale;

/**
 * What can be set. Each has one name: {@code log_level} in a file, {@code --log-level} on the
 * command line, {@code PMBOT_LOG_LEVEL} in the environment.
 */
public enum Setting {
  /** {@link Config#dataDirectory}. */
  DATA("DIRECTORY", "data", "where everything is kept"),
  /** {@link Config#host}. */
  HOST("ADDRESS", "127.0.0.1", "the loopback address to listen on"),
  /** {@link Config#port}. */
  PORT("PORT", "7433", "the port to listen on, 0 for any free one"),
  /** {@link Config#synchronous}. */
  SYNCHRONOUS(
      "WHEN",
      "normal",
      "what an answered write survives: normal (a crash of the program) or full (a power cut too)"),
  /** {@link Config#logLevel}. */
  LOG_LEVEL("LEVEL", "info", "what is worth a line in the log: error, warn, info or debug"),
  /** {@link Config.Limits#artifactBytes}. */
  ARTIFACT_BYTES("SIZE", "16GiB", "the largest artifact"),
  /** {@link Config.Limits#openStreams}. */
  OPEN_STREAMS("COUNT", "10000", "streams open at once"),
  /** {@link Config.Limits#waitingClaims}. */
  WAITING_CLAIMS("COUNT", "1000", "claims waiting at once"),
  /** {@link Config#longestStop}. */
  STOP_SECONDS("SECONDS", "10", "how long a stop waits for calls that are still running");

  private final String placeholder;
  private final String fallback;
  private final String description;

  Setting(String placeholder, String fallback, String description) {
    this.placeholder = placeholder;
    this.fallback = fallback;
    this.description = description;
  }

  /** What the value is, in one word, for a command's usage. */
  public String placeholder() {
    return placeholder;
  }

  /** What holds unless it is set. */
  public String fallback() {
    return fallback;
  }

  /** What it is about. */
  public String description() {
    return description;
  }

  /** Its name in a file. */
  public String key() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Its name on the command line. */
  public String flag() {
    return "--" + key().replace('_', '-');
  }

  /** Its name in the environment. */
  public String variable() {
    return ConfigLoader.VARIABLES + name();
  }
}
