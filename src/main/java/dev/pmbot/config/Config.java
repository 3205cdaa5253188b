package dev.pmbot.config;

import dev.pmbot.store.Synchronous;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;

/**
 * What the server runs with.
 *
 * @param dataDirectory where everything is kept
 * @param host the loopback address to listen on
 * @param port the port to listen on; 0 takes a free one
 * @param synchronous what an answered write survives
 */
public record Config(Path dataDirectory, String host, int port, Synchronous synchronous) {
  /** A message, in bytes. */
  public static final int LARGEST_MESSAGE = 4 << 20;

  private static final int HIGHEST_PORT = 65_535;

  /**
   * Checks the values.
   *
   * @throws ConfigProblem naming what is wrong and what would be right
   */
  public Config {
    if (port < 0 || port > HIGHEST_PORT) {
      throw new ConfigProblem(
          "port " + port + ": must be from 0 (any free one) to " + HIGHEST_PORT);
    }
    if (!isLoopback(host)) {
      throw new ConfigProblem(
          "host "
              + host
              + ": must be a loopback address such as 127.0.0.1 or ::1; tokens would cross the network in the"
              + " clear");
    }
  }

  private static boolean isLoopback(String host) {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException unknown) {
      return false;
    }
  }

  /** The program's version. */
  public static String version() {
    String version = Config.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }
}
