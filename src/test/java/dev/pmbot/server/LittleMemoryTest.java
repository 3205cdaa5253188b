package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.pmbot.artifact.Uploads;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Failures;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.DownloadArtifactResponse;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server with a heap of 96 MiB, which ends at the first time that it does not suffice. */
final class LittleMemoryTest {
  private static final int MEBIBYTE = 1 << 20;

  /**
   * All artifacts together, each way: {@code -Dpmbot.limits.artifact.mebibytes=5120} for the whole.
   */
  private static final int ARTIFACT_MEBIBYTES =
      Integer.getInteger("pmbot.limits.artifact.mebibytes", 256);

  private static final int AT_ONCE = 4;
  private static final int CLIENTS = 16;
  private static final Set<String> FULL = Set.of("QUEUE_FULL", "TOO_MANY_OPEN");

  @TempDir Path folder;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private ConfinedServer server;
  private Client client;
  private String workspaceId;

  @BeforeEach
  void serve() {
    server =
        ConfinedServer.start(
            folder.resolve("data"), "-Xmx96m", "-XX:+ExitOnOutOfMemoryError", "-XX:+UseSerialGC");
    client = server.as(Role.OPERATOR);
    workspaceId =
        client
            .workspaces()
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("little").build())
            .getWorkspace()
            .getWorkspaceId();
  }

  @AfterEach
  void stop() {
    threads.shutdownNow();
    server.close();
  }

  private CreateRunRequest.Builder newRun() {
    return CreateRunRequest.newBuilder()
        .setWorkspaceId(workspaceId)
        .setGoal("much")
        .setGraphId("graph/v1");
  }

  /** Content that is made while it is sent, and its digest. */
  private static final class Sent {
    private final Random random;
    private final MessageDigest digest;

    Sent(int seed) {
      random = new Random(seed);
      try {
        digest = MessageDigest.getInstance("SHA-256");
      } catch (NoSuchAlgorithmException impossible) {
        throw new IllegalStateException(impossible);
      }
    }

    ByteString next() {
      byte[] bytes = new byte[MEBIBYTE];
      random.nextBytes(bytes);
      digest.update(bytes);
      return UnsafeByteOperations.unsafeWrap(bytes);
    }

    String hash() {
      return HexFormat.of().formatHex(digest.digest());
    }
  }

  private Artifact upload(String runId, int number, int mebibytes) throws Exception {
    Sent sent = new Sent(number);
    Artifact artifact =
        Uploads.flowing(
                server.connect(Role.OPERATOR).channel(),
                ArtifactHeader.newBuilder()
                    .setRunId(runId)
                    .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                    .setName("part-" + number)
                    .build(),
                mebibytes,
                chunk -> sent.next())
            .get(Await.PATIENCE.toSeconds() + mebibytes, TimeUnit.SECONDS);
    assertEquals(sent.hash(), artifact.getHash());
    assertEquals((long) mebibytes * MEBIBYTE, artifact.getSizeBytes());
    return artifact;
  }

  private Artifact download(Artifact artifact) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    Iterator<DownloadArtifactResponse> messages =
        ArtifactServiceGrpc.newBlockingStub(server.connect(Role.READER).channel())
            .withDeadlineAfter(
                Await.PATIENCE.toSeconds() + artifact.getSizeBytes() / MEBIBYTE, TimeUnit.SECONDS)
            .downloadArtifact(
                DownloadArtifactRequest.newBuilder()
                    .setArtifactId(artifact.getArtifactId())
                    .build());
    long size = 0;
    while (messages.hasNext()) {
      ByteString chunk = messages.next().getChunk();
      size += chunk.size();
      digest.update(chunk.asReadOnlyByteBuffer());
    }
    assertEquals(artifact.getHash(), HexFormat.of().formatHex(digest.digest()));
    assertEquals(artifact.getSizeBytes(), size);
    return artifact;
  }

  private List<Callable<Artifact>> uploads(String runId, int first, int mebibytes) {
    return IntStream.range(first, first + AT_ONCE)
        .mapToObj(number -> (Callable<Artifact>) () -> upload(runId, number, mebibytes))
        .toList();
  }

  private List<Callable<Artifact>> downloads(List<Artifact> artifacts) {
    return artifacts.stream()
        .map(artifact -> (Callable<Artifact>) () -> download(artifact))
        .toList();
  }

  /** Does all of it at once. */
  private List<Artifact> together(List<Callable<Artifact>> tasks) throws Exception {
    List<Artifact> done = new ArrayList<>();
    for (Future<Artifact> one : threads.invokeAll(tasks)) {
      done.add(one.get());
    }
    return done;
  }

  @Test
  void artifactsManyTimesAsLargeGoUpAndDownAtOnce() throws Exception {
    final String runId = client.runs().createRun(newRun().build()).getRun().getRunId();
    final long begin = System.nanoTime();
    int each = ARTIFACT_MEBIBYTES / (2 * AT_ONCE);
    List<Artifact> artifacts = new ArrayList<>(together(uploads(runId, 0, each)));
    List<Callable<Artifact>> both = new ArrayList<>(uploads(runId, AT_ONCE, each));
    both.addAll(downloads(artifacts));
    artifacts = together(both).subList(0, AT_ONCE);
    together(downloads(artifacts));
    long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - begin);
    if (Integer.getInteger("pmbot.limits.artifact.mebibytes") != null) {
      System.out.println(
          "artifacts of "
              + 2 * AT_ONCE * each
              + " MiB up and down, half of them at the same time, in "
              + seconds
              + " s; at its largest the process had "
              + server.mebibytes("VmHWM")
              + " MiB");
    }
    assertTrue(server.child().process().isAlive(), () -> server.child().errors().toString());
    assertEquals(List.of(), server.loggedSinceItServes());
  }

  /** Creates a run of a mebibyte, however often that takes, and keeps account of the refusals. */
  private String createLarge(Client from, int number, Map<String, AtomicInteger> refusals) {
    // Nothing but small values: the most that JSON of this size can become once it is read.
    String spec = "{\"input\":[" + "1,".repeat(MEBIBYTE / 2 - 100) + number + "]}";
    CreateRunRequest request =
        newRun().setAgentRunSpecJson(spec).setRequestId(UUID.randomUUID().toString()).build();
    long deadline = System.nanoTime() + 4 * Await.PATIENCE.toNanos();
    while (System.nanoTime() < deadline) {
      try {
        return from.runs().createRun(request).getRun().getRunId();
      } catch (StatusRuntimeException refused) {
        Failures.Refusal refusal = Failures.read(refused);
        refusals
            .computeIfAbsent(refusal.reason(), ignored -> new AtomicInteger())
            .incrementAndGet();
        assertTrue(refusal.retryAfter().isPresent(), refusal.toString());
        assertEquals(
            FULL.contains(refusal.reason())
                ? Status.Code.RESOURCE_EXHAUSTED
                : Status.Code.UNAVAILABLE,
            refusal.code(),
            refusal.toString());
        pause(refusal.retryAfter().get().toMillis());
      }
    }
    throw new AssertionError("refused for too long: " + refusals);
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new AssertionError(interrupted);
    }
  }

  @Test
  void largeRequestsThatWaitForTheWriterAreBoundedByTheirSize() throws Exception {
    Map<String, AtomicInteger> refusals = new ConcurrentHashMap<>();
    List<Future<String>> created = new ArrayList<>();
    try (Connection other = DriverManager.getConnection("jdbc:sqlite:" + server.database());
        Statement statement = other.createStatement()) {
      // As a foreign tool would: while it has the lock, the server's writer waits.
      statement.execute("BEGIN IMMEDIATE");
      for (int number = 0; number < CLIENTS; number++) {
        int which = number;
        Client from = server.connect(Role.OPERATOR);
        created.add(threads.submit(() -> createLarge(from, which, refusals)));
      }
      Await.until(
          "the queue is full by size",
          () -> {
            assertTrue(
                server.child().process().isAlive(), () -> server.child().errors().toString());
            return refusals.getOrDefault("QUEUE_FULL", new AtomicInteger()).get() > CLIENTS;
          });
      // Reads go on meanwhile.
      client.runs().listRuns(ListRunsRequest.newBuilder().setWorkspaceId(workspaceId).build());
      statement.execute("ROLLBACK");
    }
    for (Future<String> one : created) {
      String runId = one.get(8 * Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      assertTrue(
          client
                  .runs()
                  .getRun(GetRunRequest.newBuilder().setRunId(runId).build())
                  .getRun()
                  .getAgentRunSpecJson()
                  .length()
              > MEBIBYTE / 2);
    }
    assertTrue(
        client
            .audit()
            .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build())
            .getValid());
    assertEquals(List.of(), server.logged(" ERROR "));
  }
}
