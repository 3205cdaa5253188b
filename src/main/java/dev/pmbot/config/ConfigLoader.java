package dev.pmbot.config;

import dev.pmbot.store.Synchronous;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Finds what the server runs with. The command line is asked first, then the environment, then a
 * file, then what holds unless it is set.
 *
 * <p>The file is the one that is named, else {@code pmbot.toml} in the data directory if there is
 * one. A name that no setting has is refused wherever it stands: whoever wrote it believes that it
 * holds.
 */
public final class ConfigLoader {
  /** The name of the file in the data directory. */
  public static final String FILE = "pmbot.toml";

  /** How the flag that names a file is called. */
  public static final String FILE_FLAG = "--config";

  /** What the names of ours in the environment begin with. */
  static final String VARIABLES = "PMBOT_";

  private static final String FILE_VARIABLE = VARIABLES + "CONFIG";

  /** What clients and their tests read; it is none of the server's business. */
  private static final Set<String> OF_CLIENTS =
      Set.of(
          "PMBOT_ADDRESS",
          "PMBOT_TOKEN",
          "PMBOT_TOKEN_FILE",
          "PMBOT_WORKER_TOKEN",
          "PMBOT_WORKER_TOKEN_FILE",
          "PMBOT_JAR",
          "PMBOT_KILL_MATRIX",
          "PMBOT_MODEL_SEED",
          "PMBOT_MODEL_STEPS");

  private final Map<Setting, String> flags;
  private final Map<String, String> environment;
  private final Optional<Path> named;

  /** Where a value comes from, and its text there. */
  private record Given(String text, String source) {}

  /**
   * A setting as it holds.
   *
   * @param value of the type that it has in {@link Config}
   * @param source where it comes from, for a person
   */
  public record Effective(Setting setting, Object value, String source) {}

  /**
   * What was found.
   *
   * @param settings every setting, in the order of {@link Setting}
   * @param file the file that was read
   */
  public record Loaded(Config config, List<Effective> settings, Optional<Path> file) {}

  /**
   * Looks at the command line and the environment.
   *
   * @param flags what the command line sets
   * @param file the file that the command line names
   * @param environment the process's environment
   */
  public ConfigLoader(
      Map<Setting, String> flags, Optional<Path> file, Map<String, String> environment) {
    this.flags = flags;
    this.environment = environment;
    String variable = environment.getOrDefault(FILE_VARIABLE, "");
    this.named = file.isPresent() || variable.isEmpty() ? file : Optional.of(Path.of(variable));
  }

  /**
   * Everything.
   *
   * @throws ConfigProblem naming all that is wrong, and what would be right
   */
  public Loaded load() {
    List<String> problems = new ArrayList<>();
    Optional<Path> file = named.isPresent() ? named : besideTheData();
    Map<String, String> settings = file.map(ConfigFile::read).orElse(Map.of());
    file.ifPresent(path -> checkKeys(path, settings, problems));
    Map<Setting, Object> values = new EnumMap<>(Setting.class);
    List<Effective> effective = new ArrayList<>();
    for (Setting setting : Setting.values()) {
      Given given = given(setting, file, settings);
      try {
        Object value = resolved(setting, Values.parse(setting, given.text), given, file);
        values.put(setting, value);
        effective.add(new Effective(setting, value, given.source));
      } catch (Values.Wrong wrong) {
        problems.add(
            "%s = %s (%s): %s"
                .formatted(setting.key(), given.text, given.source, wrong.getMessage()));
      }
    }
    checkVariables(problems);
    if (!problems.isEmpty()) {
      throw new ConfigProblem(problems);
    }
    return new Loaded(config(values), effective, file);
  }

  /**
   * Only where the data is; nothing else is looked at.
   *
   * @throws ConfigProblem when that cannot be told
   */
  public Path dataDirectory() {
    Given given = given(Setting.DATA, named, named.map(ConfigFile::read).orElse(Map.of()));
    try {
      return (Path) resolved(Setting.DATA, Values.path(given.text), given, named);
    } catch (Values.Wrong wrong) {
      throw new ConfigProblem(
          List.of("data = %s (%s): %s".formatted(given.text, given.source, wrong.getMessage())));
    }
  }

  private Optional<Path> besideTheData() {
    Given data = given(Setting.DATA, Optional.empty(), Map.of());
    try {
      Path file = Values.path(data.text).resolve(FILE);
      return Files.exists(file) ? Optional.of(file) : Optional.empty();
    } catch (Values.Wrong wrong) {
      return Optional.empty(); // It is told with the setting itself.
    }
  }

  private Given given(Setting setting, Optional<Path> file, Map<String, String> settings) {
    @Nullable String flag = flags.get(setting);
    if (flag != null) {
      return new Given(flag, setting.flag());
    }
    // An empty variable is how compose files and shells say that there is none.
    String variable = environment.getOrDefault(setting.variable(), "");
    if (!variable.isEmpty()) {
      return new Given(variable, setting.variable());
    }
    @Nullable String line = settings.get(setting.key());
    return line != null && file.isPresent()
        ? new Given(line, file.get().toString())
        : new Given(setting.fallback(), "default");
  }

  /** A path in a file is meant from where the file is. */
  private static Object resolved(Setting setting, Object value, Given given, Optional<Path> file) {
    return setting == Setting.DATA && file.isPresent() && given.source.equals(file.get().toString())
        ? file.get().toAbsolutePath().resolveSibling((Path) value)
        : value;
  }

  private void checkKeys(Path file, Map<String, String> settings, List<String> problems) {
    Set<String> known =
        Arrays.stream(Setting.values()).map(Setting::key).collect(Collectors.toSet());
    for (String key : settings.keySet()) {
      if (!known.contains(key)) {
        problems.add(
            "%s (%s): there is no such setting; there are %s"
                .formatted(key, file, String.join(", ", new TreeSet<>(known))));
      }
    }
    if (named.isEmpty() && settings.containsKey(Setting.DATA.key())) {
      problems.add(
          "data (%s): cannot be set by a file that is found in the data directory; name the file with %s or %s"
              .formatted(file, FILE_FLAG, FILE_VARIABLE));
    }
  }

  private void checkVariables(List<String> problems) {
    Set<String> known =
        Arrays.stream(Setting.values())
            .map(Setting::variable)
            .collect(Collectors.toCollection(TreeSet::new));
    known.add(FILE_VARIABLE);
    for (String variable : new TreeSet<>(environment.keySet())) {
      if (variable.startsWith(VARIABLES)
          && !known.contains(variable)
          && !OF_CLIENTS.contains(variable)) {
        problems.add(
            "%s (in the environment): there is no such setting; there are %s"
                .formatted(variable, String.join(", ", known)));
      }
    }
  }

  private static Config config(Map<Setting, Object> values) {
    return new Config(
        get(values, Setting.DATA, Path.class),
        get(values, Setting.HOST, String.class),
        get(values, Setting.PORT, Integer.class),
        get(values, Setting.SYNCHRONOUS, Synchronous.class),
        get(values, Setting.LOG_LEVEL, LogLevel.class),
        new Config.Limits(
            get(values, Setting.ARTIFACT_BYTES, Long.class),
            get(values, Setting.OPEN_STREAMS, Integer.class),
            get(values, Setting.WAITING_CLAIMS, Integer.class)),
        get(values, Setting.STOP_SECONDS, Duration.class));
  }

  private static <T> T get(Map<Setting, Object> values, Setting setting, Class<T> type) {
    return Objects.requireNonNull(type.cast(values.get(setting)));
  }
}
