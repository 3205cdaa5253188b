package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.ControlPlane;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Effects;
import dev.pmbot.kit.Journeys;
import dev.pmbot.kit.Ledger;
import dev.pmbot.kit.Logs;
import dev.pmbot.kit.MortalServer;
import dev.pmbot.store.SystemTime;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceResponse;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.ListRunsResponse;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many clients make every mutation there is, all day, each under a request id; the server is killed
 * at any moment, again and again. Whatever was answered must be there once, and be answered again
 * in the same bytes; what was not answered is asked for again and must be done once.
 *
 * <p>Small as part of the build; at the size that {@code src/docs/endurance.md} records:
 *
 * <pre>{@code
 * mvn -q -ntp test -Dtest=KilledUnderLoadTest -Dpmbot.kills=200 -Dpmbot.writers=64
 * }</pre>
 */
final class KilledUnderLoadTest {
  private static final int KILLS = Integer.getInteger("pmbot.kills", 3);
  private static final int WRITERS = Integer.getInteger("pmbot.writers", 16);
  private static final int MOST_ANSWERS_OF_A_LIFE = 300;
  private static final long LONGEST_LIFE_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final int WORKSPACES = 4;
  private static final int ASKERS = 4;
  private static final int OLDER_ASKED_AGAIN = 100;
  private static final int LATEST_ASKED_AGAIN = 400;
  private static final int LIVES_BETWEEN_CHECKS = 25;

  @TempDir Path folder;

  private final Random random = new Random();
  private final Effects effects = new Effects();
  private final ConcurrentLinkedQueue<String> violations = new ConcurrentLinkedQueue<>();
  private final AtomicLong compared = new AtomicLong();
  private final AtomicBoolean over = new AtomicBoolean();
  private final AtomicInteger halts = new AtomicInteger();
  private long orphans;

  @Test
  void whatWasAnsweredIsThereOnceAndIsAnsweredTheSameAgain() throws Exception {
    ExecutorService threads = Executors.newCachedThreadPool();
    long begin = System.nanoTime();
    try (MortalServer server = MortalServer.in(folder)) {
      Ledger ledger = new Ledger(server);
      server.start();
      List<Repo> repos = repos(ledger);
      List<Future<?>> writers = new ArrayList<>();
      for (int count = 0; count < WRITERS; count++) {
        Journeys journeys = new Journeys(ledger, effects, new Random(count), "w" + count);
        Random which = new Random(-count);
        writers.add(
            threads.submit(
                () -> {
                  while (!over.get()) {
                    if (which.nextInt(20) == 0) {
                      journeys.place();
                    } else {
                      journeys.run(repos.get(which.nextInt(repos.size())));
                    }
                  }
                }));
      }
      List<Future<?>> askers = new ArrayList<>();
      int[] from = {0};
      for (int kill = 1; kill <= KILLS; kill++) {
        int answeredInEarlierLives = ledger.count();
        askers.addAll(askAgain(threads, server, ledger, from[0]));
        from[0] = answeredInEarlierLives;
        live(server, ledger, kill);
        server.kill();
        if (kill % LIVES_BETWEEN_CHECKS == 0) {
          fsck(server, "after kill " + kill);
        }
        server.start(kill < KILLS ? options() : new String[0]);
        System.out.printf(
            "%5d s: %d kills, %d answered, %d attempts lost, %d compared, %d violations%n",
            TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - begin),
            kill,
            ledger.count(),
            ledger.unanswered(),
            compared.get(),
            violations.size());
        writers.stream().filter(Future::isDone).forEach(writer -> Await.value("a writer", writer));
      }
      over.set(true);
      for (Future<?> writer : writers) {
        writer.get(2, TimeUnit.MINUTES);
      }
      // The last life, which nobody ends, answers for all of them: every single answer of CI's few.
      List<Ledger.Entry> last = ledger.answered(KILLS > LIVES_BETWEEN_CHECKS ? from[0] : 0);
      askers.addAll(ask(threads, server, last));
      for (Future<?> asker : askers) {
        asker.get(2, TimeUnit.MINUTES);
      }
      checkTheRecord(server, ledger);
      server.kill();
      fsck(server, "at the end");
      report(ledger, System.nanoTime() - begin);
    } finally {
      over.set(true);
      threads.shutdownNow();
    }
    assertEquals(List.of(), violations.stream().limit(3).toList(), violations.size() + " in all");
    assertTrue(compared.get() > 0, "nothing was asked for again");
  }

  private List<Repo> repos(Ledger ledger) {
    Journeys first = new Journeys(ledger, effects, new Random(42), "first");
    List<Repo> repos = new ArrayList<>();
    for (int count = 0; count < WORKSPACES; count++) {
      Workspace workspace = first.workspace();
      repos.add(first.repo(workspace));
    }
    return repos;
  }

  /** Every few lives end by themselves, exactly before or after a commit or a rename. */
  private String[] options() {
    if (random.nextInt(5) > 0) {
      return new String[0];
    }
    return new String[] {"-Dpmbot.halt.at=" + (20 + random.nextInt(80))};
  }

  /** Lets it live until it has answered some calls, or has ended by itself. */
  private void live(MortalServer server, Ledger ledger, int kill) throws InterruptedException {
    Process process = server.life().child().process();
    // Now and then it ends while the clients have only just found it again.
    int enough = ledger.count() + random.nextInt(kill % 10 == 0 ? 5 : MOST_ANSWERS_OF_A_LIFE);
    long deadline = System.nanoTime() + LONGEST_LIFE_NANOS;
    while (ledger.count() < enough && System.nanoTime() - deadline < 0) {
      if (process.waitFor(random.nextInt(20), TimeUnit.MILLISECONDS)) {
        halts.incrementAndGet();
        return;
      }
    }
  }

  /** Asks again for what the last lives answered, and for some of what earlier ones did. */
  private List<Future<?>> askAgain(
      ExecutorService threads, MortalServer server, Ledger ledger, int from) {
    List<Ledger.Entry> entries = ledger.answered(from);
    if (entries.size() > LATEST_ASKED_AGAIN) {
      entries =
          new ArrayList<>(entries.subList(entries.size() - LATEST_ASKED_AGAIN, entries.size()));
    }
    List<Ledger.Entry> older = ledger.answered(0);
    for (int count = 0; count < OLDER_ASKED_AGAIN && from > 0; count++) {
      entries.add(older.get(random.nextInt(from)));
    }
    return ask(threads, server, entries);
  }

  private List<Future<?>> ask(
      ExecutorService threads, MortalServer server, List<Ledger.Entry> entries) {
    ConcurrentLinkedQueue<Ledger.Entry> queue = new ConcurrentLinkedQueue<>(entries);
    List<Future<?>> askers = new ArrayList<>();
    for (int count = 0; count < ASKERS; count++) {
      askers.add(
          threads.submit(
              () -> {
                for (Ledger.Entry next = queue.poll(); next != null; next = queue.poll()) {
                  ask(server, next);
                }
              }));
    }
    return askers;
  }

  private void ask(MortalServer server, Ledger.Entry entry) {
    ConfinedServer life = server.life();
    while (true) {
      try {
        entry.complaint(life).ifPresent(violations::add);
        compared.incrementAndGet();
        return;
      } catch (StatusRuntimeException killed) {
        life = server.lifeOtherThan(life);
      }
    }
  }

  /** What fsck says of the directory that a kill has left: nothing but harmless orphans. */
  private void fsck(MortalServer server, String when) {
    try (Consistency consistency =
        ControlPlane.consistency(server.dataDirectory(), new SystemTime())) {
      Consistency.Result result =
          consistency.run(
              true,
              found -> {
                if (!found.harmless()) {
                  violations.add(when + ": " + found);
                }
              },
              what -> {});
      orphans = result.orphans();
    }
  }

  private void checkTheRecord(MortalServer server, Ledger ledger) {
    Client reader = server.life().as(Role.OPERATOR);
    Set<String> workspaces = new TreeSet<>();
    Map<String, Integer> runs = new TreeMap<>();
    for (Ledger.Entry entry : ledger.answered(0)) {
      if (entry.answer() instanceof CreateWorkspaceResponse created) {
        workspaces.add(created.getWorkspace().getWorkspaceId());
      } else if (entry.answer() instanceof CreateRunResponse created) {
        runs.merge(created.getRun().getRunId(), 1, Integer::sum);
      }
    }
    runs.forEach(
        (id, count) -> {
          if (count > 1) {
            violations.add("run " + id + " answers " + count + " request ids");
          }
        });
    List<AuditEvent> events = new ArrayList<>();
    for (String workspaceId : workspaces) {
      events.addAll(Logs.events(reader, workspaceId));
      Logs.complaint(reader, workspaceId).ifPresent(violations::add);
      for (String runId : runIds(server, workspaceId)) {
        if (runs.remove(runId) == null) {
          violations.add("run " + runId + " answers no request id");
        }
      }
    }
    runs.keySet().forEach(id -> violations.add("run " + id + " was answered and is not there"));
    Logs.complaint(reader, "system").ifPresent(violations::add);
    violations.addAll(effects.complaints(events));
  }

  private static List<String> runIds(MortalServer server, String workspaceId) {
    List<String> ids = new ArrayList<>();
    ListRunsRequest.Builder request =
        ListRunsRequest.newBuilder().setWorkspaceId(workspaceId).setPageSize(500);
    ListRunsResponse page;
    do {
      page = server.life().as(Role.OPERATOR).runs().listRuns(request.build());
      page.getRunsList().forEach(run -> ids.add(run.getRunId()));
      request.setPageToken(page.getNextPageToken());
    } while (!page.getNextPageToken().isEmpty());
    return ids;
  }

  private void report(Ledger ledger, long nanos) {
    Map<String, Integer> methods = new TreeMap<>();
    ledger.answered(0).forEach(entry -> methods.merge(entry.method(), 1, Integer::sum));
    System.out.println("answered, by method: " + methods);
    System.out.printf(
        "%d kills (%d of them at a commit or rename), %d clients, %d answered, %d attempts lost,"
            + " %d answers compared, %d orphans, %d violations; %d s%n",
        KILLS,
        halts.get(),
        WRITERS,
        ledger.count(),
        ledger.unanswered(),
        compared.get(),
        orphans,
        violations.size(),
        TimeUnit.NANOSECONDS.toSeconds(nanos));
    violations.forEach(violation -> System.out.println("violation: " + violation));
  }
}
