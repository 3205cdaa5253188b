package dev.pmbot.cli;

import dev.pmbot.config.ConfigLoader.Effective;
import dev.pmbot.config.ConfigLoader.Loaded;
import dev.pmbot.config.ConfigProblem;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Prints what the server would run with. */
@Command(
    name = "config",
    description = {
      "Prints what serve would run with, and where each value comes from: the command line, else the environment,"
          + " else a file, else the default. What it prints may serve as such a file."
    },
    exitCodeListHeading = "Exit code:%n",
    exitCodeList = {"0:printed", "2:settings that cannot be used"},
    mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli fills the fields before it calls.
final class ShowConfig implements Callable<Integer> {
  private static final int USED_WRONGLY = 2;
  private static final int SOURCE_COLUMN = 40;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    Loaded loaded;
    try {
      loaded = SettingOptions.loader(spec).load();
    } catch (ConfigProblem problem) {
      err.println("pmbot: " + problem.getMessage());
      return USED_WRONGLY;
    }
    for (Effective effective : loaded.settings()) {
      String line = effective.setting().key() + " = " + toml(effective.value());
      String gap = " ".repeat(Math.max(1, SOURCE_COLUMN - line.length()));
      out.println(line + gap + "# " + effective.source());
    }
    out.flush();
    return 0;
  }

  private static String toml(Object value) {
    if (value instanceof Number number) {
      return number.toString();
    }
    if (value instanceof Duration duration) {
      return Long.toString(duration.toSeconds());
    }
    String text =
        value instanceof Path path
            ? path.toAbsolutePath().normalize().toString()
            : value instanceof Enum<?> word
                ? word.name().toLowerCase(Locale.ROOT)
                : value.toString();
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
