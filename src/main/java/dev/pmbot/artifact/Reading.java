package dev.pmbot.artifact;

import dev.pmbot.files.FileStore;
import dev.pmbot.files.Hashed;
import dev.pmbot.files.Hashing;
import dev.pmbot.files.NameProblem;
import dev.pmbot.files.Stamp;
import dev.pmbot.wire.Problem;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads one file to say what it holds: a part at a time, so that everything else that waits for
 * these threads gets its turn in between, and no longer than somebody wants to know.
 */
final class Reading implements Runnable {
  private static final Logger log = LoggerFactory.getLogger(Reading.class);
  private static final long PART_BYTES = 8L << 20;

  /**
   * What was read.
   *
   * @param stamp what the file was before
   */
  record Read(Hashed content, Stamp stamp) {}

  private final FileStore files;
  private final String path;
  private final long largest;
  private final Executor threads;
  private final BooleanSupplier abandoned;
  private final CompletableFuture<Optional<Read>> done = new CompletableFuture<>();
  private @Nullable Hashing hashing;

  private Reading(
      FileStore files, String path, long largest, Executor threads, BooleanSupplier abandoned) {
    this.files = files;
    this.path = path;
    this.largest = largest;
    this.threads = threads;
    this.abandoned = abandoned;
  }

  /**
   * Reads a file; brings nothing when there is no regular file at that path, {@link NameProblem}
   * when a link stands on the way.
   *
   * @param largest how long it may be, in bytes; a longer one is TOO_LARGE and not read
   * @param abandoned whether nobody wants to know any more
   */
  static CompletableFuture<Optional<Read>> of(
      FileStore files, String path, long largest, Executor threads, BooleanSupplier abandoned) {
    Reading reading = new Reading(files, path, largest, threads, abandoned);
    reading.goOn();
    return reading.done;
  }

  private void goOn() {
    try {
      threads.execute(this);
    } catch (RuntimeException stopping) {
      end();
      done.completeExceptionally(Problem.shuttingDown());
    }
  }

  @Override
  public void run() {
    Hashing file = hashing;
    try {
      if (abandoned.getAsBoolean()) {
        throw Problem.callEnded();
      }
      if (file == null) {
        file = files.hashing(path);
        hashing = file;
        if (file.stamp().sizeBytes() > largest) {
          throw Problem.tooLarge("the artifact", largest);
        }
      }
      if (file.read(PART_BYTES)) {
        goOn();
        return;
      }
      end();
      done.complete(Optional.of(new Read(file.finish(), file.stamp())));
    } catch (NoSuchFileException missing) {
      end();
      done.complete(Optional.empty());
    } catch (AccessDeniedException denied) {
      end();
      done.completeExceptionally(
          Problem.wrongState(
              "file",
              ArtifactUri.ROOT + path,
              "not readable by the server",
              List.of("readable by it")));
    } catch (IOException failure) {
      end();
      done.completeExceptionally(ArtifactFiles.problem(failure));
    } catch (RuntimeException failure) {
      end();
      done.completeExceptionally(failure);
    }
  }

  private void end() {
    Hashing file = hashing;
    if (file != null) {
      try {
        file.close();
      } catch (IOException failure) {
        log.warn("a file that was read could not be closed", failure);
      }
    }
  }
}
