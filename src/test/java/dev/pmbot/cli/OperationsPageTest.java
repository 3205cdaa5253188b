package dev.pmbot.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.config.Setting;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The page for whoever runs the server is held to what the program does. */
final class OperationsPageTest {
  private static final Path PAGE = Path.of("src", "docs", "operations.md");

  static List<String> commands() {
    return Pmbot.commands();
  }

  private static List<Matcher> rows(Path page, String pattern) throws IOException {
    Pattern row = Pattern.compile(pattern);
    return Files.readAllLines(page).stream().map(row::matcher).filter(Matcher::matches).toList();
  }

  @Test
  void everySettingIsThereWithItsDefault() throws IOException {
    Map<String, String> documented = new LinkedHashMap<>();
    rows(PAGE, "\\| `([a-z_]+)` \\| `([^`]+)` \\| .+ \\|")
        .forEach(row -> documented.put(row.group(1), row.group(2)));
    Map<String, String> settings = new LinkedHashMap<>();
    Arrays.stream(Setting.values())
        .forEach(setting -> settings.put(setting.key(), setting.fallback()));
    assertEquals(List.copyOf(settings.entrySet()), List.copyOf(documented.entrySet()));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandIsThereAndInReadme(String command) throws IOException {
    assertEquals(1, rows(PAGE, "\\| `" + command + "` \\| .+ \\| .+ \\|").size());
    String readme = Files.readString(Path.of("README.md"));
    assertTrue(readme.contains("`" + command + "`") || readme.contains(" " + command + "\n"));
  }

  @Test
  void noCommandIsThereThatIsNone() throws IOException {
    List<String> documented =
        rows(PAGE, "\\| `([a-z]+)` \\| [^`].+ \\| .*\\d.* \\|").stream()
            .map(row -> row.group(1))
            .toList();
    assertEquals(commands(), documented);
  }

  /** What the log says is quoted there; a line that nothing logs would send somebody astray. */
  @Test
  void everyLineOfTheLogThatIsExplainedIsLogged() throws IOException {
    StringBuilder program = new StringBuilder();
    try (var files = Files.walk(Path.of("src", "main", "java"))) {
      for (Path file : files.filter(each -> each.toString().endsWith(".java")).toList()) {
        // A text that is too long for a line is put together from several.
        program.append(Files.readString(file).replaceAll("\"\\s*\\+\\s*\"", ""));
      }
    }
    List<Matcher> lines = rows(PAGE, "\\| (`[^|]*…[^|]*`) \\| .+ \\|");
    assertTrue(lines.size() > 5, lines.toString());
    for (Matcher line : lines) {
      for (String quoted : line.group(1).split("`, `")) {
        for (String part : quoted.replace("`", "").split("…")) {
          String said = part.strip().replace("(unauthenticated)", "({})").replace("(role)", "({})");
          assertTrue(program.toString().contains(said), "nothing logs: " + said);
        }
      }
    }
  }
}
