package dev.pmbot.artifact;

import com.google.common.util.concurrent.MoreExecutors;
import dev.pmbot.files.FileTooLarge;
import dev.pmbot.files.Hashed;
import dev.pmbot.files.Incoming;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Statuses;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One upload, in the making. It asks for the next message only when it has written the last, so
 * that no more than one is held; what it wrote goes when the call ends in any way but well.
 *
 * <p>Everything is done in the order in which it came. The end of an upload is told without being
 * asked for, right behind its last message: on another thread it could overtake that message, and
 * the artifact would lack its last chunk.
 *
 * @param <Q> the upload's messages
 * @param <R> its answer
 */
final class Upload<Q, R> implements StreamObserver<Q> {
  private static final Logger log = LoggerFactory.getLogger(Upload.class);

  /** What a message is: the header or a chunk. */
  record Part(@Nullable NewArtifact header, List<ByteBuffer> chunk) {}

  private final ArtifactFiles files;
  private final Executor inOrder;
  private final ServerCallStreamObserver<R> call;
  private final java.util.function.Function<Q, Part> translate;
  private final java.util.function.Function<NewArtifact, CompletableFuture<?>> admit;
  private final BiFunction<NewArtifact, Incoming, CompletableFuture<R>> keep;
  private @Nullable NewArtifact header;
  private @Nullable Incoming file;
  private boolean over;

  Upload(
      ArtifactFiles files,
      StreamObserver<R> observer,
      java.util.function.Function<Q, Part> translate,
      java.util.function.Function<NewArtifact, CompletableFuture<?>> admit,
      BiFunction<NewArtifact, Incoming, CompletableFuture<R>> keep) {
    this.files = files;
    this.inOrder = MoreExecutors.newSequentialExecutor(files.threads());
    this.call = (ServerCallStreamObserver<R>) observer;
    this.translate = translate;
    this.admit = admit;
    this.keep = keep;
  }

  Upload<Q, R> begin() {
    call.disableAutoRequest();
    call.setOnCancelHandler(() -> inOrder.execute(this::abandon));
    call.request(1);
    return this;
  }

  @Override
  public void onNext(Q message) {
    Part part = translate.apply(message);
    inOrder.execute(() -> guarded(() -> take(part)));
  }

  private void take(Part part) throws IOException {
    if (part.header() != null) {
      if (header != null) {
        throw Problem.invalidField("header", "comes once, as the first message");
      }
      header = part.header();
      ArtifactFiles.checkName(header.name());
      file = files.begin();
      admit
          .apply(header)
          .whenComplete(
              (admitted, failure) -> {
                if (failure == null) {
                  call.request(1);
                } else {
                  inOrder.execute(() -> refuse(failure));
                }
              });
      return;
    }
    if (file == null) {
      throw Problem.invalidField("header", "is required as the first message");
    }
    for (ByteBuffer bytes : part.chunk()) {
      file.write(bytes);
    }
    call.request(1);
  }

  @Override
  public void onCompleted() {
    inOrder.execute(() -> guarded(this::finish));
  }

  private void finish() throws IOException {
    NewArtifact announced = header;
    Incoming written = file;
    if (announced == null || written == null) {
      throw Problem.invalidField("header", "is required as the first message");
    }
    Hashed content = written.finish();
    ArtifactFiles.check(announced, content);
    // From here on the file is the keeper's: a call that is cancelled now may be too late.
    file = null;
    over = true;
    keep.apply(announced, written)
        .whenComplete(
            (reply, failure) -> {
              discard(written);
              if (failure != null) {
                call.onError(Statuses.of(failure));
              } else {
                call.onNext(reply);
                call.onCompleted();
              }
            });
  }

  @Override
  public void onError(Throwable gone) {
    inOrder.execute(this::abandon);
  }

  private interface Step {
    void run() throws IOException;
  }

  private void guarded(Step step) {
    if (over) {
      return;
    }
    try {
      step.run();
    } catch (IOException failure) {
      refuse(ArtifactFiles.problem(failure));
    } catch (FileTooLarge large) {
      refuse(Problem.tooLarge("the artifact", large.maximumBytes()));
    } catch (RuntimeException failure) {
      refuse(failure);
    }
  }

  private void refuse(Throwable failure) {
    if (!over) {
      abandon();
      call.onError(Statuses.of(failure));
    }
  }

  private void abandon() {
    over = true;
    if (file != null) {
      discard(file);
      file = null;
    }
  }

  private static void discard(Incoming file) {
    try {
      file.close();
    } catch (IOException failure) {
      log.warn("an unfinished upload could not be removed; the next start does it", failure);
    }
  }
}
