package dev.pmbot.config;

import dev.pmbot.store.Synchronous;
import java.nio.file.Path;
import java.time.Duration;

/**
 * What the server runs with.
 *
 * @param dataDirectory where everything is kept
 * @param host the loopback address to listen on
 * @param port the port to listen on; 0 takes a free one
 * @param synchronous what an answered write survives
 * @param logLevel what is worth a line in the log
 * @param limits what the server refuses above
 * @param longestStop how long a stop waits for calls that are still running
 */
public record Config(
    Path dataDirectory,
    String host,
    int port,
    Synchronous synchronous,
    LogLevel logLevel,
    Limits limits,
    Duration longestStop) {
  /** A message, in bytes. */
  public static final int LARGEST_MESSAGE = 4 << 20;

  /** How long a stop waits unless it is set. */
  public static final Duration LONGEST_STOP = Duration.ofSeconds(10);

  /**
   * What the server refuses above.
   *
   * @param artifactBytes one artifact, in bytes
   * @param openStreams streams open at once
   * @param waitingClaims claims waiting at once
   */
  public record Limits(long artifactBytes, int openStreams, int waitingClaims) {
    /** What holds unless it is set. */
    public static final Limits DEFAULT = new Limits(16L << 30, 10_000, 1_000);
  }

  /** With everything else as it is unless it is set. */
  public Config(Path dataDirectory, String host, int port, Synchronous synchronous) {
    this(dataDirectory, host, port, synchronous, LogLevel.INFO, Limits.DEFAULT, LONGEST_STOP);
  }

  /** The program's version. */
  public static String version() {
    String version = Config.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }
}
