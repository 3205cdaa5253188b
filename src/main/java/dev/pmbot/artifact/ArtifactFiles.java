package dev.pmbot.artifact;

import dev.pmbot.files.ArtifactNames;
import dev.pmbot.files.FileStore;
import dev.pmbot.files.Hashed;
import dev.pmbot.files.Incoming;
import dev.pmbot.files.NameProblem;
import dev.pmbot.files.NameTaken;
import dev.pmbot.store.Store;
import dev.pmbot.wire.Problem;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files of artifacts. A file has its final name before its row exists; one without a row is an
 * orphan.
 */
public final class ArtifactFiles {
  private static final String ROOT = ArtifactUri.ROOT;

  private static final Logger log = LoggerFactory.getLogger(ArtifactFiles.class);

  /** Whole files that are read at once; half of the threads stay free for uploads and downloads. */
  private static final int READERS = 2;

  private final FileStore files;
  private final Store store;
  private final Artifacts artifacts;
  private final Executor threads;
  private final Executor readers;
  private final long largest;
  private final Turns turns = new Turns();

  /**
   * Over a folder, the rows, and threads that may wait for a disk.
   *
   * @param largest one artifact, in bytes
   */
  public ArtifactFiles(
      FileStore files, Store store, Artifacts artifacts, Executor threads, long largest) {
    this.files = files;
    this.store = store;
    this.artifacts = artifacts;
    this.threads = threads;
    this.readers = new Few(threads, READERS);
    this.largest = largest;
  }

  Executor threads() {
    return threads;
  }

  Incoming begin() {
    return io(() -> files.begin(largest));
  }

  /** Checks that the content is what was announced. */
  static void check(NewArtifact announced, Hashed content) {
    Long size = announced.sizeBytes();
    if (size != null && size != content.sizeBytes()) {
      throw Problem.contentMismatch(
          "size_bytes", Long.toString(size), Long.toString(content.sizeBytes()));
    }
    if (announced.hash() != null && !announced.hash().equals(content.sha256())) {
      throw Problem.contentMismatch("hash", announced.hash(), content.sha256());
    }
  }

  /** Checks that a name chooses no path. */
  static void checkName(String name) {
    try {
      ArtifactNames.check(name);
    } catch (NameProblem problem) {
      throw Problem.invalidField("header.name", String.valueOf(problem.getMessage()));
    }
  }

  /**
   * Finds out what lies at a place and then does the rest, while it still does: in the run's turn,
   * so that nobody takes up a file that is about to go. What lies elsewhere is as announced.
   *
   * @param abandoned whether nobody wants to know any more
   */
  <T> CompletableFuture<T> register(
      NewArtifact announced,
      ArtifactUri uri,
      BooleanSupplier abandoned,
      Function<Hashed, CompletableFuture<T>> rest) {
    if (!uri.isFile()) {
      return rest.apply(
          new Hashed(
              Objects.requireNonNull(announced.hash()),
              Objects.requireNonNull(announced.sizeBytes())));
    }
    return Reading.of(files, uri.path(), largest, readers, abandoned)
        .exceptionally(
            failure -> {
              throw leadsElsewhere(failure);
            })
        .thenCompose(
            found -> {
              Reading.Read read =
                  found.orElseThrow(() -> Problem.notFound("regular file", uri.toString()));
              return turns.inTurn(
                  announced.runId(),
                  () ->
                      CompletableFuture.supplyAsync(() -> settled(announced, uri, read), threads)
                          .thenCompose(rest));
            });
  }

  private static RuntimeException leadsElsewhere(Throwable failure) {
    return failure instanceof NameProblem problem
        ? Problem.invalidField("uri", String.valueOf(problem.getMessage()))
        : new CompletionException(failure);
  }

  private Hashed settled(NewArtifact announced, ArtifactUri uri, Reading.Read read) {
    if (read.content().sizeBytes() != read.stamp().sizeBytes()
        || !io(() -> files.isStill(uri.path(), read.stamp()))) {
      throw Problem.wrongState("file", uri.toString(), "being written", List.of("finished"));
    }
    check(announced, read.content());
    return read.content();
  }

  /**
   * What a file was found to be.
   *
   * @param found what it holds; absent when it is missing
   */
  record Verified(ArtifactVerdict verdict, @Nullable Hashed found) {}

  /**
   * Reads an artifact's file and says whether it is what is on record.
   *
   * @param abandoned whether nobody wants to know any more
   */
  CompletableFuture<Verified> verify(ArtifactRow row, BooleanSupplier abandoned) {
    return Reading.of(files, path(row), Long.MAX_VALUE, readers, abandoned)
        .exceptionally(
            failure -> {
              if (failure instanceof NameProblem) {
                return Optional.empty(); // A link is at its place, or on the way there.
              }
              throw new CompletionException(failure);
            })
        .thenApply(
            read -> {
              Hashed found = read.map(Reading.Read::content).orElse(null);
              if (found == null) {
                return new Verified(ArtifactVerdict.MISSING, null);
              }
              boolean same = found.equals(new Hashed(row.hash(), row.sizeBytes()));
              return new Verified(same ? ArtifactVerdict.MATCHES : ArtifactVerdict.DIFFERS, found);
            });
  }

  /** An artifact's path below the folder of artifacts, if it is there. */
  private static String path(ArtifactRow row) {
    if (row.place() != ArtifactPlace.IN_DATA_DIRECTORY) {
      throw Problem.wrongState(
          "artifact", row.artifactId(), row.place(), EnumSet.of(ArtifactPlace.IN_DATA_DIRECTORY));
    }
    return row.uri().substring(ROOT.length());
  }

  /** Where a file came to stand, and whether it was put there now. */
  private record Standing(String uri, @Nullable Path placedNow) {}

  /**
   * Gives a finished file its name and then does the rest; when that fails the file goes again. One
   * after the other for a run, so that nobody takes up a file that is about to go.
   */
  <T> CompletableFuture<T> keep(
      NewArtifact announced, Incoming file, Function<String, CompletableFuture<T>> rest) {
    return turns.inTurn(
        announced.runId(),
        () ->
            stand(announced, file, 1)
                .thenCompose(
                    standing ->
                        rest.apply(standing.uri())
                            .whenComplete(
                                (kept, failure) -> {
                                  if (failure != null) {
                                    takeAway(standing);
                                  }
                                })));
  }

  private CompletableFuture<Standing> stand(NewArtifact announced, Incoming file, int number) {
    String name = number == 1 ? announced.name() : ArtifactNames.numbered(announced.name(), number);
    String path = announced.runId() + '/' + name;
    String uri = ROOT + path;
    return store
        .read(tx -> Optional.ofNullable(artifacts.at(tx, announced.runId(), uri)))
        .thenComposeAsync(
            known -> {
              Hashed content = io(file::finish);
              if (known.isPresent()) {
                return known.get().hash().equals(content.sha256())
                    ? CompletableFuture.completedFuture(new Standing(uri, null))
                    : stand(announced, file, number + 1);
              }
              try {
                Path placed = file.place(announced.runId(), name);
                return CompletableFuture.completedFuture(new Standing(uri, placed));
              } catch (NameTaken orphan) {
                // A file without a row: a crash left it. With the same content it is this
                // artifact's.
                Optional<Hashed> there = io(() -> files.hash(path));
                return there.equals(Optional.of(content))
                    ? CompletableFuture.completedFuture(new Standing(uri, null))
                    : stand(announced, file, number + 1);
              } catch (IOException failure) {
                throw problem(failure);
              }
            },
            threads);
  }

  private void takeAway(Standing standing) {
    if (standing.placedNow() != null) {
      try {
        files.remove(standing.placedNow());
      } catch (IOException failure) {
        log.warn(
            "{} has no row and could not be removed; it is a harmless orphan",
            standing.uri(),
            failure);
      }
    }
  }

  /**
   * Opens an artifact's file.
   *
   * @throws Problem WRONG_STATE when it lies elsewhere, or is gone
   */
  FileChannel open(ArtifactRow row) {
    String path = path(row);
    try {
      return files.open(path);
    } catch (NoSuchFileException | NameProblem gone) {
      log.warn("the file of {} is not at its place: {}", row.artifactId(), row.uri());
      throw Problem.wrongState(
          "artifact", row.artifactId(), "missing", List.of("in_data_directory"));
    } catch (IOException failure) {
      throw problem(failure);
    }
  }

  /**
   * What a failing file means for the caller: a full disk is told, and that no more files can be
   * opened; anything else is the server's own trouble.
   */
  static RuntimeException problem(IOException failure) {
    String message = String.valueOf(failure.getMessage()).toLowerCase(Locale.ROOT);
    if (message.contains("too many open files")) {
      return Problem.tooManyFiles();
    }
    boolean full =
        message.contains("no space left")
            || message.contains("quota exceeded")
            || message.contains("file too large");
    return full
        ? Problem.diskFull("the disk is full; nothing was stored")
        : new UncheckedIOException(failure);
  }

  /** Something with a file that may fail. */
  interface WithFile<T> {
    T get() throws IOException;
  }

  static <T> T io(WithFile<T> work) {
    try {
      return work.get();
    } catch (IOException failure) {
      throw problem(failure);
    }
  }
}
