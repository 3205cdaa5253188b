package dev.pmbot.feed;

import com.google.protobuf.MessageLite;
import dev.pmbot.store.Store;
import dev.pmbot.store.Time;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Statuses;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** Everybody who follows the log, and who of them is to be woken by what was committed. */
public final class Feed<E extends LoggedEvent> implements AutoCloseable {
  private static final long TICK_MILLIS = 500;

  private final Store store;
  private final EventLog<E> log;
  private final Time time;
  private final int mostStreams;
  private final Set<Following<E, ?>> open = ConcurrentHashMap.newKeySet();
  private final Set<Following<E, ?>> ofAll = ConcurrentHashMap.newKeySet();
  private final Map<String, Set<Following<E, ?>>> byWorkspace = new ConcurrentHashMap<>();
  private final Map<String, Set<Following<E, ?>>> byRun = new ConcurrentHashMap<>();
  private final Map<String, Set<Following<E, ?>>> byThread = new ConcurrentHashMap<>();
  private final ScheduledExecutorService ticker =
      Executors.newSingleThreadScheduledExecutor(task -> daemon(task, "pmbot-heartbeats"));
  private final ExecutorService sender =
      Executors.newSingleThreadExecutor(task -> daemon(task, "pmbot-streams"));
  private final Recent<E> recent = new Recent<>();
  private final Queue<List<E>> news = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean waking = new AtomicBoolean();
  private volatile boolean closed;

  /**
   * Over a log.
   *
   * @param mostStreams streams open at once
   */
  public Feed(Store store, EventLog<E> log, Time time, int mostStreams) {
    this.store = store;
    this.log = log;
    this.time = time;
    this.mostStreams = mostStreams;
    ticker.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
  }

  private static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  /** Streams that are open now. */
  public int openStreams() {
    return open.size();
  }

  /**
   * Answers a call with a stream.
   *
   * @param cursor the last that the client handled; empty: none
   */
  public <R extends MessageLite> void follow(
      StreamObserver<R> observer, View<E, R> view, String cursor) {
    ServerCallStreamObserver<R> call = (ServerCallStreamObserver<R>) observer;
    if (closed) {
      call.onError(Statuses.of(Problem.shuttingDown()));
      return;
    }
    if (open.size() >= mostStreams) {
      call.onError(Statuses.of(Problem.tooManyOpen("streams are open", mostStreams)));
      return;
    }
    Following<E, R> following =
        new Following<>(store, log, recent, time, call, view, cursor, this::forget, sender);
    // Registered before anything is read: what is committed from now on wakes it.
    register(following);
    call.setOnCancelHandler(() -> forget(following));
    call.setOnReadyHandler(following::kick);
    following.kick();
    if (closed) {
      following.end(Problem.shuttingDown());
    }
  }

  /**
   * A log has new events. The writer calls this, so waking those who follow is left to the streams'
   * own thread: however many there are, and however often, it is done once for all that came
   * meanwhile.
   */
  public void committed(String workspaceId, List<E> events) {
    if (open.isEmpty()) {
      return;
    }
    recent.add(workspaceId, events);
    news.add(events);
    if (!waking.getAndSet(true)) {
      try {
        sender.execute(this::wakeAll);
      } catch (RejectedExecutionException stopping) {
        return; // Every stream has been told to come again.
      }
    }
  }

  private void wakeAll() {
    waking.set(false); // Before looking: what comes from now on is looked at again.
    Set<String> workspaceIds = new HashSet<>();
    Map<String, String> runs = new HashMap<>();
    Map<String, String> threads = new HashMap<>();
    for (List<E> events = news.poll(); events != null; events = news.poll()) {
      for (E event : events) {
        workspaceIds.add(event.workspaceId());
        put(runs, event.runId(), event);
        put(threads, event.threadId(), event);
      }
    }
    for (String workspaceId : workspaceIds) {
      ofAll.forEach(following -> following.wake(workspaceId));
      wake(byWorkspace, Map.of(workspaceId, workspaceId));
    }
    wake(byRun, runs);
    wake(byThread, threads);
  }

  private static void put(Map<String, String> ids, @Nullable String id, LoggedEvent event) {
    if (id != null) {
      ids.put(id, event.workspaceId());
    }
  }

  private void wake(Map<String, Set<Following<E, ?>>> index, Map<String, String> workspaceOf) {
    workspaceOf.forEach(
        (key, workspaceId) ->
            index.getOrDefault(key, Set.of()).forEach(following -> following.wake(workspaceId)));
  }

  private void register(Following<E, ?> following) {
    open.add(following);
    Scope scope = following.scope();
    scope.runIds().forEach(id -> add(byRun, id, following));
    scope.threadIds().forEach(id -> add(byThread, id, following));
    if (!scope.isNarrow()) {
      if (scope.workspaceId() == null) {
        ofAll.add(following);
      } else {
        add(byWorkspace, scope.workspaceId(), following);
      }
    }
  }

  private void add(Map<String, Set<Following<E, ?>>> index, String key, Following<E, ?> following) {
    index.compute(
        key,
        (ignored, known) -> {
          Set<Following<E, ?>> followings = known == null ? ConcurrentHashMap.newKeySet() : known;
          followings.add(following);
          return followings;
        });
  }

  private void forget(Following<E, ?> following) {
    open.remove(following);
    endWhenAllAreTold();
    ofAll.remove(following);
    Scope scope = following.scope();
    scope.runIds().forEach(id -> remove(byRun, id, following));
    scope.threadIds().forEach(id -> remove(byThread, id, following));
    if (scope.workspaceId() != null) {
      remove(byWorkspace, scope.workspaceId(), following);
    }
  }

  private void remove(
      Map<String, Set<Following<E, ?>>> index, String key, Following<E, ?> following) {
    index.computeIfPresent(
        key,
        (ignored, followings) -> {
          followings.remove(following);
          return followings.isEmpty() ? null : followings;
        });
  }

  private void tick() {
    open.forEach(Following::tick);
  }

  /** Tells every stream to come again. */
  @Override
  public void close() {
    closed = true;
    ticker.shutdownNow();
    open.forEach(following -> following.end(Problem.shuttingDown()));
    endWhenAllAreTold();
  }

  /** A stream that is in the middle of a step is told behind it: the thread must still be there. */
  private void endWhenAllAreTold() {
    if (closed && open.isEmpty()) {
      sender.shutdown();
    }
  }
}
