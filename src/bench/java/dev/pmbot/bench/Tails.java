package dev.pmbot.bench;

import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.stub.StreamObserver;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Many streams of a workspace's log: how long after its CreateRun was sent an event arrives, and
 * how many arrive in a second when the log grows as fast as it can.
 */
final class Tails {
  private static final int STREAMS_A_CONNECTION = 125;
  private static final int MOST_LAGS = 4_000_000;
  private static final String SENT = "sent at ";
  // A CreateRun puts two events on the record.
  private static final int RUNS_A_SECOND = 50;
  private static final int STEADY_SECONDS = 10;
  private static final int FLOOD_SECONDS = 5;
  private static final int IN_FLIGHT = 64;

  private final ServerProcess server;
  private final String workspaceId;
  private final RunServiceGrpc.RunServiceStub runs;
  private final long[] lags = new long[MOST_LAGS];
  private final AtomicInteger lagCount = new AtomicInteger();
  private final AtomicLong delivered = new AtomicLong();

  Tails(ServerProcess server, String workspaceId) {
    this.server = server;
    this.workspaceId = workspaceId;
    this.runs = RunServiceGrpc.newStub(server.channel());
  }

  Map<String, Line> measure() throws InterruptedException {
    Map<String, Line> lines = new LinkedHashMap<>();
    flood(100); // Both sides get used to it.
    lines.put("a flood to 100 tails: deliveries", flood(100));
    lines.put("1,000 tails, 100 events/s: lag", steady(1_000));
    return lines;
  }

  private Line steady(int streams) throws InterruptedException {
    try (CancellableContext open = open(streams)) {
      rate(2);
      lagCount.set(0);
      int expected = rate(STEADY_SECONDS) * streams;
      await(expected, lagCount);
    }
    long[] sorted = Arrays.copyOf(lags, lagCount.get());
    Arrays.sort(sorted);
    return Line.millis(sorted[sorted.length / 2] / 1e6, sorted[(int) (sorted.length * 0.99)] / 1e6);
  }

  /** Creates runs at a steady pace, whatever the answers take; how many. */
  private int rate(int seconds) throws InterruptedException {
    int count = RUNS_A_SECOND * seconds;
    CountDownLatch answers = new CountDownLatch(count);
    long begin = System.nanoTime();
    for (int index = 0; index < count; index++) {
      long due = begin + index * (TimeUnit.SECONDS.toNanos(1) / RUNS_A_SECOND);
      while (System.nanoTime() < due) {
        LockSupport.parkNanos(due - System.nanoTime());
      }
      create(answers::countDown);
    }
    answers.await();
    return count;
  }

  private Line flood(int streams) throws InterruptedException {
    try (CancellableContext open = open(streams)) {
      Load.run(IN_FLIGHT, 2, this::create);
      TimeUnit.SECONDS.sleep(2); // What is still under way belongs to the warm-up.
      delivered.set(0);
      AtomicLong made = new AtomicLong();
      long begin = System.nanoTime();
      Load.run(
          IN_FLIGHT,
          FLOOD_SECONDS,
          observer -> {
            made.incrementAndGet();
            create(observer);
          });
      long expected = made.get() * 2 * streams;
      while (delivered.get() < expected) {
        TimeUnit.MILLISECONDS.sleep(1);
      }
      return Line.perSecond(expected / ((System.nanoTime() - begin) / 1e9));
    }
  }

  private void create(StreamObserver<Object> observer) {
    create(
        () -> {
          observer.onNext("done");
          observer.onCompleted();
        });
  }

  private void create(Runnable done) {
    runs.createRun(
        CreateRunRequest.newBuilder()
            .setWorkspaceId(workspaceId)
            .setGoal(SENT + System.nanoTime() + " ")
            .setGraphId("bench/v1")
            .build(),
        new StreamObserver<>() {
          @Override
          public void onNext(dev.pmbot.v1.CreateRunResponse reply) {
            // Counted at its end.
          }

          @Override
          public void onError(Throwable problem) {
            throw new IllegalStateException(problem);
          }

          @Override
          public void onCompleted() {
            done.run();
          }
        });
  }

  private CancellableContext open(int streams) throws InterruptedException {
    CancellableContext context = Context.current().withCancellation();
    CountDownLatch synced = new CountDownLatch(streams);
    context.run(
        () -> {
          Channel channel = null;
          for (int index = 0; index < streams; index++) {
            if (index % STREAMS_A_CONNECTION == 0) {
              channel = server.channel();
            }
            AuditServiceGrpc.newStub(channel)
                .tailEvents(
                    TailEventsRequest.newBuilder()
                        .setFilter(EventFilter.newBuilder().setWorkspaceId(workspaceId))
                        .build(),
                    new Tail(synced));
          }
        });
    synced.await();
    return context;
  }

  private static void await(long expected, AtomicInteger counter) throws InterruptedException {
    while (counter.get() < expected) {
      TimeUnit.MILLISECONDS.sleep(1);
    }
  }

  private final class Tail implements StreamObserver<TailEventsResponse> {
    private final CountDownLatch synced;

    Tail(CountDownLatch synced) {
      this.synced = synced;
    }

    @Override
    public void onNext(TailEventsResponse message) {
      if (message.hasSynced()) {
        synced.countDown();
      }
      for (AuditEvent event : message.getTransaction().getEventsList()) {
        delivered.incrementAndGet();
        String payload = event.getPayloadJson();
        int at = event.getType().equals("run.created") ? payload.indexOf(SENT) : -1;
        if (at >= 0) {
          int from = at + SENT.length();
          long sent = Long.parseLong(payload, from, payload.indexOf(' ', from), 10);
          lags[lagCount.getAndIncrement() % MOST_LAGS] = System.nanoTime() - sent;
        }
      }
    }

    @Override
    public void onError(Throwable problem) {
      // Cancelled at the end of a measurement.
    }

    @Override
    public void onCompleted() {
      throw new IllegalStateException("a tail ended by itself");
    }
  }
}
