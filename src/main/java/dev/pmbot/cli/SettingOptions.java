package dev.pmbot.cli;

import dev.pmbot.config.ConfigLoader;
import dev.pmbot.config.Setting;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/** The options that set what the server runs with, the same for every command that takes them. */
final class SettingOptions {
  private SettingOptions() {}

  static void addTo(CommandSpec command, List<Setting> settings) {
    for (Setting setting : settings) {
      command.addOption(
          OptionSpec.builder(setting.flag())
              .paramLabel(setting.placeholder())
              .type(String.class)
              .description(
                  capitalized(setting.description())
                      + " ("
                      + setting.variable()
                      + "; default: "
                      + setting.fallback()
                      + ").")
              .build());
    }
    command.addOption(
        OptionSpec.builder(ConfigLoader.FILE_FLAG)
            .paramLabel("FILE")
            .type(Path.class)
            .description(
                "A file with settings (PMBOT_CONFIG; default: "
                    + ConfigLoader.FILE
                    + " in the data directory, if there is one).")
            .build());
  }

  private static String capitalized(String text) {
    return Character.toUpperCase(text.charAt(0)) + text.substring(1);
  }

  /** What this command line sets, and the environment. */
  static ConfigLoader loader(CommandSpec command) {
    ParseResult given = command.commandLine().getParseResult();
    Map<Setting, String> flags = new EnumMap<>(Setting.class);
    for (Setting setting : Setting.values()) {
      if (given.hasMatchedOption(setting.flag())) {
        flags.put(setting, given.matchedOptionValue(setting.flag(), ""));
      }
    }
    @SuppressWarnings("NullAway") // The option may be absent; then there is no file.
    Path file = given.matchedOptionValue(ConfigLoader.FILE_FLAG, (Path) null);
    return new ConfigLoader(flags, Optional.ofNullable(file), System.getenv());
  }
}
