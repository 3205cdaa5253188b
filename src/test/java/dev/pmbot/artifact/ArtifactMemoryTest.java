package dev.pmbot.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.pmbot.kit.Await;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.ArtifactVerdict;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.DownloadArtifactResponse;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.RegisterArtifactRequest;
import dev.pmbot.v1.RegisterArtifactResponse;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.ServerServiceGrpc;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.VerifyArtifactRequest;
import dev.pmbot.v1.VerifyArtifactResponse;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A server with less memory than the artifact is large, and clients that are slow: what it held for
 * them it would have to hold in that memory. The server is a program of its own, so that its memory
 * is its own.
 */
final class ArtifactMemoryTest {
  private static final int MEBIBYTE = 1 << 20;
  private static final int LARGE = 200;
  private static final int SLOW_CLIENTS = 60;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  @TempDir
  @SuppressWarnings("NullAway.Init") // Set before each test.
  Path folder;

  @SuppressWarnings("NullAway.Init") // Set before each test.
  private Process server;

  private final List<ManagedChannel> connections = new ArrayList<>();

  @BeforeEach
  void serve() throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx64m",
            "-XX:MaxDirectMemorySize=64m",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.io.tmpdir=" + folder,
            "-cp",
            System.getProperty("java.class.path"),
            "dev.pmbot.Main",
            "serve",
            "--data=" + folder.resolve("data"),
            "--port=0");
    builder.environment().put("XDG_RUNTIME_DIR", folder.resolve("runtime").toString());
    builder.redirectErrorStream(true);
    builder.redirectOutput(folder.resolve("server.log").toFile());
    server = builder.start();
    Await.until(
        "the server serves",
        () -> !server.isAlive() || Files.exists(folder.resolve("data").resolve("server.json")));
    assertTrue(server.isAlive(), this::log);
  }

  @AfterEach
  void stop() throws InterruptedException {
    connections.forEach(ManagedChannel::shutdownNow);
    server.destroy();
    if (!server.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
      server.destroyForcibly();
      server.waitFor();
    }
  }

  private String log() {
    try {
      return Files.readString(folder.resolve("server.log"));
    } catch (IOException failure) {
      return "no log: " + failure;
    }
  }

  /** A connection of its own: slow clients of one connection would only wait for each other. */
  private Channel connect() {
    try {
      String announced = Files.readString(folder.resolve("data").resolve("server.json"));
      Matcher address = Pattern.compile("\"address\":\\s*\"([^\"]+)\"").matcher(announced);
      assertTrue(address.find(), announced);
      String token =
          Files.readString(folder.resolve("data").resolve("tokens").resolve("operator.token"));
      ManagedChannel connection =
          Grpc.newChannelBuilder(address.group(1), InsecureChannelCredentials.create()).build();
      connections.add(connection);
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + token.strip());
      return ClientInterceptors.intercept(
          connection, MetadataUtils.newAttachHeadersInterceptor(headers));
    } catch (IOException failure) {
      throw new java.io.UncheckedIOException(failure);
    }
  }

  private static ArtifactHeader header(String runId, String name) {
    return ArtifactHeader.newBuilder()
        .setRunId(runId)
        .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
        .setName(name)
        .build();
  }

  private static String run(Channel channel) {
    String workspace =
        WorkspaceServiceGrpc.newBlockingStub(channel)
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("w").build())
            .getWorkspace()
            .getWorkspaceId();
    return RunServiceGrpc.newBlockingStub(channel)
        .createRun(
            CreateRunRequest.newBuilder()
                .setWorkspaceId(workspace)
                .setGoal("much")
                .setGraphId("g")
                .build())
        .getRun()
        .getRunId();
  }

  /** The chunks of the large artifact: each differs, and none is kept. */
  private static ByteString chunk(int number) {
    byte[] bytes = new byte[MEBIBYTE];
    new Random(number).nextBytes(bytes);
    return UnsafeByteOperations.unsafeWrap(bytes);
  }

  /** Uploads as fast as the server takes it. */
  private static Artifact uploadLarge(Channel channel, String runId) {
    return Await.value(
        "the upload",
        Uploads.flowing(channel, header(runId, "large"), LARGE, ArtifactMemoryTest::chunk));
  }

  @Test
  void slowClientsCostTheServerNextToNothing() throws Exception {
    Channel channel = connect();
    String runId = run(channel);
    Artifact large = uploadLarge(channel, runId);
    assertEquals((long) LARGE * MEBIBYTE, large.getSizeBytes());
    MessageDigest expected = MessageDigest.getInstance("SHA-256");
    for (int i = 0; i < LARGE; i++) {
      expected.update(chunk(i).asReadOnlyByteBuffer());
    }
    assertEquals(HexFormat.of().formatHex(expected.digest()), large.getHash());

    // Downloads whose clients never read, and uploads whose clients stop in the middle.
    DownloadArtifactRequest request =
        DownloadArtifactRequest.newBuilder().setArtifactId(large.getArtifactId()).build();
    List<CompletableFuture<Status>> ended = new ArrayList<>();
    Path incoming = folder.resolve("data").resolve("artifacts").resolve(".incoming");
    for (int i = 0; i < SLOW_CLIENTS; i++) {
      ended.add(notReading(connect(), request));
      var upload = Uploads.begin(connect());
      upload.requests().onNext(Uploads.header(header(runId, "slow-" + i)));
      upload.requests().onNext(UploadArtifactRequest.newBuilder().setChunk(chunk(i)).build());
      // One after the other: of messages that are not whole there may be only so many at once.
      long written = (long) (i + 1) * MEBIBYTE;
      Await.until("its chunk is written", () -> size(incoming) == written);
    }

    // Meanwhile others are served as if nothing was: one reads the whole.
    MessageDigest received = MessageDigest.getInstance("SHA-256");
    Iterator<DownloadArtifactResponse> messages =
        ArtifactServiceGrpc.newBlockingStub(channel).downloadArtifact(request);
    while (messages.hasNext()) {
      received.update(messages.next().getChunk().asReadOnlyByteBuffer());
    }
    assertEquals(large.getHash(), HexFormat.of().formatHex(received.digest()));
    assertEquals(
        "operator",
        ServerServiceGrpc.newBlockingStub(channel)
            .getServerInfo(GetServerInfoRequest.getDefaultInstance())
            .getRole());
    ended.forEach(
        one ->
            assertFalse(
                one.isDone(), () -> "a slow client was cut off: " + one.join() + ", " + log()));
    assertTrue(server.isAlive(), this::log);
  }

  private static CompletableFuture<Status> notReading(
      Channel channel, DownloadArtifactRequest request) {
    CompletableFuture<Status> ended = new CompletableFuture<>();
    ClientCall<DownloadArtifactRequest, DownloadArtifactResponse> call =
        channel.newCall(ArtifactServiceGrpc.getDownloadArtifactMethod(), CallOptions.DEFAULT);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onClose(Status status, Metadata trailers) {
            ended.complete(status);
          }
        },
        new Metadata());
    call.sendMessage(request);
    call.halfClose();
    return ended;
  }

  private static long size(Path folder) {
    try (var files = Files.list(folder)) {
      return files.mapToLong(file -> file.toFile().length()).sum();
    } catch (IOException failure) {
      throw new java.io.UncheckedIOException(failure);
    }
  }

  @Test
  void manyLargeFilesAreRegisteredAndVerifiedAtOnceInLittleMemory() throws Exception {
    Channel channel = connect();
    String runId = run(channel);
    Path files = folder.resolve("data").resolve("artifacts").resolve(runId);
    Files.createDirectories(files);
    ArtifactServiceGrpc.ArtifactServiceFutureStub artifacts =
        ArtifactServiceGrpc.newFutureStub(channel);
    List<ListenableFuture<RegisterArtifactResponse>> registering = new ArrayList<>();
    // Nine times the memory all together, and nearly half of it each.
    long each = 24L * MEBIBYTE;
    for (int number = 0; number < 24; number++) {
      try (RandomAccessFile sparse =
          new RandomAccessFile(files.resolve("n" + number).toFile(), "rw")) {
        sparse.setLength(each);
        sparse.write(number);
      }
      registering.add(
          artifacts.registerArtifact(
              RegisterArtifactRequest.newBuilder()
                  .setRunId(runId)
                  .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                  .setUri("artifacts/" + runId + "/n" + number)
                  .build()));
    }
    List<ListenableFuture<VerifyArtifactResponse>> verifying = new ArrayList<>();
    for (ListenableFuture<RegisterArtifactResponse> one : registering) {
      Artifact artifact = Await.value("a registration", one).getArtifact();
      assertEquals(each, artifact.getSizeBytes());
      verifying.add(
          artifacts.verifyArtifact(
              VerifyArtifactRequest.newBuilder().setArtifactId(artifact.getArtifactId()).build()));
    }
    for (ListenableFuture<VerifyArtifactResponse> one : verifying) {
      assertEquals(
          ArtifactVerdict.ARTIFACT_VERDICT_MATCHES,
          Await.value("a verification", one).getVerdict());
    }
    assertTrue(server.isAlive(), this::log);
  }
}
