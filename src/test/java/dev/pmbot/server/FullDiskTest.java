package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.pmbot.artifact.Uploads;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.ChildJvm;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.v1.VerifyChainResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A disk without room: a small file system where one can be mounted, and everywhere a limit on the
 * size of files. Under load, while it is full and when there is room again.
 */
final class FullDiskTest {
  private static final int MEBIBYTE = 1 << 20;
  private static final int WRITERS = 8;
  private static final int ENOUGH_REFUSALS = 200;
  private static final int ENDED_BY_SIGTERM = 143;

  /** What a mutation may be told while there is no room. */
  private static final Set<String> TOLD = Set.of("DISK_FULL", "OUTCOME_UNKNOWN");

  @TempDir Path folder;
  private @Nullable Path mounted;

  @AfterEach
  void unmount() {
    if (mounted != null) {
      ConfinedServer.run("umount", mounted.toString());
    }
  }

  /** Mounts a small file system, or skips the test. */
  private Path smallDisk(int mebibytes) throws IOException {
    Path disk = Files.createDirectory(folder.resolve("disk"));
    ConfinedServer.Ended ended =
        ConfinedServer.tryRun(
            "mount", "-t", "tmpfs", "-o", "size=" + mebibytes + "m", "tmpfs", disk.toString());
    assumeTrue(ended.code() == 0, () -> "no file system can be mounted: " + ended.output());
    mounted = disk;
    return disk;
  }

  private static void fill(Path file, int mebibytes) throws IOException {
    try (OutputStream ballast = Files.newOutputStream(file)) {
      byte[] bytes = new byte[MEBIBYTE];
      for (int count = 0; count < mebibytes; count++) {
        ballast.write(bytes);
      }
    }
  }

  /** Writes what is there is room for, to the last byte. */
  private static void fillUp(Path file) throws IOException {
    byte[] bytes = new byte[4096];
    try (OutputStream ballast = Files.newOutputStream(file)) {
      assertThrows(
          IOException.class,
          () -> {
            while (true) {
              ballast.write(bytes);
            }
          });
    }
  }

  /** Clients that go on creating runs whatever they are told, and keep account of it. */
  private static final class Load implements AutoCloseable {
    private final Map<String, String> goals = new ConcurrentHashMap<>();
    private final Map<String, AtomicInteger> refusals = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<Throwable> strange = new ConcurrentLinkedQueue<>();
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean over;

    Load(ConfinedServer server, String workspaceId) {
      for (int count = 0; count < WRITERS; count++) {
        Client client = server.connect(Role.OPERATOR);
        Random random = new Random(count);
        Thread thread = new Thread(() -> write(client, workspaceId, random));
        threads.add(thread);
        thread.start();
      }
    }

    private void write(Client client, String workspaceId, Random random) {
      while (!over) {
        String goal = UUID.randomUUID().toString();
        try {
          Run run =
              client
                  .runs()
                  .createRun(newRun(workspaceId, goal, random.nextInt(20_000)).build())
                  .getRun();
          goals.put(run.getRunId(), goal);
        } catch (StatusRuntimeException refused) {
          try {
            count(Failures.read(refused).reason());
          } catch (AssertionError unexplained) {
            strange.add(unexplained);
          }
        }
      }
    }

    private void count(String reason) {
      refusals.computeIfAbsent(reason, ignored -> new AtomicInteger()).incrementAndGet();
    }

    int refused() {
      return refusals.values().stream().mapToInt(AtomicInteger::get).sum();
    }

    int refused(String reason) {
      return refusals.getOrDefault(reason, new AtomicInteger()).get();
    }

    /** What was acknowledged: goals by the ids of their runs. */
    Map<String, String> acknowledged() {
      return goals;
    }

    @Override
    public void close() throws InterruptedException {
      over = true;
      for (Thread thread : threads) {
        thread.join(2 * Await.PATIENCE.toMillis());
        assertFalse(thread.isAlive(), "a call hangs");
      }
      assertEquals(List.of(), List.copyOf(strange));
      assertTrue(TOLD.containsAll(refusals.keySet()), refusals.toString());
    }
  }

  private static CreateRunRequest.Builder newRun(String workspaceId, String goal, int padding) {
    return CreateRunRequest.newBuilder()
        .setWorkspaceId(workspaceId)
        .setGoal(goal)
        .setGraphId("graph/v1")
        .setAgentRunSpecJson("{\"input\":\"" + "x".repeat(padding) + "\"}");
  }

  private static String workspace(Client client) {
    return client
        .workspaces()
        .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("small").build())
        .getWorkspace()
        .getWorkspaceId();
  }

  private static Artifact upload(Client client, String runId, String name, byte[] content)
      throws Throwable {
    return Uploads.upload(
        client,
        ArtifactHeader.newBuilder()
            .setRunId(runId)
            .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
            .setName(name)
            .build(),
        content);
  }

  private static byte[] content(int mebibytes) {
    byte[] content = new byte[mebibytes * MEBIBYTE];
    new Random(mebibytes).nextBytes(content);
    return content;
  }

  private static List<Path> filesBelow(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).toList();
    }
  }

  private static void assertReadsGoOn(Client client, String workspaceId, Load load) {
    load.acknowledged().entrySet().stream()
        .limit(20)
        .forEach(
            entry ->
                assertEquals(
                    entry.getValue(),
                    client
                        .runs()
                        .getRun(GetRunRequest.newBuilder().setRunId(entry.getKey()).build())
                        .getRun()
                        .getGoal()));
    assertFalse(
        client
            .runs()
            .listRuns(ListRunsRequest.newBuilder().setWorkspaceId(workspaceId).build())
            .getRunsList()
            .isEmpty());
    assertEquals(
        ServingStatus.SERVING,
        HealthGrpc.newBlockingStub(client.managed())
            .check(HealthCheckRequest.getDefaultInstance())
            .getStatus());
  }

  /** Everything acknowledged is there, and nothing of which it was said that it is not. */
  private static void assertNothingLost(Client client, String workspaceId, Load load) {
    load.acknowledged()
        .forEach(
            (runId, goal) ->
                assertEquals(
                    goal,
                    client
                        .runs()
                        .getRun(GetRunRequest.newBuilder().setRunId(runId).build())
                        .getRun()
                        .getGoal()));
    VerifyChainResponse chain =
        client
            .audit()
            .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build());
    assertTrue(chain.getValid(), chain.toString());
  }

  private static long created(Client client, String workspaceId) {
    Recording<TailEventsResponse> tail =
        Recording.of(
            client.channel(),
            AuditServiceGrpc.getTailEventsMethod(),
            TailEventsRequest.newBuilder()
                .setFilter(EventFilter.newBuilder().setWorkspaceId(workspaceId))
                .setFromBeginning(true)
                .build());
    try (tail) {
      return tail
          .await("in step", all -> all.stream().anyMatch(TailEventsResponse::hasSynced))
          .stream()
          .flatMap(message -> message.getTransaction().getEventsList().stream())
          .filter(event -> event.getType().equals("run.created"))
          .count();
    }
  }

  @Test
  void whatAFullDiskRefusesIsToldAndServiceResumesWhenThereIsRoom() throws Throwable {
    Path disk = smallDisk(32);
    fill(disk.resolve("ballast"), 14);
    try (ConfinedServer server = ConfinedServer.start(disk.resolve("data"))) {
      Client client = server.as(Role.OPERATOR);
      String workspaceId = workspace(client);
      String runId =
          client.runs().createRun(newRun(workspaceId, "holds", 0).build()).getRun().getRunId();
      CreateRunRequest again =
          newRun(workspaceId, "again and again", MEBIBYTE / 2)
              .setRequestId(UUID.randomUUID().toString())
              .build();
      Load load = new Load(server, workspaceId);
      try (load) {
        Await.until("the disk is full", () -> load.refused() >= ENOUGH_REFUSALS);
        assertReadsGoOn(client, workspaceId, load);
        assertTrue(
            TOLD.contains(Failures.of(() -> client.runs().createRun(again)).reason()),
            "there was no room for it");
        // More than there can be room for.
        byte[] large = content(16);
        for (int number = 0; number < 3; number++) {
          String name = "large-" + number;
          Failures.Refusal refusal =
              Failures.read(
                  assertInstanceOf(
                      StatusRuntimeException.class,
                      assertThrows(Throwable.class, () -> upload(client, runId, name, large))));
          assertEquals("DISK_FULL", refusal.reason());
        }
        Path artifacts = server.dataDirectory().resolve("artifacts");
        Await.until(
            "nothing is left of what was refused",
            () -> {
              try {
                return filesBelow(artifacts).isEmpty();
              } catch (IOException walkedUnderIt) {
                return false;
              }
            });
      }
      assertTrue(load.refused("DISK_FULL") > 0, load.refusals.toString());

      Files.delete(disk.resolve("ballast"));
      Await.until(
          "it stores again",
          () -> {
            try {
              return client.runs().createRun(again).hasRun();
            } catch (StatusRuntimeException notYet) {
              assertTrue(TOLD.contains(Failures.read(notYet).reason()), notYet.toString());
              return false;
            }
          });
      byte[] small = content(1);
      assertEquals(Uploads.sha256(small), upload(client, runId, "small", small).getHash());
      assertNothingLost(client, workspaceId, load);
      // What was told DISK_FULL is not there; what was told nothing for certain may be.
      long created = created(client, workspaceId);
      int told = load.acknowledged().size() + 2;
      assertTrue(
          told <= created && created <= told + load.refused("OUTCOME_UNKNOWN"),
          created + " were created, " + told + " told, " + load.refusals);
      // Of thousands of refusals it has told once, and of the end of it.
      assertFalse(server.logged("COMMIT failed").isEmpty(), "a commit itself was to meet it");
      assertEquals(List.of(), server.logged("\tat "));
      assertTrue(server.child().errors().size() <= 10, server.child().errors().toString());
      assertTrue(server.logged(" ERROR ").isEmpty(), server.child().errors().toString());

      server.disconnect();
      assertEquals(ENDED_BY_SIGTERM, server.stop());
      try (ConfinedServer next = ConfinedServer.start(disk.resolve("data"))) {
        assertNothingLost(next.as(Role.OPERATOR), workspaceId, load);
      }
    }
  }

  @Test
  void aServerThatIsKilledOnAFullDiskLosesNothing() throws Exception {
    Path disk = smallDisk(28);
    fill(disk.resolve("ballast"), 14);
    Path data = disk.resolve("data");
    Load load;
    String workspaceId;
    try (ConfinedServer server = ConfinedServer.start(data)) {
      workspaceId = workspace(server.as(Role.OPERATOR));
      load = new Load(server, workspaceId);
      Await.until("the disk is full", () -> load.refused() >= ENOUGH_REFUSALS);
      load.close();
      fillUp(disk.resolve("more"));
      server.kill();
    }
    try (ChildJvm child = ConfinedServer.launch("", data)) {
      assertEquals(1, child.awaitExit());
      assertEquals(1, child.errors().size(), child.errors().toString());
      String said = child.errors().get(0);
      assertTrue(said.startsWith("pmbot: " + data), said);
      assertTrue(said.contains("on a disk that is full"), said);
    }
    Files.delete(disk.resolve("ballast"));
    Files.delete(disk.resolve("more"));
    try (ConfinedServer server = ConfinedServer.start(data)) {
      Client client = server.as(Role.OPERATOR);
      assertNothingLost(client, workspaceId, load);
      client.runs().createRun(newRun(workspaceId, "room again", 1000).build());
    }
  }

  @Test
  void aLimitOnTheSizeOfFilesIsToldAndServiceResumesWithoutIt() throws Throwable {
    assumeTrue(
        ConfinedServer.tryRun("prlimit", "--version").code() == 0,
        "there is no prlimit, which gives a running process another limit");
    try (ConfinedServer server = ConfinedServer.start(folder.resolve("data"))) {
      Client client = server.as(Role.OPERATOR);
      String workspaceId = workspace(client);
      String runId =
          client.runs().createRun(newRun(workspaceId, "holds", 0).build()).getRun().getRunId();
      Load load = new Load(server, workspaceId);
      try (load) {
        server.limit("--fsize=" + 3 * MEBIBYTE + ":unlimited");
        Await.until("files may not grow", () -> load.refused() >= ENOUGH_REFUSALS);
        assertReadsGoOn(client, workspaceId, load);
        byte[] large = content(4);
        Failures.Refusal refusal =
            Failures.read(
                assertInstanceOf(
                    StatusRuntimeException.class,
                    assertThrows(Throwable.class, () -> upload(client, runId, "large", large))));
        assertEquals("DISK_FULL", refusal.reason());
        Await.until(
            "nothing is left of it",
            () -> {
              try {
                return filesBelow(server.dataDirectory().resolve("artifacts")).isEmpty();
              } catch (IOException walkedUnderIt) {
                return false;
              }
            });
        int acknowledged = load.acknowledged().size();
        server.limit("--fsize=unlimited");
        Await.until("it stores again", () -> load.acknowledged().size() > acknowledged);
      }
      byte[] large = content(4);
      assertEquals(Uploads.sha256(large), upload(client, runId, "large", large).getHash());
      assertNothingLost(client, workspaceId, load);
      // One stack trace at most for each kind of failure, however many groups met it.
      assertTrue(server.logged(" WARN ").size() <= 6, server.child().errors().toString());
      assertTrue(server.logged(" ERROR ").isEmpty(), server.child().errors().toString());
    }
  }
}
