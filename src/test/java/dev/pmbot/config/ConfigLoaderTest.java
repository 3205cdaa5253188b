package dev.pmbot.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.config.ConfigLoader.Effective;
import dev.pmbot.config.ConfigLoader.Loaded;
import dev.pmbot.store.Synchronous;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ConfigLoaderTest {
  @TempDir Path folder;

  private Path file(String content) throws IOException {
    return Files.writeString(folder.resolve("settings.toml"), content);
  }

  private Loaded load(
      Map<Setting, String> flags, Optional<Path> file, Map<String, String> environment) {
    return new ConfigLoader(flags, file, environment).load();
  }

  private Config flags(Setting setting, String value) {
    return load(Map.of(setting, value), Optional.empty(), Map.of()).config();
  }

  private static String source(Loaded loaded, Setting setting) {
    return loaded.settings().stream()
        .filter(each -> each.setting() == setting)
        .map(Effective::source)
        .findFirst()
        .orElseThrow();
  }

  private String problem(
      Map<Setting, String> flags, Optional<Path> file, Map<String, String> environment) {
    return String.valueOf(
        assertThrows(ConfigProblem.class, () -> load(flags, file, environment)).getMessage());
  }

  @Test
  void whatNobodySetsIsAsItIsDocumented() {
    Loaded loaded = load(Map.of(), Optional.empty(), Map.of());
    assertEquals(
        new Config(
            Path.of("data"),
            "127.0.0.1",
            7433,
            Synchronous.NORMAL,
            LogLevel.INFO,
            new Config.Limits(17_179_869_184L, 10_000, 1_000),
            Duration.ofSeconds(10)),
        loaded.config());
    assertEquals(
        new Config(Path.of("data"), "127.0.0.1", 7433, Synchronous.NORMAL), loaded.config());
    assertEquals(
        Arrays.asList(Setting.values()),
        loaded.settings().stream().map(Effective::setting).toList());
    assertTrue(loaded.settings().stream().allMatch(each -> each.source().equals("default")));
    assertEquals(Optional.empty(), loaded.file());
  }

  @Test
  void theCommandLineComesBeforeTheEnvironmentBeforeTheFileBeforeTheDefault() throws IOException {
    Path file = file("port = 3\nopen_streams = 3\nsynchronous = \"full\"\n");
    Loaded loaded =
        load(
            Map.of(Setting.PORT, "1"),
            Optional.of(file),
            Map.of("PMBOT_PORT", "2", "PMBOT_OPEN_STREAMS", "2"));
    assertEquals(1, loaded.config().port());
    assertEquals("--port", source(loaded, Setting.PORT));
    assertEquals(2, loaded.config().limits().openStreams());
    assertEquals("PMBOT_OPEN_STREAMS", source(loaded, Setting.OPEN_STREAMS));
    assertEquals(Synchronous.FULL, loaded.config().synchronous());
    assertEquals(file.toString(), source(loaded, Setting.SYNCHRONOUS));
    assertEquals(1_000, loaded.config().limits().waitingClaims());
    assertEquals("default", source(loaded, Setting.WAITING_CLAIMS));
    assertEquals(Optional.of(file), loaded.file());
  }

  /** What each setting may be, other than what it is by default. */
  private static String other(Setting setting) {
    return switch (setting) {
      case DATA -> "elsewhere";
      case HOST -> "::1";
      case SYNCHRONOUS -> "full";
      case LOG_LEVEL -> "debug";
      case ARTIFACT_BYTES -> "5MiB";
      case PORT, OPEN_STREAMS, WAITING_CLAIMS, STOP_SECONDS -> "77";
    };
  }

  @ParameterizedTest
  @EnumSource(Setting.class)
  void everySettingCanBeSetInAllThreePlaces(Setting setting) throws IOException {
    String value = other(setting);
    Config fallback = load(Map.of(), Optional.empty(), Map.of()).config();
    Config byFlag = flags(setting, value);
    assertTrue(!byFlag.equals(fallback), "it makes a difference");
    assertEquals(
        byFlag, load(Map.of(), Optional.empty(), Map.of(setting.variable(), value)).config());
    Path file = file(setting.key() + " = \"" + value + "\"\n");
    Config byFile = load(Map.of(), Optional.of(file), Map.of()).config();
    assertEquals(
        setting == Setting.DATA ? flags(setting, folder.resolve(value).toString()) : byFlag,
        byFile);
  }

  @Test
  void aFileInTheDataDirectoryIsFoundByItself() throws IOException {
    Files.writeString(folder.resolve(ConfigLoader.FILE), "# mine\nport = 7\n");
    Loaded loaded = load(Map.of(Setting.DATA, folder.toString()), Optional.empty(), Map.of());
    assertEquals(7, loaded.config().port());
    assertEquals(Optional.of(folder.resolve(ConfigLoader.FILE)), loaded.file());
    // One that is named takes its place.
    Path named = file("open_streams = 9\n");
    Loaded other =
        load(
            Map.of(Setting.DATA, folder.toString()),
            Optional.empty(),
            Map.of("PMBOT_CONFIG", named.toString()));
    assertEquals(7433, other.config().port());
    assertEquals(9, other.config().limits().openStreams());
    Path third = Files.writeString(folder.resolve("third.toml"), "port = 8\n");
    assertEquals(
        8,
        load(Map.of(), Optional.of(third), Map.of("PMBOT_CONFIG", named.toString()))
            .config()
            .port());
  }

  @Test
  void whereTheDataIsCannotBeSaidInTheDataDirectory() throws IOException {
    Files.writeString(folder.resolve(ConfigLoader.FILE), "data = \"elsewhere\"\n");
    String problem = problem(Map.of(Setting.DATA, folder.toString()), Optional.empty(), Map.of());
    assertTrue(problem.contains("found in the data directory"), problem);
    assertTrue(problem.contains("--config"), problem);
  }

  @Test
  void everythingThatIsWrongIsNamedAtOnceWithWhatWouldBeRight() throws IOException {
    Path file = file("colour = \"blue\"\nopen_streams = 0\n[limits]\nport = 1\n");
    String problem =
        problem(
            Map.of(Setting.PORT, "70000", Setting.HOST, "0.0.0.0"),
            Optional.of(file),
            Map.of("PMBOT_SYNCHRONOUS", "sometimes", "PMBOT_ARTIFACT_BYTES", "a lot"));
    assertTrue(problem.startsWith("7 settings cannot be used:"), problem);
    for (String said :
        List.of(
            "port = 70000 (--port): must be a whole number from 0 to 65535",
            "host = 0.0.0.0 (--host): must be a loopback address such as 127.0.0.1",
            "open_streams = 0 (" + file + "): must be a whole number from 1 to",
            "synchronous = sometimes (PMBOT_SYNCHRONOUS): must be normal or full",
            "artifact_bytes = a lot (PMBOT_ARTIFACT_BYTES): must be a number of bytes",
            "colour (" + file + "): there is no such setting; there are artifact_bytes, data, ",
            "limits (" + file + "): there is no such setting")) {
      assertTrue(problem.contains(said), problem + "\nlacks " + said);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "port = true",
        "port = [1, 2]",
        "port = 1.5",
        "port = 1979-05-27",
        "port = \"\"",
        "host = \"\"",
        "data = \"\"",
        "port = -1",
        "port = 99999999999999999999",
        "stop_seconds = 3601",
        "log_level = \"loud\"",
        "host = \"203.0.113.5\"",
        "artifact_bytes = 0",
        "artifact_bytes = \"99999999TiB\"",
        "artifact_bytes = \"1MB\"",
        "data = \"a\\u0000b\""
      })
  void aValueOfTheWrongKindIsRefused(String line) throws IOException {
    String problem = problem(Map.of(), Optional.of(file(line + "\n")), Map.of());
    assertTrue(problem.startsWith(line.substring(0, line.indexOf(' ')) + " = "), problem);
    assertTrue(problem.contains("): must be "), problem);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "1048576, 1048576",
    "500MiB, 524288000",
    "500 MiB, 524288000",
    "2KiB, 2048",
    "3GiB, 3221225472",
    "1TiB, 1099511627776"
  })
  void sizesMayHaveAUnit(String text, long bytes) {
    assertEquals(bytes, flags(Setting.ARTIFACT_BYTES, text).limits().artifactBytes());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"port = ", "port = 1\nport = 2\n", "port : 1", "= 5", "[", "\"", "\u0000"})
  void aFileThatIsNoTomlIsRefusedWithItsName(String content) throws IOException {
    Path file = file(content);
    String problem = problem(Map.of(), Optional.of(file), Map.of());
    assertTrue(problem.startsWith("the configuration " + file + " is not TOML: "), problem);
    assertTrue(problem.lines().count() == 1, problem);
  }

  @Test
  void aFileThatIsNamedMustBeThere() throws IOException {
    Path missing = folder.resolve("missing.toml");
    assertEquals(
        "the configuration " + missing + " is not there",
        problem(Map.of(), Optional.of(missing), Map.of()));
    Path large = file("#".repeat(70_000));
    assertTrue(problem(Map.of(), Optional.of(large), Map.of()).contains("is longer than"));
    assertTrue(problem(Map.of(), Optional.of(folder), Map.of()).contains("cannot be read"));
  }

  @Test
  void anEmptyFileSetsNothing() throws IOException {
    assertEquals(7433, load(Map.of(), Optional.of(file("")), Map.of()).config().port());
  }

  @Test
  void anEmptyVariableIsNone() {
    Loaded loaded = load(Map.of(), Optional.empty(), Map.of("PMBOT_PORT", "", "PMBOT_CONFIG", ""));
    assertEquals(7433, loaded.config().port());
    assertEquals("default", source(loaded, Setting.PORT));
  }

  @Test
  void aVariableThatNoSettingHasIsRefused() {
    String problem =
        problem(Map.of(), Optional.empty(), Map.of("PMBOT_SYNCHRONUS", "full", "PMBOT_PORT", "x"));
    assertTrue(problem.startsWith("2 settings cannot be used:"), problem);
    assertTrue(
        problem.contains("PMBOT_SYNCHRONUS (in the environment): there is no such setting"),
        problem);
    assertTrue(problem.contains("PMBOT_SYNCHRONOUS"), problem);
  }

  @Test
  void whatClientsReadFromTheEnvironmentDoesNotKeepTheServerFromStarting() throws IOException {
    Map<String, String> environment = new TreeMap<>(Map.of("HOME", "/", "PMBOT_STOP_SECONDS", "1"));
    Pattern variable = Pattern.compile("PMBOT_[A-Z_]*[A-Z]");
    try (var files = Files.walk(Path.of("clients", "python"))) {
      for (Path file : files.filter(each -> each.toString().endsWith(".py")).toList()) {
        Files.readString(file)
            .lines()
            .forEach(
                line ->
                    variable
                        .matcher(line)
                        .results()
                        .forEach(found -> environment.put(found.group(), "secret")));
      }
    }
    assertTrue(environment.containsKey("PMBOT_TOKEN_FILE"), environment.toString());
    assertEquals(
        Duration.ofSeconds(1),
        load(Map.of(), Optional.empty(), environment).config().longestStop());
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "no.such.host.invalid", ""})
  void anAddressThatOthersReachIsRefused(String host) {
    String problem = problem(Map.of(Setting.HOST, host), Optional.empty(), Map.of());
    assertTrue(problem.contains("must be a loopback address"), problem);
  }

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1", "127.8.9.10", "::1", "localhost"})
  void aLoopbackAddressIsFine(String host) {
    assertEquals(host, flags(Setting.HOST, host).host());
  }

  @Test
  void whereTheDataIsCanBeToldWhateverElseIsWrong() throws IOException {
    ConfigLoader loader =
        new ConfigLoader(
            Map.of(),
            Optional.of(file("data = \"mine\"\ncolour = 1\nport = \"many\"\n")),
            Map.of("PMBOT_HOST", "nowhere.example"));
    assertThrows(ConfigProblem.class, loader::load);
    assertEquals(folder.resolve("mine"), loader.dataDirectory());
    assertEquals(
        Path.of("other"),
        new ConfigLoader(Map.of(), Optional.empty(), Map.of("PMBOT_DATA", "other"))
            .dataDirectory());
  }
}
