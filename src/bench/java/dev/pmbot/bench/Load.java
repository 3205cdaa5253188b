package dev.pmbot.bench;

import io.grpc.stub.StreamObserver;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/** Keeps a number of calls in flight for a while, and says how they went. */
final class Load {
  private static final int MOST_CALLS = 4_000_000;

  /** Calls in a second, and how long half and 99 of 100 of them took, in milliseconds. */
  record Result(double perSecond, double p50, double p99) {
    @Override
    public String toString() {
      return String.format("%,.0f/s | %.2f ms | %.2f ms", perSecond, p50, p99);
    }
  }

  private final Consumer<StreamObserver<Object>> call;
  private final long[] nanos = new long[MOST_CALLS];
  private final AtomicInteger done = new AtomicInteger();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private volatile long deadline;

  private Load(Consumer<StreamObserver<Object>> call) {
    this.call = call;
  }

  /** Runs one load. */
  static Result run(int inFlight, double seconds, Consumer<StreamObserver<Object>> call)
      throws InterruptedException {
    return new Load(call).run(inFlight, seconds);
  }

  private Result run(int inFlight, double seconds) throws InterruptedException {
    long begin = System.nanoTime();
    deadline = begin + (long) (seconds * 1e9);
    CountDownLatch lanes = new CountDownLatch(inFlight);
    for (int lane = 0; lane < inFlight; lane++) {
      next(lanes);
    }
    lanes.await();
    if (failure.get() != null) {
      throw new IllegalStateException("a call failed", failure.get());
    }
    int count = done.get();
    double elapsed = (System.nanoTime() - begin) / 1e9;
    long[] sorted = Arrays.copyOf(nanos, count);
    Arrays.sort(sorted);
    return new Result(count / elapsed, sorted[count / 2] / 1e6, sorted[(int) (count * 0.99)] / 1e6);
  }

  private void next(CountDownLatch lanes) {
    long begin = System.nanoTime();
    if (begin >= deadline || failure.get() != null) {
      lanes.countDown();
      return;
    }
    call.accept(
        new StreamObserver<>() {
          @Override
          public void onNext(Object reply) {
            // Counted when the call is over.
          }

          @Override
          public void onError(Throwable problem) {
            failure.compareAndSet(null, problem);
            lanes.countDown();
          }

          @Override
          public void onCompleted() {
            nanos[done.getAndIncrement()] = System.nanoTime() - begin;
            next(lanes);
          }
        });
  }
}
