package dev.pmbot.run;

import dev.pmbot.wire.Problem;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Claims that wait for work, in the order in which they came. A run that becomes claimable wakes
 * one of them; one that leaves with a wake-up that it did not use hands it on.
 */
final class Waiters implements AutoCloseable {
  private final ScheduledExecutorService timer;
  private final int most;
  private final Set<Waiter> waiting = new LinkedHashSet<>();
  private boolean closed;

  Waiters(ScheduledExecutorService timer, int most) {
    this.timer = timer;
    this.most = most;
  }

  /** One waiting claim. */
  final class Waiter implements AutoCloseable {
    private final Set<String> graphIds;
    private final @Nullable String workspaceId;
    private CompletableFuture<Boolean> signal = new CompletableFuture<>();
    private @Nullable Work unused;
    private @Nullable Work trying;

    private Waiter(Set<String> graphIds, @Nullable String workspaceId) {
      this.graphIds = graphIds;
      this.workspaceId = workspaceId;
    }

    /** Completed with true when there may be work; with false when the time is up. */
    CompletableFuture<Boolean> signal(long nanos) {
      CompletableFuture<Boolean> current;
      synchronized (waiting) {
        current = signal;
      }
      return current.completeOnTimeout(false, Math.max(0, nanos), TimeUnit.NANOSECONDS);
    }

    /** Waits again, before the work that it was woken for is looked for. */
    void again() {
      synchronized (waiting) {
        trying = unused;
        unused = null;
        signal = new CompletableFuture<>();
        join(this);
      }
    }

    /**
     * It has looked for the work: the wake-up is used up, whether there was any. One whose look
     * failed, because its caller had gone, has not looked.
     */
    void looked() {
      synchronized (waiting) {
        trying = null;
      }
    }

    private boolean takes(Work work) {
      return graphIds.contains(work.graphId)
          && (workspaceId == null || workspaceId.equals(work.workspaceId));
    }

    @Override
    public void close() {
      List<Work> handOn;
      synchronized (waiting) {
        waiting.remove(this);
        handOn = Stream.of(unused, trying).flatMap(Stream::ofNullable).toList();
        unused = null;
        trying = null;
      }
      handOn.forEach(work -> wake(work.workspaceId, work.graphId));
    }
  }

  private record Work(String workspaceId, String graphId) {}

  /**
   * Waits from now on.
   *
   * @throws Problem TOO_MANY_OPEN
   */
  Waiter register(Set<String> graphIds, @Nullable String workspaceId) {
    Waiter waiter = new Waiter(graphIds, workspaceId);
    synchronized (waiting) {
      if (waiting.size() >= most) {
        throw Problem.tooManyOpen("claims wait", most);
      }
      join(waiter);
    }
    return waiter;
  }

  /** There will be no work for who comes when it is closed. */
  private void join(Waiter waiter) {
    if (closed) {
      waiter.signal.complete(false);
    } else {
      waiting.add(waiter);
    }
  }

  /** Claims that wait now. */
  int count() {
    synchronized (waiting) {
      return waiting.size();
    }
  }

  /** A run of this graph may be claimed: wakes the first who can take it. */
  void wake(String workspaceId, String graphId) {
    Work work = new Work(workspaceId, graphId);
    CompletableFuture<Boolean> woken = null;
    synchronized (waiting) {
      for (Waiter waiter : waiting) {
        if (waiter.takes(work)) {
          waiting.remove(waiter);
          waiter.unused = work;
          woken = waiter.signal;
          break;
        }
      }
    }
    if (woken != null) {
      woken.complete(true);
    }
  }

  /** A run of this graph may be claimed after some time. */
  void wakeLater(String workspaceId, String graphId, long micros) {
    timer.schedule(() -> wake(workspaceId, graphId), micros, TimeUnit.MICROSECONDS);
  }

  /** Tells all who wait that there will be no work. */
  @Override
  public void close() {
    List<Waiter> all;
    synchronized (waiting) {
      closed = true;
      all = List.copyOf(waiting);
      waiting.clear();
    }
    all.forEach(waiter -> waiter.signal.complete(false));
  }
}
