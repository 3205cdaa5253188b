package dev.pmbot.files;

import dev.pmbot.json.JsonProblem;
import dev.pmbot.json.JsonText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Tells clients on this machine where the server is: a {@code server.json} (mode 0600) in the data
 * directory, and one for the user in {@code $XDG_RUNTIME_DIR/pmbot/}, or {@code ~/.pmbot/} where
 * that variable names no absolute path. The user's names the server that started last.
 */
public final class Discovery {
  private static final Logger logger = LoggerFactory.getLogger(Discovery.class);

  /** What the files are called. */
  public static final String FILE = "server.json";

  private static final int MAXIMUM_BYTES = 64 * 1024;

  private final Path userFolder;

  /**
   * @param environment the process's environment variables
   * @param home the user's home folder
   */
  public Discovery(Map<String, String> environment, Path home) {
    String runtime = environment.getOrDefault("XDG_RUNTIME_DIR", "");
    boolean usable = !runtime.isEmpty() && Path.of(runtime).isAbsolute();
    userFolder = usable ? Path.of(runtime, "pmbot") : home.resolve(".pmbot");
  }

  /**
   * A server that can be called.
   *
   * @param address host and port
   * @param dataDirectory its data directory, absolute
   * @param version the server's version
   * @param pid its process id
   */
  public record Announcement(String address, Path dataDirectory, String version, long pid) {}

  /** The user's file, whether it is there or not. */
  public Path userFile() {
    return userFolder.resolve(FILE);
  }

  /**
   * Writes both files, replacing what is there. If the user's cannot be written that is logged, and
   * no more: a server must be able to run without a home.
   *
   * @throws DataDirectoryProblem if the one in the data directory cannot be written
   */
  public void announce(Announcement server) {
    byte[] content = content(server);
    try {
      PrivateFiles.replace(server.dataDirectory().resolve(FILE), content);
    } catch (IOException e) {
      throw new DataDirectoryProblem(
          "%s cannot be written: %s".formatted(server.dataDirectory().resolve(FILE), e), e);
    }
    try {
      Disk.makePrivateFolder(userFolder);
      PrivateFiles.replace(userFile(), content);
    } catch (IOException e) {
      logger.warn(
          "Clients must be told the address: {} cannot be written ({})", userFile(), e.toString());
    }
  }

  /** Removes those of the two files that name this server's process and data directory. */
  public void withdraw(Announcement server) {
    for (Path file : List.of(server.dataDirectory().resolve(FILE), userFile())) {
      try {
        if (names(file, server)) {
          Files.deleteIfExists(file);
        }
      } catch (IOException e) {
        logger.warn(
            "{} names a server that has stopped and cannot be removed ({})", file, e.toString());
      }
    }
  }

  private static byte[] content(Announcement server) {
    String json =
        JsonText.write(
            Map.of(
                "address", server.address(),
                "data_directory", server.dataDirectory().toString(),
                "version", server.version(),
                "pid", server.pid()));
    return (json + "\n").getBytes(StandardCharsets.UTF_8);
  }

  /** What a file says of a server; nothing if it is not there, unreadable, or none of ours. */
  public static Optional<Announcement> read(Path file) {
    try {
      String text = new String(PrivateFiles.read(file), StandardCharsets.UTF_8);
      JsonNode content = JsonText.parse(text, MAXIMUM_BYTES);
      return Optional.of(
          new Announcement(
              content.path("address").asString(""),
              Path.of(content.path("data_directory").asString("")),
              content.path("version").asString(""),
              content.path("pid").asLong(-1)));
    } catch (IOException | JsonProblem | InvalidPathException e) {
      return Optional.empty();
    }
  }

  private static boolean names(Path file, Announcement server) {
    return read(file)
        .filter(
            found ->
                found.pid() == server.pid() && found.dataDirectory().equals(server.dataDirectory()))
        .isPresent();
  }
}
