package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Gate;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.CreateWorkspaceResponse;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.Measurements;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.UploadArtifactResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a server that is told to stop does for those who are calling it. */
final class StopTest {
  private static final java.time.Duration AN_HOUR = java.time.Duration.ofHours(1);

  @TempDir Path folder;

  private final Gate gate = new Gate();

  /** A server that is being stopped. */
  private record Stop(CompletableFuture<Void> over) {
    static Stop of(TestServer server) {
      return new Stop(CompletableFuture.runAsync(server::stop, task -> new Thread(task).start()));
    }

    void await() {
      Await.value("the end of the server", over);
    }
  }

  private static Measurements measurements(TestServer server) {
    return server
        .as(Role.READER)
        .server()
        .getServerInfo(GetServerInfoRequest.getDefaultInstance())
        .getMeasurements();
  }

  private static Recording<HealthCheckResponse> watchHealth(TestServer server) {
    Recording<HealthCheckResponse> health =
        Recording.of(
            server.connect(), HealthGrpc.getWatchMethod(), HealthCheckRequest.getDefaultInstance());
    health.awaitMessage("it serves", said -> said.getStatus() == ServingStatus.SERVING);
    return health;
  }

  private static Recording<StreamInboxResponse> streamInbox(TestServer server) {
    return Recording.of(
        server.as(Role.READER).channel(),
        InboxServiceGrpc.getStreamInboxMethod(),
        StreamInboxRequest.getDefaultInstance());
  }

  private static CreateWorkspaceRequest newWorkspace(String name) {
    return Scenario.withRequestId(CreateWorkspaceRequest.newBuilder().setName(name).build());
  }

  /** Sends a mutation whose commit does not come through. */
  private ListenableFuture<CreateWorkspaceResponse> heldUp(
      TestServer server, CreateWorkspaceRequest request) {
    gate.close();
    ListenableFuture<CreateWorkspaceResponse> answer =
        WorkspaceServiceGrpc.newFutureStub(server.as(Role.OPERATOR).channel())
            .createWorkspace(request);
    gate.awaitHeld();
    return answer;
  }

  private static List<String> workspaces(TestServer server) {
    return server
        .as(Role.READER)
        .workspaces()
        .listWorkspaces(ListWorkspacesRequest.getDefaultInstance())
        .getWorkspacesList()
        .stream()
        .map(Workspace::getName)
        .toList();
  }

  private static Failures.Refusal refusal(String what, java.util.concurrent.Future<?> call) {
    return Failures.read((StatusRuntimeException) Await.failure(what, call));
  }

  @Test
  void whatIsRunningGetsItsAnswerAndWhoComesIsToldToComeAgain() {
    try (TestServer server = TestServer.in(folder, gate, AN_HOUR)) {
      Recording<HealthCheckResponse> health = watchHealth(server);
      Recording<StreamInboxResponse> stream = streamInbox(server);
      stream.awaitMessage("in step", StreamInboxResponse::hasSynced);
      int commits = gate.commits();
      var claim =
          RunServiceGrpc.newFutureStub(server.as(Role.WORKER).channel())
              .claimRuns(
                  ClaimRunsRequest.newBuilder()
                      .setWorkerId("waiting")
                      .addGraphIds("no/v1")
                      .setWait(Duration.newBuilder().setSeconds(60))
                      .build());
      Await.until(
          "the claim looks for work",
          () -> gate.commits() > commits && measurements(server).getWaitingClaims() == 1);
      new Scenario(server).workspace("behind it"); // So it has looked, and waits.
      ListenableFuture<CreateWorkspaceResponse> running = heldUp(server, newWorkspace("kept"));

      Stop stop = Stop.of(server);
      health.awaitMessage("it stops", said -> said.getStatus() == ServingStatus.NOT_SERVING);
      assertEquals("SHUTTING_DOWN", stream.awaitRefusal().reason());
      assertEquals(ClaimRunsResponse.getDefaultInstance(), Await.value("no run", claim));

      Failures.Refusal write =
          Failures.of(
              Reason.REASON_SHUTTING_DOWN,
              () -> server.as(Role.OPERATOR).workspaces().createWorkspace(newWorkspace("late")));
      assertEquals(Status.Code.UNAVAILABLE, write.code());
      assertTrue(write.retryAfter().isPresent());
      Failures.of(Reason.REASON_SHUTTING_DOWN, () -> workspaces(server));
      assertEquals("SHUTTING_DOWN", streamInbox(server).awaitRefusal().reason());
      assertEquals(
          ServingStatus.NOT_SERVING,
          HealthGrpc.newBlockingStub(server.connect())
              .check(HealthCheckRequest.getDefaultInstance())
              .getStatus(),
          "who connects now is told so");

      assertFalse(running.isDone());
      assertFalse(stop.over.isDone());
      gate.open();
      assertEquals("kept", Await.value("what was running", running).getWorkspace().getName());
      // An hour is what it may wait for calls; one who watches its health is none.
      stop.await();
      assertEquals("SHUTTING_DOWN", health.awaitRefusal().reason());
      assertFalse(Files.exists(Path.of(server.database() + "-wal")), "the log is written back");
      server.restart();
      assertEquals(List.of("kept", "behind it"), workspaces(server));
    }
  }

  /** An upload that has sent its header and some content, and sends no more. */
  private static CompletableFuture<Void> halfAnUpload(TestServer server, Scenario.Held held) {
    CompletableFuture<Void> end = new CompletableFuture<>();
    StreamObserver<UploadArtifactRequest> upload =
        ArtifactServiceGrpc.newStub(server.as(Role.WORKER).channel())
            .uploadArtifact(
                new StreamObserver<>() {
                  @Override
                  public void onNext(UploadArtifactResponse response) {
                    end.complete(null);
                  }

                  @Override
                  public void onError(Throwable failure) {
                    end.completeExceptionally(failure);
                  }

                  @Override
                  public void onCompleted() {
                    end.complete(null);
                  }
                });
    upload.onNext(
        UploadArtifactRequest.newBuilder()
            .setHeader(
                ArtifactHeader.newBuilder()
                    .setRunId(held.runId())
                    .setLeaseToken(held.leaseToken())
                    .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                    .setName("half"))
            .build());
    upload.onNext(
        UploadArtifactRequest.newBuilder().setChunk(ByteString.copyFromUtf8("half")).build());
    return end;
  }

  private static List<Path> files(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).toList();
    } catch (IOException failure) {
      throw new java.io.UncheckedIOException(failure);
    }
  }

  @Test
  void whatTakesTooLongIsCutAndTheQueueIsFinishedAllTheSame() {
    try (TestServer server = TestServer.in(folder, gate, java.time.Duration.ZERO)) {
      Scenario scenario = new Scenario(server);
      Scenario.Held held = scenario.running(scenario.workspace());
      Path artifacts = server.dataDirectory().resolve("artifacts");
      CompletableFuture<Void> upload = halfAnUpload(server, held);
      Await.until("some of it is on the disk", () -> files(artifacts).size() == 1);
      CreateWorkspaceRequest request = newWorkspace("late");
      ListenableFuture<CreateWorkspaceResponse> running = heldUp(server, request);

      Stop stop = Stop.of(server);
      Failures.Refusal cut = refusal("half an upload", upload);
      assertEquals("SHUTTING_DOWN", cut.reason());
      assertTrue(cut.retryAfter().isPresent());
      // It has all that it needs to be carried out, and nobody can tell yet whether it was.
      Failures.Refusal unknown = refusal("what was running", running);
      assertEquals("OUTCOME_UNKNOWN", unknown.reason());
      assertTrue(unknown.retryAfter().isPresent());
      assertFalse(stop.over.isDone(), "a unit of work that was taken on is carried out");
      gate.open();
      stop.await();
      assertEquals(List.of(), files(artifacts));

      server.restart();
      assertTrue(workspaces(server).contains("late"));
      assertEquals(
          "late",
          server.as(Role.OPERATOR).workspaces().createWorkspace(request).getWorkspace().getName(),
          "asked again, it is the same one");
    }
  }

  @Test
  void aStreamThatNobodyReadsDoesNotHoldAStop() {
    try (TestServer server = TestServer.in(folder, gate, AN_HOUR)) {
      Recording<StreamInboxResponse> unread =
          Recording.notReading(
              server.with(Optional.of("Bearer " + server.token(Role.READER))).channel(),
              InboxServiceGrpc.getStreamInboxMethod(),
              StreamInboxRequest.getDefaultInstance());
      Await.until("it stands", unread::hasHeaders);
      Stop.of(server).await();
    }
  }
}
