package dev.pmbot.cli;

import dev.pmbot.config.Config;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;

/** The program's commands. */
@Command(
    name = "pmbot",
    description = "The control plane that runs next to LangGraph agents.",
    mixinStandardHelpOptions = true,
    versionProvider = Pmbot.Version.class,
    subcommands = Serve.class)
public final class Pmbot {
  /** The program's version. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"pmbot " + Config.version()};
    }
  }

  private Pmbot() {}

  /** Carries out a command line; its exit code: 0 well, 1 failed, 2 used wrongly. */
  public static int run(String... arguments) {
    return new CommandLine(new Pmbot())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .execute(arguments);
  }
}
