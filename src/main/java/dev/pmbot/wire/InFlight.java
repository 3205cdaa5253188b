package dev.pmbot.wire;

import com.google.protobuf.Message;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * Keeps the requests whose work waits, or is under way, within a part of the memory: the queue of
 * writes counts units, and each may be as large as a message.
 */
final class InFlight {
  /** A part of the heap, for a request becomes a row, a reply and events before it is let go. */
  private static final int PART_OF_HEAP = 8;

  private static final long LEAST = 8L << 20;
  private static final long MOST = 64L << 20;

  private final long limit;
  private final AtomicLong bytes = new AtomicLong();

  /** With a limit in bytes. */
  InFlight(long limit) {
    this.limit = limit;
  }

  /** With the limit that goes with this process's memory. */
  static InFlight ofThisProcess() {
    long part = Runtime.getRuntime().maxMemory() / PART_OF_HEAP;
    return new InFlight(Math.min(MOST, Math.max(LEAST, part)));
  }

  /** Does this while the request counts; refuses it when there is no room. Never throws. */
  <T> CompletableFuture<T> counted(Message request, Supplier<CompletableFuture<T>> work) {
    long size = request.getSerializedSize();
    if (bytes.addAndGet(size) > limit) {
      bytes.addAndGet(-size);
      return CompletableFuture.failedFuture(
          Problem.queueFull(
              "requests of " + (limit >> 20) + " MiB wait to be written already; try again"));
    }
    CompletableFuture<T> future;
    try {
      future = work.get();
    } catch (RuntimeException failure) {
      future = CompletableFuture.failedFuture(failure);
    }
    return future.whenComplete((result, failure) -> bytes.addAndGet(-size));
  }
}
