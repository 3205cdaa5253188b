package dev.pmbot.cli;

import dev.pmbot.ControlPlane;
import dev.pmbot.config.ConfigProblem;
import dev.pmbot.files.DataDirectoryProblem;
import dev.pmbot.files.Disagreement;
import dev.pmbot.server.Consistency;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.SystemTime;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Looks at a stopped server's directory and names what does not agree. */
@Command(
    name = "fsck",
    description = {
      "Looks at a data directory whose server is stopped, and names every disagreement on a line of its own: a row"
          + " without its file, a file without its row (harmless), a wrong size or hash, a broken chain, rows that"
          + " contradict each other, a damaged database. Changes nothing."
    },
    exitCodeListHeading = "Exit code:%n",
    exitCodeList = {
      "0:nothing, or harmless orphans",
      "1:disagreements",
      "2:the directory cannot be looked at, or a server is running on it"
    },
    exitCodeOnExecutionException = 2,
    mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli fills the fields before it calls.
final class Fsck implements Callable<Integer> {
  private static final int CLEAN = 0;
  private static final int DISAGREEMENTS = 1;
  private static final int UNUSABLE = 2;

  @Spec private CommandSpec spec;

  @Option(
      names = "--no-hashes",
      description =
          "Measures the artifacts' files without reading them: quicker, and blind to changed content.")
  private boolean noHashes;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    Path data;
    try {
      data = SettingOptions.loader(spec).dataDirectory();
    } catch (ConfigProblem problem) {
      say(err, "pmbot: " + problem.getMessage());
      return UNUSABLE;
    }
    try (Consistency consistency = ControlPlane.consistency(data, new SystemTime())) {
      Consistency.Result result =
          consistency.run(
              !noHashes,
              disagreement -> say(out, disagreement),
              what -> say(err, "looking at " + what));
      say(
          err,
          "%d disagreements, %d harmless orphans"
              .formatted(result.disagreements(), result.orphans()));
      return result.disagreements() == 0 ? CLEAN : DISAGREEMENTS;
    } catch (DataDirectoryProblem | StoreException problem) {
      say(err, "pmbot: " + problem.getMessage());
      return UNUSABLE;
    }
  }

  private static void say(PrintWriter out, Disagreement disagreement) {
    String kind = disagreement.harmless() ? "harmless: " : "disagreement: ";
    say(out, kind + disagreement.where() + ": " + disagreement.what());
  }

  private static void say(PrintWriter to, String line) {
    to.println(line);
    to.flush();
  }
}
