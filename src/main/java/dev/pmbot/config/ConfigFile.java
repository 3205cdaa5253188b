package dev.pmbot.config;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.JsonNode;
import tools.jackson.dataformat.toml.TomlMapper;

/** A file of settings, in TOML: one line for each, such as {@code port = 7433}. */
final class ConfigFile {
  private static final int LARGEST_BYTES = 64 << 10;

  private ConfigFile() {}

  /**
   * What stands in a file, in the order in which it stands there; what is no text or number is "".
   */
  static Map<String, String> read(Path file) {
    JsonNode content;
    try (InputStream stream = Files.newInputStream(file)) {
      byte[] bytes = stream.readNBytes(LARGEST_BYTES + 1);
      if (bytes.length > LARGEST_BYTES) {
        throw problem(file, "is longer than " + LARGEST_BYTES + " bytes, which no settings need");
      }
      content = new TomlMapper().readTree(bytes);
    } catch (NoSuchFileException missing) {
      throw problem(file, "is not there");
    } catch (IOException failure) {
      throw problem(file, "cannot be read: " + failure);
    } catch (JacksonException failure) {
      TokenStreamLocation at = failure.getLocation();
      throw problem(
          file,
          "is not TOML: "
              + failure.getOriginalMessage()
              + (at == null ? "" : " (line " + at.getLineNr() + ")"));
    }
    Map<String, String> settings = new LinkedHashMap<>();
    content
        .properties()
        .forEach(
            entry -> {
              JsonNode value = entry.getValue();
              boolean plain = value.isString() || value.isIntegralNumber();
              settings.put(entry.getKey(), plain ? value.asString() : "");
            });
    return settings;
  }

  private static ConfigProblem problem(Path file, String what) {
    return new ConfigProblem(List.of("the configuration " + file + " " + what));
  }
}
