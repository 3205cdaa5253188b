package dev.pmbot.feed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Logs;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.wire.Principal.Role;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Clients that open a stream and never read it, while the server writes far more than it has memory
 * for: what such a client costs does not grow with what it has not read.
 *
 * <p>Small as part of the build; at the size that {@code src/docs/endurance.md} records:
 *
 * <pre>{@code
 * mvn -q -ntp test -Dtest=UnreadStreamsTest -Dpmbot.events=200000 -Dpmbot.large=100 \
 *   -DargLine=-Xmx4g
 * }</pre>
 */
@SuppressWarnings("NullAway.Init") // Set in the test.
final class UnreadStreamsTest {
  private static final int STREAMS = Integer.getInteger("pmbot.streams", 60);
  private static final int EVENTS = Integer.getInteger("pmbot.events", 1_500);
  private static final int LARGE = Integer.getInteger("pmbot.large", 14);
  private static final int WRITERS = 8;
  private static final int LARGE_TITLE = 700_000;
  private static final int QUESTIONS = 5;
  private static final long MOST_GROWTH = 16L << 20;
  private static final Pattern USED_HEAP =
      Pattern.compile("(?:def new generation|tenured generation)\\s+total \\d+K, used (\\d+)K");

  @TempDir Path folder;

  private final ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
  private ConfinedServer life;
  private Client operator;
  private String workspaceId;
  private ClaimedRun claimed;

  @Test
  void whatNobodyReadsCostsNoMemory() throws Exception {
    long begin = System.nanoTime();
    try (ConfinedServer server =
        ConfinedServer.start(
            folder.resolve("data"),
            "-XX:+UseSerialGC",
            "-Xmx128m",
            "-XX:MaxDirectMemorySize=128m",
            "-XX:+ExitOnOutOfMemoryError")) {
      life = server;
      operator = life.as(Role.OPERATOR);
      workspaceId =
          operator
              .workspaces()
              .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("w").build())
              .getWorkspace()
              .getWorkspaceId();
      claim();
      // Everything has been used once before the heap is measured.
      flood(500);
      raise();
      Logs.events(operator, workspaceId);
      long without = usedHeapBytes();
      List<Recording<?>> unread = new ArrayList<>();
      for (int count = 0; count < STREAMS; count++) {
        unread.add(open(count));
      }
      for (Recording<?> stream : unread) {
        Await.until("the stream stands", stream::hasHeaders);
      }
      long before = usedHeapBytes();
      flood(EVENTS);
      for (int count = 0; count < LARGE; count++) {
        raise();
      }
      // What is being read for a stream that is about to find its client not ready goes by itself.
      long[] now = {0};
      Await.until(
          "the heap is about what it was without them",
          () -> {
            now[0] = usedHeapBytes();
            return now[0] - without < MOST_GROWTH;
          });
      long after = now[0];
      List<AuditEvent> log = Logs.events(operator, workspaceId);
      long bytes = log.stream().mapToLong(AuditEvent::getSerializedSize).sum();
      System.out.printf(
          "%d streams that nobody reads, %d events of %d MiB; heap %.1f MiB without them,"
              + " %.1f MiB with them and %.1f MiB when all was written; %d s%n",
          STREAMS,
          log.size(),
          bytes >> 20,
          without / 1048576.0,
          before / 1048576.0,
          after / 1048576.0,
          TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - begin));
      assertTrue(bytes > 3 * MOST_GROWTH, "the log is too small to tell");
      assertReadsAll(unread.get(0), log);
      List<String> errors =
          life.child().errors().stream().filter(line -> !line.contains(" INFO ")).toList();
      assertEquals(List.of(), errors);
    } finally {
      threads.shutdownNow();
    }
  }

  /** The heap that is in use once everything that nobody holds was thrown away, in bytes. */
  private long usedHeapBytes() {
    String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    String pid = Long.toString(life.child().process().pid());
    ConfinedServer.run(jcmd, pid, "GC.run");
    Matcher used = USED_HEAP.matcher(ConfinedServer.run(jcmd, pid, "GC.heap_info"));
    long kibibytes = 0;
    while (used.find()) {
      kibibytes += Long.parseLong(used.group(1));
    }
    assertTrue(kibibytes > 0, "no heap");
    return kibibytes << 10;
  }

  private void claim() {
    CreateRunResponse proposed = create("claimed");
    operator
        .approvals()
        .resolveApproval(
            ResolveApprovalRequest.newBuilder()
                .setApprovalId(proposed.getApproval().getApprovalId())
                .setPayloadHash(proposed.getApproval().getPayloadHash())
                .setStatus(ApprovalStatus.APPROVAL_STATUS_APPROVED)
                .build());
    claimed =
        operator
            .runs()
            .claimRuns(
                ClaimRunsRequest.newBuilder().setWorkerId("w").addGraphIds("claimed").build())
            .getClaimedRuns(0);
    operator
        .runs()
        .startRun(
            StartRunRequest.newBuilder()
                .setRunId(claimed.getRun().getRunId())
                .setLeaseToken(claimed.getLeaseToken())
                .setThreadId("thread")
                .build());
  }

  private CreateRunResponse create(String graphId) {
    return operator
        .runs()
        .createRun(
            CreateRunRequest.newBuilder()
                .setWorkspaceId(workspaceId)
                .setGoal("g".repeat(4_000))
                .setGraphId(graphId)
                .setAgentRunSpecJson("{\"execution\":{\"lease_seconds\":3600}}")
                .build());
  }

  /** Two events for each run. */
  private void flood(int events) throws Exception {
    List<Future<?>> writers = new ArrayList<>();
    for (int count = 0; count < WRITERS; count++) {
      writers.add(
          threads.submit(
              () -> {
                for (int run = 0; run < events / 2 / WRITERS; run++) {
                  create("flood");
                }
              }));
    }
    for (Future<?> writer : writers) {
      writer.get(30, TimeUnit.MINUTES);
    }
  }

  /** One large transaction, about the claimed run; it supersedes the last. */
  private void raise() {
    RaiseInterruptsRequest.Builder request =
        RaiseInterruptsRequest.newBuilder()
            .setRunId(claimed.getRun().getRunId())
            .setLeaseToken(claimed.getLeaseToken())
            .setThreadId("thread");
    for (int count = 0; count < QUESTIONS; count++) {
      Question question = Scenario.question(Scenario.unique("q"), "x".repeat(LARGE_TITLE));
      request.addQuestions(question);
    }
    try {
      operator.interrupts().raiseInterrupts(request.build());
    } catch (StatusRuntimeException ended) {
      throw new AssertionError(
          "alive: "
              + life.child().process().isAlive()
              + life.child().output()
              + life.child().errors(),
          ended);
    }
  }

  /** Each over a connection of its own: over one they would only wait for each other. */
  private Recording<?> open(int number) {
    Client client = life.connect(Role.OPERATOR);
    EventFilter.Builder filter = EventFilter.newBuilder();
    return switch (number % 5) {
      case 0 -> tail(client, filter.setWorkspaceId(workspaceId));
      case 1 -> tail(client, filter);
      case 2 -> tail(client, filter.setRunId(claimed.getRun().getRunId()));
      case 3 ->
          Recording.notReading(
              client.channel(),
              InboxServiceGrpc.getStreamInboxMethod(),
              StreamInboxRequest.getDefaultInstance());
      default ->
          Recording.notReading(
              client.channel(),
              InterruptServiceGrpc.getWatchDecisionsMethod(),
              WatchDecisionsRequest.newBuilder().addRunIds(claimed.getRun().getRunId()).build());
    };
  }

  private static Recording<TailEventsResponse> tail(Client client, EventFilter.Builder filter) {
    return Recording.notReading(
        client.channel(),
        AuditServiceGrpc.getTailEventsMethod(),
        TailEventsRequest.newBuilder().setFilter(filter).setFromBeginning(true).build());
  }

  /** It costs nothing, and it has lost nothing. */
  private static void assertReadsAll(Recording<?> stream, List<AuditEvent> log) {
    stream.request(Integer.MAX_VALUE);
    stream.await(
        "everything",
        messages -> {
          TailEventsResponse last =
              messages.isEmpty()
                  ? TailEventsResponse.getDefaultInstance()
                  : (TailEventsResponse) messages.get(messages.size() - 1);
          List<AuditEvent> events = last.getTransaction().getEventsList();
          return !events.isEmpty() && events.get(events.size() - 1).equals(log.get(log.size() - 1));
        });
    List<AuditEvent> told =
        stream.messages().stream()
            .flatMap(each -> ((TailEventsResponse) each).getTransaction().getEventsList().stream())
            .toList();
    assertTrue(log.equals(told), "it is not the log");
  }
}
