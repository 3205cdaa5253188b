package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.artifact.Uploads;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.DownloadArtifactResponse;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.VerifyArtifactRequest;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server that may have 256 files open, and more clients than that. */
final class FewFilesTest {
  private static final int FILES = 256;
  // Fewer are open to clients: the server, and Java with all these tests' libraries, needs some.
  private static final int FEWEST_CONNECTIONS = 20;
  private static final int FEWEST_TRANSFERS = 10;
  private static final int CLIENTS = 300;
  private static final int MEBIBYTE = 1 << 20;

  @TempDir Path folder;
  private ConfinedServer server;
  private Client client;
  private String workspaceId;

  @BeforeEach
  void serve() {
    server = ConfinedServer.startAfter("ulimit -n " + FILES, folder.resolve("data"));
    client = server.as(Role.OPERATOR);
    workspaceId =
        client
            .workspaces()
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("few").build())
            .getWorkspace()
            .getWorkspaceId();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private String createRun() {
    return client
        .runs()
        .createRun(
            CreateRunRequest.newBuilder()
                .setWorkspaceId(workspaceId)
                .setGoal("go on")
                .setGraphId("graph/v1")
                .build())
        .getRun()
        .getRunId();
  }

  private Recording<TailEventsResponse> tail(Client from) {
    return Recording.of(
        from.channel(),
        AuditServiceGrpc.getTailEventsMethod(),
        TailEventsRequest.newBuilder()
            .setFilter(EventFilter.newBuilder().setWorkspaceId(workspaceId))
            .build());
  }

  private static ArtifactHeader header(String runId, String name) {
    return ArtifactHeader.newBuilder()
        .setRunId(runId)
        .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
        .setName(name)
        .build();
  }

  private static byte[] content(int number, int size) {
    byte[] content = new byte[size];
    new Random(number).nextBytes(content);
    return content;
  }

  private byte[] download(String artifactId) {
    ByteArrayOutputStream received = new ByteArrayOutputStream();
    Iterator<DownloadArtifactResponse> messages =
        client
            .artifacts()
            .withDeadlineAfter(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)
            .downloadArtifact(
                DownloadArtifactRequest.newBuilder().setArtifactId(artifactId).build());
    while (messages.hasNext()) {
      received.writeBytes(messages.next().getChunk().toByteArray());
    }
    return received.toByteArray();
  }

  private long unfinishedUploads() {
    try (Stream<Path> files =
        Files.list(server.dataDirectory().resolve("artifacts").resolve(".incoming"))) {
      return files.count();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** Waits for a second in which it does next to nothing: whoever spins never rests. */
  private void awaitRest() {
    Duration[] before = {server.processorTime()};
    long[] since = {System.nanoTime()};
    Await.until(
        "the server rests",
        () -> {
          if (System.nanoTime() - since[0] < TimeUnit.SECONDS.toNanos(1)) {
            return false;
          }
          Duration now = server.processorTime();
          boolean rests = now.minus(before[0]).compareTo(Duration.ofMillis(100)) < 0;
          before[0] = now;
          since[0] = System.nanoTime();
          return rests;
        });
  }

  /** What a client from outside is told; null when it found its connection closed. */
  private static Failures.@Nullable Refusal refusal(Client outside) {
    StatusRuntimeException refused =
        assertThrows(
            StatusRuntimeException.class,
            () -> outside.server().getServerInfo(GetServerInfoRequest.getDefaultInstance()));
    if (refused.getStatus().getCode() == Status.Code.UNAVAILABLE) {
      return null;
    }
    return Failures.read(refused);
  }

  @Test
  void moreClientsThanFilesAreToldAndTheOthersAreServed() throws Throwable {
    String runId = createRun();
    Uploads.Begun slow = Uploads.begin(client);
    byte[] slowContent = content(1, 2 * MEBIBYTE);
    var messages = Uploads.messages(header(runId, "slow"), slowContent);
    slow.requests().onNext(messages.get(0));
    slow.requests().onNext(messages.get(1));

    List<Client> clients = new ArrayList<>();
    List<Recording<TailEventsResponse>> streams = new ArrayList<>();
    for (int number = 0; number < CLIENTS; number++) {
      Client one = server.connect(Role.READER);
      clients.add(one);
      streams.add(tail(one));
    }
    Await.until(
        "everybody has an answer",
        () -> streams.stream().allMatch(one -> one.hasHeaders() || one.hasEnded()));
    List<Recording<TailEventsResponse>> standing =
        streams.stream().filter(one -> !one.hasEnded()).toList();
    // One more is ours.
    int connections = standing.size() + 1;
    assertTrue(
        FEWEST_CONNECTIONS <= connections && connections < FILES / 2,
        connections + " connections are open");
    // Most find the connection closed, and come again at their own pace; then they are told why.
    List<Client> outside = new ArrayList<>();
    for (int number = 0; number < CLIENTS; number++) {
      if (streams.get(number).hasEnded()) {
        outside.add(clients.get(number));
        Status status = streams.get(number).awaitEnd();
        assertTrue(
            status.getCode() == Status.Code.UNAVAILABLE
                || status.getCode() == Status.Code.RESOURCE_EXHAUSTED,
            status.toString());
      }
    }
    Failures.Refusal[] told = new Failures.Refusal[1];
    Await.until("one is told why", () -> (told[0] = refusal(outside.get(0))) != null);
    assertEquals("TOO_MANY_OPEN", told[0].reason());
    assertTrue(told[0].message().contains(connections + " connections"), told[0].message());
    assertTrue(told[0].retryAfter().isPresent());

    // Those who are in are served: calls, streams, files.
    String next = createRun();
    for (Recording<TailEventsResponse> one : standing) {
      one.awaitMessage(
          "what happened meanwhile",
          message ->
              message.getTransaction().getEventsList().stream()
                  .anyMatch(event -> event.getRunId().equals(next)));
    }
    byte[] quick = content(2, 3 * MEBIBYTE);
    var stored = Uploads.upload(client, header(runId, "quick"), quick);
    assertEquals(Uploads.sha256(quick), stored.getHash());
    assertEquals(Uploads.sha256(quick), Uploads.sha256(download(stored.getArtifactId())));
    messages.subList(2, messages.size()).forEach(slow.requests()::onNext);
    slow.requests().onCompleted();
    assertEquals(Uploads.sha256(slowContent), slow.value().getHash());
    assertTrue(server.child().process().isAlive());
    assertTrue(server.logged("ulimit").size() == 1, server.child().errors().toString());
    assertTrue(server.child().errors().size() <= 3, server.child().errors().toString());

    // When they leave, others get in.
    clients.forEach(one -> one.managed().shutdownNow());
    Client late = server.connect(Role.READER);
    Await.until(
        "another one gets in",
        () -> {
          try {
            return !late.server()
                .getServerInfo(GetServerInfoRequest.getDefaultInstance())
                .getVersion()
                .isEmpty();
          } catch (StatusRuntimeException notYet) {
            assertEquals(Status.Code.UNAVAILABLE, notYet.getStatus().getCode());
            return false;
          }
        });
    awaitRest();
    assertTrue(
        client
            .audit()
            .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build())
            .getValid());
  }

  @Test
  void moreTransfersThanFilesAreToldAndTheOthersAreWhole() throws Throwable {
    String runId = createRun();
    List<Uploads.Begun> uploads = new ArrayList<>();
    for (int number = 0; number < FILES; number++) {
      Uploads.Begun upload = Uploads.begin(client);
      upload.requests().onNext(Uploads.header(header(runId, "file-" + number)));
      uploads.add(upload);
    }
    Await.until(
        "each has begun or is refused",
        () ->
            uploads.stream().filter(one -> one.stored().isDone()).count() + unfinishedUploads()
                == FILES);
    long transfers = unfinishedUploads();
    assertTrue(
        FEWEST_TRANSFERS <= transfers && transfers < FILES / 4, transfers + " uploads are open");
    // To be read, a file takes a place as well; before it is looked for.
    VerifyArtifactRequest nothing =
        VerifyArtifactRequest.newBuilder().setArtifactId("art_" + "0".repeat(32)).build();
    Failures.of(Reason.REASON_TOO_MANY_OPEN, () -> client.artifacts().verifyArtifact(nothing));
    int refused = 0;
    for (int number = 0; number < FILES; number++) {
      Uploads.Begun upload = uploads.get(number);
      if (upload.stored().isDone()) {
        refused++;
        Failures.Refusal refusal =
            Failures.read((StatusRuntimeException) Await.failure("refused", upload.stored()));
        assertEquals("TOO_MANY_OPEN", refusal.reason());
        assertEquals(Status.Code.RESOURCE_EXHAUSTED, refusal.code());
        assertTrue(refusal.message().contains(transfers + " uploads"), refusal.message());
        assertTrue(refusal.retryAfter().isPresent());
      } else {
        byte[] content = content(number, 10_000);
        upload.requests().onNext(Uploads.chunk(content));
        upload.requests().onCompleted();
        assertEquals(Uploads.sha256(content), upload.value().getHash());
      }
    }
    assertEquals(FILES - transfers, refused);
    Await.until("nothing unfinished is left", () -> unfinishedUploads() == 0);
    byte[] content = content(0, 10_000);
    Await.until(
        "there is room again",
        () -> {
          try {
            return Uploads.upload(client, header(runId, "late"), content).getSizeBytes() == 10_000;
          } catch (StatusRuntimeException notYet) {
            assertEquals("TOO_MANY_OPEN", Failures.read(notYet).reason());
            return false;
          } catch (Throwable other) {
            throw new AssertionError(other);
          }
        });
    Failures.of(Reason.REASON_NOT_FOUND, () -> client.artifacts().verifyArtifact(nothing));
    assertEquals(List.of(), server.loggedSinceItServes());
  }
}
