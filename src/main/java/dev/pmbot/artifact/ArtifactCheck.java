package dev.pmbot.artifact;

import dev.pmbot.artifact.ArtifactMapper.Standing;
import dev.pmbot.files.Disagreement;
import dev.pmbot.files.FileStore;
import dev.pmbot.files.Hashed;
import dev.pmbot.files.NameProblem;
import dev.pmbot.store.Store;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;

/** Whether rows and files of artifacts agree. */
public final class ArtifactCheck {
  private static final int ROWS_AT_ONCE = 500;

  private final FileStore files;
  private final Store store;
  private final Consumer<Disagreement> found;

  /** Over the files and the rows of a directory that nobody else works in. */
  public ArtifactCheck(FileStore files, Store store, Consumer<Disagreement> found) {
    this.files = files;
    this.store = store;
    this.found = found;
  }

  /**
   * Looks for the file of every row, and whether the rows are as many as were counted. What stands
   * elsewhere than in the folder of artifacts is not looked at.
   *
   * @param hashes whether the files are read, not only measured
   */
  public void rows(boolean hashes) {
    long count = 0;
    long bytes = 0;
    String behind = "";
    List<Standing> rows;
    do {
      String from = behind;
      rows = store.read(tx -> tx.mapper(ArtifactMapper.class).standing(from, ROWS_AT_ONCE)).join();
      for (Standing row : rows) {
        behind = row.artifactId();
        count++;
        if (ArtifactUri.place(row.uri()) == ArtifactPlace.IN_DATA_DIRECTORY) {
          bytes += row.sizeBytes();
          checkFile(row, hashes);
        }
      }
    } while (rows.size() == ROWS_AT_ONCE);
    Artifacts.Totals counted = store.read(tx -> tx.mapper(ArtifactMapper.class).totals()).join();
    if (!counted.equals(new Artifacts.Totals(count, bytes))) {
      found.accept(
          Disagreement.of(
              "artifact_totals",
              "it says %d artifacts of %d bytes, there are %d of %d"
                  .formatted(counted.artifacts(), counted.sizeBytes(), count, bytes)));
    }
  }

  private void checkFile(Standing row, boolean hashes) {
    String path = row.uri().substring(ArtifactUri.ROOT.length());
    String wrong;
    try {
      wrong = hashes ? wrongContent(row, files.hash(path)) : wrongSize(row, files.size(path));
    } catch (NameProblem problem) {
      wrong = "cannot be its place: " + problem.getMessage();
    } catch (IOException failure) {
      wrong = "cannot be read: " + failure;
    }
    if (!wrong.isEmpty()) {
      found.accept(Disagreement.of(row.uri() + " of " + row.artifactId(), wrong));
    }
  }

  private static String wrongSize(Standing row, OptionalLong size) {
    if (size.isEmpty()) {
      return "there is no such file";
    }
    return size.getAsLong() == row.sizeBytes()
        ? ""
        : "the file has %d bytes, the row says %d".formatted(size.getAsLong(), row.sizeBytes());
  }

  private static String wrongContent(Standing row, Optional<Hashed> content) {
    String wrong =
        wrongSize(
            row,
            content.isEmpty() ? OptionalLong.empty() : OptionalLong.of(content.get().sizeBytes()));
    return wrong.isEmpty() && content.isPresent() && !content.get().sha256().equals(row.hash())
        ? "the file's SHA-256 is %s, the row says %s".formatted(content.get().sha256(), row.hash())
        : wrong;
  }

  /** Looks for the row of every file. */
  public void files() throws IOException {
    files.walk(this::checkRow);
  }

  private void checkRow(String path) {
    String uri = ArtifactUri.ROOT + path;
    if (path.startsWith(FileStore.INCOMING + '/')) {
      found.accept(
          Disagreement.harmless(uri, "an upload that was not finished; the next start removes it"));
      return;
    }
    int slash = path.indexOf('/');
    String runId = slash < 0 ? "" : path.substring(0, slash);
    boolean known =
        store.read(tx -> tx.mapper(ArtifactMapper.class).findByUri(runId, uri) != null).join();
    if (!known) {
      found.accept(Disagreement.harmless(uri, "no row is about this file"));
    }
  }
}
