package dev.pmbot.server;

import dev.pmbot.artifact.ArtifactCheck;
import dev.pmbot.audit.ChainCheck;
import dev.pmbot.files.DataDirectory;
import dev.pmbot.files.Disagreement;
import dev.pmbot.files.FileStore;
import dev.pmbot.store.SqliteInspection;
import java.io.IOException;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;

/**
 * Looks at everything in a data directory that nobody works in, and names what does not agree. It
 * takes no more memory for a large directory than for a small one.
 */
public final class Consistency implements AutoCloseable {
  private final DataDirectory directory;
  private final SqliteInspection database;
  private long disagreements;
  private long orphans;

  /** Over a directory that is held, and its database; both are closed with this. */
  public Consistency(DataDirectory directory, SqliteInspection database) {
    this.directory = directory;
    this.database = database;
  }

  /**
   * What was found.
   *
   * @param disagreements what must not be
   * @param orphans what is harmless
   */
  public record Result(long disagreements, long orphans) {}

  /**
   * Looks at everything.
   *
   * @param hashes whether files are read, not only measured
   * @param found told of each disagreement as soon as it is found
   * @param progress told what is looked at now
   */
  public Result run(boolean hashes, Consumer<Disagreement> found, Consumer<String> progress) {
    Consumer<Disagreement> counted =
        disagreement -> {
          if (disagreement.harmless()) {
            orphans++;
          } else {
            disagreements++;
          }
          found.accept(disagreement);
        };
    progress.accept("the database's pages and indexes");
    attempt(
        counted,
        "database",
        () -> database.integrity(false, line -> counted.accept(Disagreement.of("database", line))));
    progress.accept("the references between rows");
    attempt(
        counted,
        "database",
        () ->
            database.brokenReferences(
                broken ->
                    counted.accept(
                        Disagreement.of(
                            "row " + broken.rowId() + " of " + broken.table(),
                            "it names a row of " + broken.missingFrom() + " that is not there"))));
    progress.accept("the audit log's chains");
    attempt(
        counted,
        "audit log",
        () -> {
          for (String trigger : database.missingTriggers(ChainCheck.TRIGGERS)) {
            counted.accept(
                Disagreement.of(
                    "audit log", "the trigger " + trigger + " that keeps it append-only is gone"));
          }
          new ChainCheck(database, counted).chains();
        });
    progress.accept("the states of runs, approvals, questions and changesets");
    attempt(counted, "states", () -> new ContradictionCheck(database, counted).states());
    attempt(
        counted,
        "artifacts",
        () -> {
          ArtifactCheck artifacts =
              new ArtifactCheck(FileStore.inspect(directory.artifacts()), database, counted);
          progress.accept("the file of every artifact" + (hashes ? ", and what it holds" : ""));
          artifacts.rows(hashes);
          progress.accept("the row of every file");
          artifacts.files();
        });
    return new Result(disagreements, orphans);
  }

  private interface Check {
    void run() throws IOException;
  }

  /** What is damaged may be unreadable; the rest is looked at all the same. */
  private static void attempt(Consumer<Disagreement> found, String where, Check check) {
    try {
      check.run();
    } catch (IOException | RuntimeException failure) {
      Throwable cause =
          failure instanceof CompletionException && failure.getCause() != null
              ? failure.getCause()
              : failure;
      String message = String.valueOf(cause.getMessage()).strip();
      found.accept(
          Disagreement.of(
              where, "it cannot be read to its end: " + message.lines().findFirst().orElse("")));
    }
  }

  @Override
  public void close() {
    database.close();
    directory.close();
  }
}
