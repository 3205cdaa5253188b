package dev.pmbot.cli;

import dev.pmbot.config.Config;
import dev.pmbot.config.Setting;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;

/** The program's commands. */
@Command(
    name = "pmbot",
    description = "The control plane that runs next to LangGraph agents.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    versionProvider = Pmbot.Version.class)
public final class Pmbot {
  private static final List<Setting> ALL = List.of(Setting.values());

  /** A command, and which settings its command line may set. */
  private record Named(String name, Supplier<Callable<Integer>> command, List<Setting> settings) {}

  private static final List<Named> COMMANDS =
      List.of(
          new Named("serve", Serve::new, ALL),
          new Named("config", ShowConfig::new, ALL),
          new Named("doctor", Examine::new, ALL),
          new Named("fsck", Fsck::new, List.of(Setting.DATA)));

  /** The program's version. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"pmbot " + Config.version()};
    }
  }

  private Pmbot() {}

  static List<String> commands() {
    return COMMANDS.stream().map(Named::name).toList();
  }

  /** Carries out a command line; its exit code: 0 well, 1 failed, 2 used wrongly. */
  public static int run(String... arguments) {
    CommandLine line = new CommandLine(new Pmbot());
    String first = arguments.length == 0 ? "" : arguments[0];
    // Reading what a command takes costs time, and a start has none to spare: the one that is named
    // is read, or all of them for who must be told what there is.
    boolean known = COMMANDS.stream().anyMatch(named -> named.name.equals(first));
    for (Named named : COMMANDS) {
      if (!known || named.name.equals(first)) {
        CommandLine command = new CommandLine(named.command.get());
        SettingOptions.addTo(command.getCommandSpec(), named.settings);
        line.addSubcommand(named.name, command);
      }
    }
    return line.execute(arguments);
  }
}
