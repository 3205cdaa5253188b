package dev.pmbot.run;

import static dev.pmbot.run.Worker.order;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.Duration;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many runs and many workers at once: each run gets to one of them, and a worker who waits is woken
 * for work that is its own, and for nothing else.
 *
 * <p>Small as part of the build; at the size that {@code src/docs/endurance.md} records:
 *
 * <pre>{@code
 * mvn -q -ntp test -Dtest=ManyClaimsTest -Dpmbot.runs=10000
 * }</pre>
 */
@SuppressWarnings("NullAway.Init") // Set before each test.
final class ManyClaimsTest {
  private static final int RUNS = Integer.getInteger("pmbot.runs", 640);
  private static final int WORKERS = 64;
  private static final int OPERATORS = 8;
  private static final int PATIENCE_MINUTES = 10;

  @TempDir Path folder;

  private final Units units = new Units();
  private TestServer server;
  private Scenario scenario;
  private Workspace workspace;
  private Worker worker;

  /** Counts the units of work that are carried out: the writer asks for the time once for each. */
  private static final class Units extends TestTime {
    private final AtomicLong count = new AtomicLong();

    @Override
    public long nowMicros() {
      String asking =
          StackWalker.getInstance()
              .walk(frames -> frames.skip(1).findFirst())
              .map(StackWalker.StackFrame::getClassName)
              .orElse("");
      if (asking.equals("dev.pmbot.store.GroupCommitWriter")) {
        count.incrementAndGet();
      }
      return super.nowMicros();
    }

    long get() {
      return count.get();
    }
  }

  @BeforeEach
  void start() {
    server = TestServer.in(folder, units);
    scenario = new Scenario(server);
    workspace = scenario.workspace();
    worker = new Worker(server.as(Role.WORKER));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private CreateRunResponse propose(Workspace in, String graphId) {
    return server
        .as(Role.OPERATOR)
        .runs()
        .createRun(scenario.newRun(in).setGraphId(graphId).build());
  }

  private ListenableFuture<ClaimRunsResponse> claim(ClaimRunsRequest order) {
    // No deadline of its own: a waiting claim ends by itself.
    return RunServiceGrpc.newFutureStub(server.as(Role.WORKER).channel())
        .withDeadlineAfter(2, TimeUnit.MINUTES)
        .claimRuns(order);
  }

  private ListenableFuture<ClaimRunsResponse> waiting(ClaimRunsRequest.Builder order) {
    return claim(order.setWait(Duration.newBuilder().setSeconds(60)).build());
  }

  // Every run once.

  /** Which worker holds each run, by its lease, and how often it was told so in vain. */
  private final Map<String, String> leases = new ConcurrentHashMap<>();

  private final AtomicInteger started = new AtomicInteger();
  private final AtomicInteger lost = new AtomicInteger();
  private final AtomicInteger lostAndDone = new AtomicInteger();

  @Test
  void everyRunIsStartedOnceAlsoWhereAnswersAreLost() throws Exception {
    long begin = System.nanoTime();
    ExecutorService threads = Executors.newCachedThreadPool();
    try {
      List<Future<?>> all = new ArrayList<>();
      for (int count = 0; count < WORKERS; count++) {
        int number = count;
        all.add(threads.submit(() -> work(number)));
      }
      for (int count = 0; count < OPERATORS; count++) {
        int mine = RUNS / OPERATORS + (count < RUNS % OPERATORS ? 1 : 0);
        all.add(
            threads.submit(
                () -> {
                  for (int run = 0; run < mine; run++) {
                    scenario.approve(propose(workspace, "g").getApproval());
                  }
                  return true;
                }));
      }
      for (Future<?> one : all) {
        one.get(PATIENCE_MINUTES, TimeUnit.MINUTES);
      }
    } finally {
      threads.shutdownNow();
    }
    List<String> types = scenario.eventTypes(workspace.getWorkspaceId());
    System.out.printf(
        "%d runs, %d workers; %d answers lost, %d of them of claims that had been carried out;"
            + " %d started; %d s%n",
        RUNS,
        WORKERS,
        lost.get(),
        lostAndDone.get(),
        started.get(),
        TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - begin));
    assertEquals(RUNS, leases.size());
    assertEquals(RUNS, Collections.frequency(types, "run.claimed"), "a run had two leases");
    assertEquals(RUNS, Collections.frequency(types, "run.started"));
    assertTrue(lost.get() > 0, "no answer was lost");
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  private boolean work(int number) throws Exception {
    Random random = new Random(number);
    while (started.get() < RUNS) {
      ClaimRunsRequest order =
          order("g")
              .setWorkerId("w" + number)
              .setMaxRuns(1 + random.nextInt(3))
              .setRequestId(Scenario.requestId())
              .setWait(Duration.newBuilder().setSeconds(1))
              .build();
      for (ClaimedRun claimed : claimForCertain(order, random)) {
        String runId = claimed.getRun().getRunId();
        String other = leases.putIfAbsent(runId, claimed.getLeaseToken());
        assertEquals(null, other, "run " + runId + " was handed out twice");
        worker.start(claimed, "thread-" + runId);
        started.incrementAndGet();
      }
    }
    return true;
  }

  /** Claims as a worker does whose answers get lost: again, with the same request. */
  private List<ClaimedRun> claimForCertain(ClaimRunsRequest order, Random random) throws Exception {
    while (random.nextInt(4) == 0) {
      ListenableFuture<ClaimRunsResponse> call = claim(order);
      switch (random.nextInt(3)) {
        case 0 -> Thread.sleep(random.nextInt(20)); // Gone, wherever it is.
        case 1 -> Thread.yield(); // Gone before it has come anywhere.
        default -> {
          call.get(2, TimeUnit.MINUTES); // Carried out, and the answer lost on its way.
          lostAndDone.incrementAndGet();
        }
      }
      call.cancel(true);
      lost.incrementAndGet();
    }
    return claim(order).get(2, TimeUnit.MINUTES).getClaimedRunsList();
  }

  // Waking.

  private List<CreateRunResponse> proposals(Workspace in, String graphId, int count) {
    return IntStream.range(0, count).mapToObj(i -> propose(in, graphId)).toList();
  }

  /** Opens claims that wait, one after the other, each after the last has looked. */
  private List<ListenableFuture<ClaimRunsResponse>> waitInOrder(
      List<ClaimRunsRequest.Builder> orders) {
    List<ListenableFuture<ClaimRunsResponse>> claims = new ArrayList<>();
    for (ClaimRunsRequest.Builder order : orders) {
      long before = units.get();
      claims.add(waiting(order));
      Await.until("it has looked", () -> units.get() > before);
    }
    return claims;
  }

  private static List<Integer> done(List<ListenableFuture<ClaimRunsResponse>> claims) {
    return IntStream.range(0, claims.size()).filter(i -> claims.get(i).isDone()).boxed().toList();
  }

  @Test
  void aYesWakesTheOneWhoWaitsLongestForIt() {
    Workspace other = scenario.workspace();
    List<CreateRunResponse> ofG = proposals(workspace, "g", 3);
    List<CreateRunResponse> ofH = proposals(workspace, "h", 2);
    List<CreateRunResponse> elsewhere = proposals(other, "g", 2);
    CreateRunResponse forNobody = propose(workspace, "nobody");
    List<ListenableFuture<ClaimRunsResponse>> claims =
        waitInOrder(
            List.of(
                order("h"), // 0
                order("g").setWorkspaceId(other.getWorkspaceId()), // 1
                order("g").setWorkspaceId(workspace.getWorkspaceId()), // 2
                order("g", "h"), // 3
                order("g"), // 4
                order("x", "y", "z"), // 5
                order("g"))); // 6
    // Each run with the claim that must get it.
    Map<Integer, CreateRunResponse> expected =
        Map.of(
            0, ofH.get(0), 1, elsewhere.get(0), 2, ofG.get(0), 3, ofG.get(1), 4, elsewhere.get(1));
    List<Integer> order = List.of(2, 1, 3, 0, 4);
    List<Integer> served = new ArrayList<>();
    for (int next : order) {
      CreateRunResponse run = Objects.requireNonNull(expected.get(next));
      long before = units.get();
      scenario.approve(run.getApproval());
      ClaimRunsResponse claimed = Await.value("claim " + next, claims.get(next));
      assertEquals(
          List.of(run.getRun().getRunId()),
          claimed.getClaimedRunsList().stream().map(one -> one.getRun().getRunId()).toList());
      served.add(next);
      // A write behind all that the yes can have woken: it, the yes, and the one who was served.
      scenario.workspace();
      assertEquals(3, units.get() - before, "somebody was woken in vain");
      assertEquals(served.stream().sorted().toList(), done(claims));
    }
    long before = units.get();
    scenario.approve(forNobody.getApproval());
    scenario.workspace();
    assertEquals(2, units.get() - before, "somebody was woken for what is nobody's");
    assertEquals(5, done(claims).size());
    assertEquals(List.of(), worker.claim(order("h", "g")));
  }

  @Test
  void aThousandMayWaitAndOneMoreIsTold() {
    int most = 1_000;
    List<ListenableFuture<ClaimRunsResponse>> claims = new ArrayList<>();
    long before = units.get();
    for (int count = 0; count < most; count++) {
      claims.add(waiting(order("g").setWorkerId("w" + count)));
    }
    Await.until("all have looked", () -> units.get() - before >= most);
    assertEquals(List.of(), done(claims));
    ClaimRunsRequest.Builder oneMore =
        order("g").setWait(Duration.newBuilder().setSeconds(20)).setWorkerId("one-more");
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_TOO_MANY_OPEN, () -> worker.claim(oneMore));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, refusal.code());
    assertTrue(refusal.message().startsWith(most + " claims wait"), refusal.message());
    assertTrue(refusal.retryAfter().isPresent());
    assertEquals(List.of(), worker.claim("g"), "a claim that does not wait is served");

    // One yes wakes one of the thousand.
    CreateRunResponse run = propose(workspace, "g");
    long beforeTheYes = units.get();
    scenario.approve(run.getApproval());
    Await.until("one is served", () -> !done(claims).isEmpty());
    scenario.workspace();
    assertEquals(3, units.get() - beforeTheYes, "somebody was woken in vain");
    assertEquals(1, done(claims).size());

    // Whoever was served makes room, and whoever goes away does.
    ListenableFuture<ClaimRunsResponse> admitted = waiting(oneMore);
    Await.until("it waits", () -> units.get() - beforeTheYes > 3);
    Failures.of(Reason.REASON_TOO_MANY_OPEN, () -> worker.claim(oneMore));
    ListenableFuture<ClaimRunsResponse> leaver =
        claims.stream().filter(claim -> !claim.isDone()).findFirst().orElseThrow();
    leaver.cancel(true);
    Await.until("there is room again", () -> admits(oneMore));
    assertFalse(admitted.isDone());
  }

  private boolean admits(ClaimRunsRequest.Builder order) {
    try {
      worker.claim(order.setWait(Duration.newBuilder().setNanos(1_000_000)));
      return true;
    } catch (StatusRuntimeException full) {
      return false;
    }
  }
}
