package dev.pmbot.feed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.feed.DecisionsKind.Decided;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Effects;
import dev.pmbot.kit.Journeys;
import dev.pmbot.kit.Ledger;
import dev.pmbot.kit.Logs;
import dev.pmbot.kit.MortalServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.Repo;
import dev.pmbot.wire.Principal.Role;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many streams of every kind follow many writers, while both the streams and the server are cut off
 * at random; afterwards a {@link StreamValidator} holds what every client was told against the log.
 *
 * <p>Small as part of the build; at the size that {@code src/docs/endurance.md} records:
 *
 * <pre>{@code
 * mvn -q -ntp test -Dtest=StreamsUnderLoadTest -Dpmbot.streams=1000 -Dpmbot.writers=64 \
 *   -Dpmbot.kills=12 -Dpmbot.seconds=240 -DargLine=-Xmx6g
 * }</pre>
 */
@SuppressWarnings("NullAway.Init") // Set before each test.
final class StreamsUnderLoadTest {
  private static final int STREAMS = Integer.getInteger("pmbot.streams", 60);
  private static final int WRITERS = Integer.getInteger("pmbot.writers", 8);
  private static final int KILLS = Integer.getInteger("pmbot.kills", 2);
  private static final int SECONDS = Integer.getInteger("pmbot.seconds", 6);
  private static final int WORKSPACES = 5;
  private static final long PATIENCE_SECONDS = 120;

  @TempDir Path folder;

  private final Random random = new Random();
  private final Effects effects = new Effects();
  private final DecisionsKind.Taken taken = new DecisionsKind.Taken();
  private final Map<String, CompletableFuture<Void>> arrivals = new ConcurrentHashMap<>();
  private final AtomicBoolean over = new AtomicBoolean();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final ScheduledExecutorService timer = Executors.newScheduledThreadPool(2);
  private MortalServer server;
  private Ledger ledger;
  private SharedWorld world;

  @Test
  void noStreamMissesRepeatsOrInventsAnything() throws Exception {
    List<String> complaints = new ArrayList<>();
    List<Subscriber<?, ?>> subscribers = new ArrayList<>();
    RecordedLog log = new RecordedLog();
    long begin = System.nanoTime();
    try (MortalServer program = MortalServer.in(folder)) {
      server = program;
      ledger = new Ledger(server);
      server.start();
      world = new SharedWorld(server, timer, threads);
      List<Repo> repos = repos();
      List<Journeys.Work> watched = new ArrayList<>();
      List<Future<?>> writers = new ArrayList<>();
      for (int count = 0; count < WRITERS; count++) {
        Journeys journeys = new Journeys(ledger, effects, new Random(count), "w" + count);
        Repo repo = repos.get(count % repos.size());
        Journeys.Work work = journeys.running(repo);
        watched.add(work);
        Subscriber<?, ?> own = subscribe(decisionsOfRun(work), this::arrived);
        subscribers.add(own);
        writers.add(threads.submit(() -> write(journeys, work, repos, own)));
      }
      while (subscribers.size() < STREAMS) {
        subscribers.add(subscribe(kind(subscribers.size(), repos, watched), told -> {}));
      }
      killNowAndThen(writers);
      over.set(true);
      for (Future<?> writer : writers) {
        writer.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
      }
      world.known.putAll(world.readEnds());
      List<CompletableFuture<Void>> ends =
          subscribers.stream().<CompletableFuture<Void>>map(Subscriber::finish).toList();
      for (CompletableFuture<Void> end : ends) {
        end.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
      }
      Client reader = server.life().as(Role.OPERATOR);
      for (String workspaceId : world.readEnds().keySet()) {
        complaints.addAll(log.add(workspaceId, Logs.events(reader, workspaceId)));
        Logs.complaint(reader, workspaceId).ifPresent(complaints::add);
      }
    } finally {
      over.set(true);
      timer.shutdownNow();
      threads.shutdownNow();
    }
    List<AuditEvent> events = new ArrayList<>();
    log.workspaces().forEach(id -> events.addAll(log.events(id)));
    events.removeIf(event -> event.getWorkspaceId().equals("system"));
    complaints.addAll(effects.complaints(events));
    validate(log, subscribers, complaints);
    report(log, subscribers, complaints, System.nanoTime() - begin);
    assertEquals(List.of(), complaints.stream().limit(3).toList(), complaints.size() + " in all");
    assertTrue(subscribers.stream().allMatch(one -> one.count() > 1), "a stream was never cut");
  }

  private List<Repo> repos() {
    Journeys first = new Journeys(ledger, effects, new Random(42), "first");
    List<Repo> repos = new ArrayList<>();
    for (int count = 0; count < WORKSPACES; count++) {
      repos.add(first.repo(first.workspace()));
    }
    return repos;
  }

  /** The kinds take turns; most streams are about one run, as most are in life. */
  private StreamKind<?, ?> kind(int number, List<Repo> repos, List<Journeys.Work> watched) {
    Journeys.Work work = watched.get(number / 11 % watched.size());
    String workspaceId = repos.get(number / 11 % repos.size()).getWorkspaceId();
    EventFilter.Builder filter = EventFilter.newBuilder();
    return switch (number % 11) {
      case 0 -> EventsKind.of(filter.setWorkspaceId(workspaceId), number % 22 == 0);
      case 1, 2 -> EventsKind.of(filter.setRunId(work.runId()), number % 11 == 1);
      case 3 ->
          switch (number / 11 % 5) {
            case 0 -> EventsKind.of(filter, number % 2 == 0);
            case 1 -> EventsKind.of(filter.setTypePrefix("run."), number % 2 == 0);
            case 2 -> EventsKind.of(filter.setThreadId(work.threadId()), number % 2 == 0);
            case 3 -> EventsKind.of(filter.setWorkspaceId(workspaceId).setNodeId("node-1"), true);
            default -> new InboxKind("");
          };
      case 4 -> new InboxKind(workspaceId);
      case 5 -> decisionsOfSeveral(watched, number);
      case 6, 7 -> new DecisionsKind(List.of(), List.of(work.threadId()), taken);
      case 8, 9 -> new RunKind(work.runId());
      default -> decisionsOfRun(work);
    };
  }

  private DecisionsKind decisionsOfRun(Journeys.Work work) {
    return new DecisionsKind(List.of(work.runId()), List.of(), taken);
  }

  private DecisionsKind decisionsOfSeveral(List<Journeys.Work> watched, int number) {
    List<String> runIds =
        watched.stream().map(Journeys.Work::runId).skip(number % watched.size()).limit(20).toList();
    return new DecisionsKind(runIds, List.of(), taken);
  }

  private <Q, R> Subscriber<Q, R> subscribe(StreamKind<Q, R> kind, Consumer<Told> listener) {
    return new Subscriber<>(
            kind, world, random.nextInt(SharedWorld.LANES), random.nextLong(), world.and(listener))
        .follow();
  }

  private CompletableFuture<Void> arrival(String interruptId) {
    return arrivals.computeIfAbsent(interruptId, ignored -> new CompletableFuture<>());
  }

  private void arrived(Told told) {
    for (Object fact : told.facts()) {
      if (fact instanceof Decided decided) {
        arrival(decided.interruptId()).complete(null);
      }
    }
  }

  /**
   * Works at one run all the time, and carries others through beside it. An answer is taken only
   * when it has come over the run's own stream, however often that was cut: each one must come.
   */
  private boolean write(
      Journeys journeys, Journeys.Work work, List<Repo> repos, Subscriber<?, ?> own)
      throws Exception {
    Random turns = new Random();
    while (!over.get()) {
      work.ask();
      work.answer();
      if (turns.nextInt(4) == 0) {
        work.pause();
        work.answerAll();
      }
      if (turns.nextInt(3) == 0) {
        for (String interruptId : work.decided()) {
          try {
            arrival(interruptId).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
          } catch (TimeoutException late) {
            throw new AssertionError(interruptId + " never came: " + own.latest(), late);
          }
        }
        List<String> interruptIds = List.copyOf(work.decided());
        work.acknowledge();
        long now = world.tick();
        interruptIds.forEach(interruptId -> taken.note(interruptId, now));
      }
      if (turns.nextInt(40) == 0) {
        journeys.place();
      } else {
        journeys.run(repos.get(turns.nextInt(repos.size())));
      }
    }
    work.end();
    return true;
  }

  private void killNowAndThen(List<Future<?>> writers) throws InterruptedException {
    long millis = TimeUnit.SECONDS.toMillis(SECONDS) / (KILLS + 1);
    for (int kill = 0; kill <= KILLS; kill++) {
      long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
      while (System.nanoTime() - until < 0) {
        TimeUnit.MILLISECONDS.sleep(1 + random.nextInt(1_000));
        world.cut(random.nextInt(SharedWorld.LANES));
        writers.stream().filter(Future::isDone).forEach(one -> Await.value("a writer", one));
      }
      if (kill < KILLS) {
        server.kill();
        server.start();
      }
    }
  }

  private static void validate(
      RecordedLog log, List<Subscriber<?, ?>> subscribers, List<String> complaints) {
    StreamValidator validator = new StreamValidator(log);
    subscribers.forEach(
        one -> complaints.addAll(validator.complaints(one.kind(), one.connections())));
  }

  private void report(
      RecordedLog log, List<Subscriber<?, ?>> subscribers, List<String> complaints, long nanos) {
    Map<String, Integer> kinds = new TreeMap<>();
    long told = 0;
    long facts = 0;
    long connections = 0;
    for (Subscriber<?, ?> one : subscribers) {
      kinds.merge(one.kind().getClass().getSimpleName(), 1, Integer::sum);
      connections += one.count();
      for (Connection connection : one.connections()) {
        told += connection.told().size();
        facts += connection.told().stream().mapToLong(each -> each.facts().size()).sum();
      }
    }
    System.out.printf(
        "%d streams %s, %d writers, %d kills; %d mutations, %d events; %d connections, %d messages"
            + " with %d facts; %d decisions taken; %d violations; %d s%n",
        subscribers.size(),
        kinds,
        WRITERS,
        KILLS,
        ledger.count(),
        log.size(),
        connections,
        told,
        facts,
        taken.count(),
        complaints.size(),
        TimeUnit.NANOSECONDS.toSeconds(nanos));
    complaints.stream().limit(200).forEach(each -> System.out.println("violation: " + each));
  }
}
