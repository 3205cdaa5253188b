package dev.pmbot.cli;

import dev.pmbot.config.ConfigLoader.Loaded;
import dev.pmbot.config.ConfigProblem;
import dev.pmbot.server.Doctor;
import dev.pmbot.server.Finding;
import dev.pmbot.server.Finding.Verdict;
import dev.pmbot.store.SystemTime;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Looks whether a server has what it needs. */
@Command(
    name = "doctor",
    description = {
      "Looks whether serve has what it needs, or how the server is that runs: a line for each thing, with what to do"
          + " where it is not well. Changes nothing."
    },
    exitCodeListHeading = "Exit code:%n",
    exitCodeList = {"0:well, perhaps with warnings", "1:something fails", "2:used wrongly"},
    mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli fills the fields before it calls.
final class Examine implements Callable<Integer> {
  private static final int FAILS = 1;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    AtomicBoolean fails = new AtomicBoolean();
    PrintWriter out = spec.commandLine().getOut();
    try {
      Loaded loaded = SettingOptions.loader(spec).load();
      String source = loaded.file().map(file -> "of " + file).orElse("no file of them is used");
      say(out, new Finding(Verdict.OK, "settings", source));
      new Doctor(
              loaded.config(),
              new SystemTime(),
              finding -> {
                say(out, finding);
                fails.compareAndSet(false, finding.verdict() == Verdict.FAIL);
              })
          .examine();
    } catch (ConfigProblem wrong) {
      wrong.problems().forEach(problem -> say(out, new Finding(Verdict.FAIL, "settings", problem)));
      fails.set(true);
    }
    return fails.get() ? FAILS : 0;
  }

  private static void say(PrintWriter out, Finding finding) {
    String verdict = finding.verdict().name().toLowerCase(Locale.ROOT);
    String said = finding.said().replaceAll("\\s*\\n\\s*", "; ");
    out.println("%-4s  %s: %s".formatted(verdict, finding.about(), said));
    out.flush();
  }
}
