package dev.pmbot.artifact;

import dev.pmbot.wire.Statuses;
import io.grpc.stub.ServerCallStreamObserver;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One download: reads the next chunk only while the client takes it.
 *
 * @param <R> the download's messages
 */
final class Download<R> {
  private static final Logger log = LoggerFactory.getLogger(Download.class);

  /** As much as waits for a client that does not read. */
  private static final int CHUNK_BYTES = 64 << 10;

  /** Makes a message of a chunk. */
  interface Messages<R> {
    R of(long offset, ByteBuffer chunk, boolean first);
  }

  private final ServerCallStreamObserver<R> call;
  private final FileChannel channel;
  private final Executor threads;
  private final Messages<R> messages;
  private final AtomicInteger kicks = new AtomicInteger();
  private final long begin;
  private long offset;
  private boolean over;

  Download(
      ServerCallStreamObserver<R> call,
      FileChannel channel,
      long offset,
      Executor threads,
      Messages<R> messages) {
    this.call = call;
    this.channel = channel;
    this.begin = offset;
    this.offset = offset;
    this.threads = threads;
    this.messages = messages;
  }

  /** Sends more, now or when the client is ready; cheap when it is under way. */
  void kick() {
    if (kicks.getAndIncrement() == 0) {
      threads.execute(this::send);
    }
  }

  private void send() {
    int seen;
    do {
      seen = kicks.get();
      try {
        while (!over && !call.isCancelled() && call.isReady()) {
          sendChunk();
        }
      } catch (IOException | RuntimeException failure) {
        end();
        if (!call.isCancelled()) {
          call.onError(Statuses.of(failure));
        }
      }
      if (call.isCancelled()) {
        end();
      }
    } while (kicks.addAndGet(-seen) > 0);
  }

  private void sendChunk() throws IOException {
    ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BYTES);
    while (chunk.hasRemaining() && channel.read(chunk, offset + chunk.position()) > 0) {
      // A read may give less than it was asked for.
    }
    chunk.flip();
    boolean first = offset == begin;
    if (first || chunk.hasRemaining()) {
      int bytes = chunk.remaining();
      call.onNext(messages.of(offset, chunk, first));
      offset += bytes;
    }
    if (chunk.limit() < CHUNK_BYTES) {
      end();
      call.onCompleted();
    }
  }

  private void end() {
    over = true;
    try {
      channel.close();
    } catch (IOException failure) {
      log.warn("a file that was read could not be closed", failure);
    }
  }
}
