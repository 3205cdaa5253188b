package dev.pmbot.artifact;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.ControlPlane;
import dev.pmbot.files.Disagreement;
import dev.pmbot.json.JsonText;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.server.Consistency;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ArtifactPlace;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.DownloadArtifactResponse;
import dev.pmbot.v1.GetArtifactRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.Measurements;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RegisterArtifactRequest;
import dev.pmbot.wire.Principal.Role;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What lies somewhere already, as it is put on record, and what cannot be. */
final class RegisterTest {
  private static final int MEBIBYTE = 1 << 20;
  private static final long LARGEST = 16L << 30;
  private static final String HASH = "0123456789abcdef".repeat(4);

  @TempDir Path home;
  private final HashingGate gate = new HashingGate();
  private TestServer server;
  private Scenario scenario;
  private Scenario.Held held;

  @BeforeEach
  void serve() {
    server = TestServer.in(home, gate);
    scenario = new Scenario(server);
    held = scenario.running(scenario.workspace());
  }

  @AfterEach
  void stop() {
    gate.open();
    server.close();
  }

  private static byte[] random(int size) {
    byte[] content = new byte[size];
    new Random(size).nextBytes(content);
    return content;
  }

  private Path folder() {
    return server.dataDirectory().resolve("artifacts").resolve(held.runId());
  }

  private String uri(String name) {
    return "artifacts/" + held.runId() + "/" + name;
  }

  /** A file as a worker on the server's machine leaves it. */
  private Path write(String name, byte[] content) {
    try {
      Path file = folder().resolve(name);
      Files.createDirectories(file.getParent());
      return Files.write(file, content);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private RegisterArtifactRequest.Builder request(String uri) {
    return RegisterArtifactRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setKind(ArtifactKind.ARTIFACT_KIND_TOOL_TRACE)
        .setUri(uri);
  }

  private RegisterArtifactRequest.Builder elsewhere(String uri) {
    return request(uri).setHash(HASH).setSizeBytes(42);
  }

  private Artifact register(RegisterArtifactRequest.Builder request) {
    return register(server.as(Role.WORKER), request);
  }

  private static Artifact register(Client by, RegisterArtifactRequest.Builder request) {
    return by.artifacts().registerArtifact(request.build()).getArtifact();
  }

  private Failures.Refusal refused(Reason reason, RegisterArtifactRequest.Builder request) {
    return Failures.of(reason, () -> register(request));
  }

  private void refusedForItsUri(RegisterArtifactRequest.Builder request) {
    Failures.Refusal refusal = refused(Reason.REASON_INVALID_FIELDS, request);
    assertEquals(Set.of("uri"), refusal.violations().keySet(), request.getUri() + ": " + refusal);
  }

  private List<Artifact> artifacts() {
    return server
        .as(Role.READER)
        .artifacts()
        .listArtifacts(ListArtifactsRequest.newBuilder().setRunId(held.runId()).build())
        .getArtifactsList();
  }

  private List<AuditEvent> registrations() {
    return scenario.events(held.workspaceId()).stream()
        .filter(event -> event.getType().equals("artifact.registered"))
        .toList();
  }

  private void assertNothingIsOnRecord() {
    assertEquals(List.of(), artifacts());
    assertEquals(List.of(), registrations());
  }

  private Measurements measured() {
    return server
        .as(Role.READER)
        .server()
        .getServerInfo(GetServerInfoRequest.getDefaultInstance())
        .getMeasurements();
  }

  // A file below the data directory.

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 8 * MEBIBYTE - 1, 8 * MEBIBYTE, 8 * MEBIBYTE + 1, 20 * MEBIBYTE + 3})
  void aFileOfAnySizeIsHashedAndStaysWhereItIs(int size) throws Exception {
    byte[] content = random(size);
    Path file = write("tool_trace.jsonl", content);
    Artifact registered =
        register(
            request(uri("tool_trace.jsonl"))
                .setContentType("application/jsonl")
                .setTitle("A trace")
                .setMetadataJson("{\"n\":1.10}"));
    assertEquals(uri("tool_trace.jsonl"), registered.getUri());
    assertEquals(Uploads.sha256(content), registered.getHash());
    assertEquals(size, registered.getSizeBytes());
    assertEquals(ArtifactPlace.ARTIFACT_PLACE_IN_DATA_DIRECTORY, registered.getPlace());
    assertEquals(ArtifactKind.ARTIFACT_KIND_TOOL_TRACE, registered.getKind());
    assertEquals("application/jsonl", registered.getContentType());
    assertEquals("A trace", registered.getTitle());
    assertEquals("{\"n\":1.10}", registered.getMetadataJson());
    assertEquals(held.workspaceId(), registered.getWorkspaceId());
    assertArrayEquals(content, Files.readAllBytes(file));
    assertEquals(List.of(registered), artifacts());
    assertEquals(
        registered,
        server
            .as(Role.READER)
            .artifacts()
            .getArtifact(
                GetArtifactRequest.newBuilder().setArtifactId(registered.getArtifactId()).build())
            .getArtifact());
  }

  @Test
  void itIsDownloadedLikeAnyOther() {
    write("a.log", random(300_000));
    Artifact registered = register(request(uri("a.log")));
    Iterator<DownloadArtifactResponse> messages =
        server
            .as(Role.READER)
            .artifacts()
            .downloadArtifact(
                DownloadArtifactRequest.newBuilder()
                    .setArtifactId(registered.getArtifactId())
                    .build());
    byte[] content = new byte[300_000];
    messages.forEachRemaining(
        message -> message.getChunk().copyTo(content, (int) message.getOffset()));
    assertArrayEquals(random(300_000), content);
  }

  @Test
  void whatIsNotSaidHasADefault() {
    write("deep/er/a.log", random(5));
    Artifact registered = register(request(uri("deep/er/a.log")));
    assertEquals("application/octet-stream", registered.getContentType());
    assertEquals("a.log", registered.getTitle());
    assertEquals("{}", registered.getMetadataJson());
    assertEquals("c", register(elsewhere("s3://bucket/a/b/c")).getTitle());
    assertEquals("example.org", register(elsewhere("https://example.org/")).getTitle());
    assertEquals(
        200, register(elsewhere("https://example.org/" + "x".repeat(999))).getTitle().length());
  }

  @Test
  void anEventTellsOfIt() {
    write("a.log", random(5));
    Artifact here = register(request(uri("a.log")));
    Artifact there = register(elsewhere("db://traces/1"));
    List<AuditEvent> events = registrations();
    assertEquals(2, events.size());
    for (AuditEvent event : events) {
      assertEquals(held.runId(), event.getRunId());
      assertEquals(held.threadId(), event.getThreadId());
      assertEquals("worker:" + Scenario.WORKER_ID, event.getActor());
    }
    String expected =
        ("{\"artifact_id\":\"%s\",\"kind\":\"tool_trace\",\"uri\":\"%s\",\"place\":\"in_data_directory\","
                + "\"hash\":\"%s\",\"size_bytes\":5}")
            .formatted(here.getArtifactId(), here.getUri(), here.getHash());
    assertEquals(
        JsonText.parse(expected, 4096), JsonText.parse(events.get(0).getPayloadJson(), 4096));
    assertTrue(events.get(1).getPayloadJson().contains("\"place\":\"elsewhere\""));
    assertTrue(events.get(1).getPayloadJson().contains(there.getArtifactId()));
  }

  @Test
  void whatWasAnnouncedOfAFileIsChecked() {
    byte[] content = random(100);
    write("a.log", content);
    String other = Uploads.sha256(random(99));
    Failures.Refusal refusal =
        refused(Reason.REASON_CONTENT_MISMATCH, request(uri("a.log")).setHash(other));
    assertEquals(
        Map.of("announced", other, "received", Uploads.sha256(content)), refusal.metadata());
    for (long size : new long[] {0, 99, 101}) {
      refusal = refused(Reason.REASON_CONTENT_MISMATCH, request(uri("a.log")).setSizeBytes(size));
      assertEquals(Map.of("announced", Long.toString(size), "received", "100"), refusal.metadata());
    }
    assertNothingIsOnRecord();
    register(request(uri("a.log")).setHash(Uploads.sha256(content)).setSizeBytes(100));
  }

  @Test
  void whatIsNotThereIsNotFound() throws IOException {
    write("a.log", random(5));
    Files.createDirectories(folder().resolve("folder"));
    for (String name : List.of("b.log", "folder", "a.log/b.log", "none/a.log", "A.log")) {
      Failures.Refusal refusal = refused(Reason.REASON_NOT_FOUND, request(uri(name)));
      assertEquals(Map.of("id", uri(name)), refusal.metadata());
    }
    assertNothingIsOnRecord();
  }

  @Test
  void noPathLeadsOutOfTheRunsFolder() {
    Scenario.Held other = scenario.running(scenario.workspace());
    scenario.upload(other, "theirs.log", random(5));
    for (String uri :
        List.of(
            "artifacts/" + other.runId() + "/theirs.log",
            "artifacts/theirs.log",
            "artifacts/" + held.runId(),
            "artifacts/" + held.runId() + "x/a.log",
            "artifacts/",
            "artifacts/.incoming/a.log",
            uri(""),
            uri("../" + other.runId() + "/theirs.log"),
            uri("a/../../" + other.runId() + "/theirs.log"),
            uri(".."),
            uri("."),
            uri("./a.log"),
            uri("/etc/passwd"),
            uri("a//b"),
            uri("a/"),
            uri("%2e%2e/a.log"),
            uri("a%2fb"),
            uri("a\\..\\b"),
            uri("a\nb"),
            uri(".hidden"),
            uri("nul"),
            uri("com1.log"),
            uri("a\u2024b"),
            uri("\uff0e\uff0e"),
            uri("a:b"),
            uri("a".repeat(201)),
            uri("a".repeat(101) + "/a.log"),
            uri("a/".repeat(15) + "a.log"))) {
      refusedForItsUri(request(uri));
    }
    assertNothingIsOnRecord();
  }

  @Test
  void foldersMayLieBetween() {
    String deepest = "a/".repeat(14) + "a.log";
    write(deepest, random(5));
    assertEquals(uri(deepest), register(request(uri(deepest))).getUri());
  }

  @Test
  void noLinkIsFollowed() throws IOException {
    Path outside = Files.createDirectories(home.resolve("outside"));
    Files.write(outside.resolve("secret.log"), random(7));
    write("a.log", random(5));
    Files.createSymbolicLink(folder().resolve("link.log"), outside.resolve("secret.log"));
    Files.createSymbolicLink(folder().resolve("link"), outside);
    Files.createSymbolicLink(folder().resolve("same.log"), folder().resolve("a.log"));
    Files.createSymbolicLink(folder().resolve("nowhere.log"), folder().resolve("none"));
    for (String name : List.of("link.log", "link/secret.log", "same.log", "nowhere.log")) {
      refusedForItsUri(request(uri(name)));
    }
    assertNothingIsOnRecord();
  }

  @Test
  void whatIsNoRegularFileIsNotRead() throws Exception {
    write("a.log", random(5));
    Process made =
        new ProcessBuilder("mkfifo", folder().resolve("pipe").toString()).inheritIO().start();
    assertTrue(made.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS));
    assertEquals(0, made.exitValue());
    // Opened, it would wait for somebody to write into it, and one of four threads with it.
    refused(Reason.REASON_NOT_FOUND, request(uri("pipe")));
    assertNothingIsOnRecord();
  }

  @Test
  void aFileThatIsTooLargeIsNotRead() throws IOException {
    Path file = write("large.log", new byte[0]);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(LARGEST + 1);
    }
    Failures.Refusal refusal = refused(Reason.REASON_TOO_LARGE, request(uri("large.log")));
    assertEquals(Map.of("limit", Long.toString(LARGEST)), refusal.metadata());
    assertEquals(0, gate.parts());
    assertNothingIsOnRecord();
  }

  // A file that somebody writes to.

  private Future<Artifact> registering(RegisterArtifactRequest.Builder request) {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      return thread.submit(() -> register(request));
    } finally {
      thread.shutdown();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"grown", "shortened", "overwritten", "replaced", "removed", "now a link"})
  void aFileThatChangesWhileItIsReadIsNotPutOnRecord(String how) throws Exception {
    byte[] content = random(20 * MEBIBYTE);
    Path file = write("a.log", content);
    gate.holdAt(2);
    Future<Artifact> answer = registering(request(uri("a.log")));
    gate.awaitHeld();
    switch (how) {
      case "grown" -> Files.write(file, new byte[] {1}, java.nio.file.StandardOpenOption.APPEND);
      case "shortened" -> truncate(file);
      case "overwritten" -> Files.write(file, random(20 * MEBIBYTE));
      case "replaced" -> {
        Path other = write("b.log", content);
        Files.setLastModifiedTime(other, Files.getLastModifiedTime(file));
        Files.move(other, file, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
      }
      case "removed" -> Files.delete(file);
      default -> {
        Files.move(file, folder().resolve("b.log"));
        Files.createSymbolicLink(file, folder().resolve("b.log"));
      }
    }
    gate.open();
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_WRONG_STATE,
            () -> {
              throw Await.failure("the call", answer);
            });
    assertEquals(
        Map.of("id", uri("a.log"), "state", "being written", "allowed", "finished"),
        refusal.metadata());
    assertNothingIsOnRecord();
  }

  private static void truncate(Path file) throws IOException {
    try (RandomAccessFile shortened = new RandomAccessFile(file.toFile(), "rw")) {
      shortened.setLength(MEBIBYTE);
    }
  }

  @Test
  void aCallThatIsGivenUpIsReadForNoLonger() throws IOException {
    Path file = write("large.log", new byte[0]);
    int allParts = 512;
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(allParts * 8L * MEBIBYTE);
    }
    gate.holdAt(1);
    Client impatient = server.asWorker("impatient");
    Future<?> answer =
        ArtifactServiceGrpc.newFutureStub(impatient.channel())
            .registerArtifact(request(uri("large.log")).build());
    gate.awaitHeld();
    assertTrue(isOpen(file));
    impatient.managed().shutdownNow();
    Await.failure("the call", answer);
    gate.open();
    Await.until("the file is closed", () -> !isOpen(file));
    assertTrue(gate.parts() < allParts, "parts: " + gate.parts());
    assertNothingIsOnRecord();
  }

  /** Whether this process has a file open. */
  private static boolean isOpen(Path file) {
    File[] open = new File("/proc/self/fd").listFiles();
    return open != null
        && Arrays.stream(open)
            .anyMatch(
                descriptor -> {
                  try {
                    return Files.readSymbolicLink(descriptor.toPath()).equals(file.toRealPath());
                  } catch (IOException closedMeanwhile) {
                    return false;
                  }
                });
  }

  @Test
  void howeverManyFilesAreReadNobodyElseWaitsForThem() {
    gate.holdAll();
    List<Future<Artifact>> all = new ArrayList<>();
    for (int number = 0; number < 20; number++) {
      write("n" + number, random(number));
      all.add(registering(request(uri("n" + number))));
    }
    gate.awaitHeld();
    // Of the same run too: a name is given, and a row stored, while they are read.
    Artifact stored = scenario.upload(held, "small.log", random(5));
    assertEquals(List.of(stored), artifacts());
    gate.open();
    for (int number = 0; number < 20; number++) {
      assertEquals(number, Await.value("a file", all.get(number)).getSizeBytes());
    }
    assertEquals(21, artifacts().size());
  }

  // What lies elsewhere.

  @Test
  void whatLiesElsewhereIsAsTold() {
    for (String uri :
        List.of(
            "http://example.org/a.log",
            "https://example.org:8443/a/b%20c.log?version=3&part=2",
            "https://[2001:db8::1]/a.log",
            "s3://bucket/key",
            "s3://bucket_with_underscores/key",
            "db://traces/1",
            "db://check_points")) {
      Artifact registered = register(elsewhere(uri));
      assertEquals(uri, registered.getUri());
      assertEquals(HASH, registered.getHash());
      assertEquals(42, registered.getSizeBytes());
      assertEquals(ArtifactPlace.ARTIFACT_PLACE_ELSEWHERE, registered.getPlace());
      assertEquals(registered, artifacts().get(0));
    }
  }

  @Test
  void whatLiesElsewhereComesWithItsHashAndSize() {
    Failures.Refusal refusal =
        refused(Reason.REASON_INVALID_FIELDS, request("https://example.org/a.log"));
    assertEquals(Set.of("hash", "size_bytes"), refusal.violations().keySet());
    refusal =
        refused(Reason.REASON_INVALID_FIELDS, request("gopher://example.org/a").setHash(HASH));
    assertEquals(Set.of("uri", "size_bytes"), refusal.violations().keySet());
    assertNothingIsOnRecord();
    assertEquals(
        0, register(elsewhere("https://example.org/empty").setSizeBytes(0)).getSizeBytes());
    long largest = 1L << 50;
    assertEquals(
        largest,
        register(elsewhere("https://example.org/large").setSizeBytes(largest)).getSizeBytes());
    for (long size : new long[] {-1, largest + 1, Long.MAX_VALUE}) {
      refusal =
          refused(
              Reason.REASON_INVALID_FIELDS,
              elsewhere("https://example.org/more").setSizeBytes(size));
      assertEquals(Set.of("size_bytes"), refusal.violations().keySet());
    }
  }

  @Test
  void whatIsNoSuchPlaceIsRefused() {
    for (String uri :
        List.of(
            "a.log",
            "/etc/passwd",
            "./artifacts/a.log",
            "Artifacts/a.log",
            "file:///etc/passwd",
            "ftp://example.org/a",
            "HTTPS://example.org/a",
            "https:example.org",
            "https:///a.log",
            "https://",
            "https://exa mple.org/a",
            "https://example.org/a b",
            "https://example.org/ä",
            "https://example.org/a\u202e",
            "https://example.org/a\tb",
            "https://example.org/%zz",
            "https://-/a",
            "https://user@example.org/a",
            "https://user:word@example.org/a",
            "s3://key:word@bucket/a",
            "db://me@traces/1",
            "https://example.org/a#part",
            "s3://bucket/a#",
            "javascript:alert(1)",
            "data:text/plain,a",
            "mailto:a@example.org",
            "://",
            " https://example.org/a")) {
      refusedForItsUri(elsewhere(uri));
      assertNothingIsOnRecord();
    }
  }

  @Test
  void aPlaceThatHoldsASecretIsRefused() {
    String secret = "ghp_" + "aB3dE6gH9".repeat(4);
    for (String uri :
        List.of(
            "https://example.org/a?token=s3cr3tvalue99",
            "https://example.org/a?api_key=s3cr3tvalue99&b=1",
            "https://example.org/" + secret + "/a",
            "https://example.org/a?%74oken=s3cr3tvalue99",
            "https://example.org/a?x=" + secret.replace("_", "%5F"),
            "db://traces/1?password=hunter2",
            uri(secret),
            uri(secret + "/a.log"))) {
      refusedForItsUri(elsewhere(uri));
    }
    assertNothingIsOnRecord();
  }

  @Test
  void aUriHasAtMost4096Bytes() {
    String longest = "https://example.org/" + "x".repeat(4096 - 20);
    assertEquals(longest, register(elsewhere(longest)).getUri());
    refusedForItsUri(elsewhere(longest + "x"));
  }

  // The same place.

  @Test
  void theSamePlaceWithTheSameContentIsTheSameArtifact() {
    write("a.log", random(5));
    Artifact first = register(request(uri("a.log")));
    server.time().advance(java.time.Duration.ofSeconds(1));
    assertEquals(first, register(request(uri("a.log")).setTitle("another")));
    Artifact there = register(elsewhere("s3://bucket/a"));
    assertEquals(there, register(elsewhere("s3://bucket/a")));
    assertEquals(2, artifacts().size());
    assertEquals(2, registrations().size());
  }

  @Test
  void theSamePlaceWithOtherContentIsRefused() {
    write("a.log", random(5));
    Artifact here = register(request(uri("a.log")));
    write("a.log", random(6));
    Failures.Refusal refusal = refused(Reason.REASON_ALREADY_EXISTS, request(uri("a.log")));
    assertEquals(Map.of("id", here.getArtifactId()), refusal.metadata());
    Artifact there = register(elsewhere("s3://bucket/a"));
    refusal =
        refused(
            Reason.REASON_ALREADY_EXISTS,
            elsewhere("s3://bucket/a").setHash(HASH.replace('0', '1')));
    assertEquals(Map.of("id", there.getArtifactId()), refusal.metadata());
    refused(Reason.REASON_ALREADY_EXISTS, elsewhere("s3://bucket/a").setSizeBytes(43));
    assertEquals(2, registrations().size());
  }

  @Test
  void whatAnotherRunHasAtThatPlaceDoesNotMatter() {
    Artifact first = register(elsewhere("s3://bucket/a"));
    held = scenario.running(scenario.workspace());
    assertNotEquals(first.getArtifactId(), register(elsewhere("s3://bucket/a")).getArtifactId());
  }

  @Test
  void anUploadAndARegistrationOfOneFileAreOneArtifact() throws Throwable {
    Artifact uploaded = scenario.upload(held, "a.log", random(5));
    assertEquals(uploaded, register(request(uri("a.log"))));
    write("b.log", random(6));
    Artifact registered = register(request(uri("b.log")));
    ArtifactHeader.Builder header =
        ArtifactHeader.newBuilder()
            .setRunId(held.runId())
            .setLeaseToken(held.leaseToken())
            .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
            .setName("b.log");
    Client worker = server.as(Role.WORKER);
    assertEquals(registered, Uploads.upload(worker, header.build(), random(6)));
    assertEquals(uri("b.log~2"), Uploads.upload(worker, header.build(), random(7)).getUri());
    // What was uploaded under a name of the server's own may be named so too.
    register(request(uri("b.log~2")));
    assertEquals(3, artifacts().size());
  }

  @Test
  void manyAtOnceOfOneFileAreOneArtifact() throws Exception {
    write("a.log", random(100_000));
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      List<Future<Artifact>> answers =
          IntStream.range(0, 32)
              .mapToObj(i -> threads.submit(() -> register(request(uri("a.log")))))
              .toList();
      for (Future<Artifact> answer : answers) {
        assertEquals(Await.value("the first", answers.get(0)), Await.value("an answer", answer));
      }
    } finally {
      threads.shutdownNow();
    }
    assertEquals(1, artifacts().size());
    assertEquals(1, registrations().size());
  }

  // Who may, and again.

  @Test
  void aWorkerNeedsTheLeaseWhileTheRunLives() {
    write("a.log", random(5));
    for (String token : List.of("", "another")) {
      refused(Reason.REASON_LEASE_LOST, request(uri("a.log")).setLeaseToken(token));
      refused(Reason.REASON_LEASE_LOST, elsewhere("s3://bucket/a").setLeaseToken(token));
    }
    assertNothingIsOnRecord();
    assertEquals(0, gate.parts());
    Client operator = server.as(Role.OPERATOR);
    register(operator, request(uri("a.log")).clearLeaseToken());
    scenario.complete(held);
    write("late.log", random(6));
    register(request(uri("late.log")).clearLeaseToken());
    Failures.of(
        Reason.REASON_ROLE_NOT_ALLOWED,
        () -> register(server.as(Role.READER), request(uri("a.log"))));
  }

  @Test
  void aLeaseThatIsLostWhileTheFileIsReadKeepsItOut() {
    write("a.log", random(20 * MEBIBYTE));
    gate.holdAt(2);
    Future<Artifact> answer = registering(request(uri("a.log")));
    gate.awaitHeld();
    server.time().advance(java.time.Duration.ofSeconds(60));
    gate.open();
    Failures.of(
        Reason.REASON_LEASE_LOST,
        () -> {
          throw Await.failure("the call", answer);
        });
    assertNothingIsOnRecord();
  }

  @Test
  void aRetryIsAnsweredAsBeforeWhateverBecameOfTheFile() throws Exception {
    String requestId = Scenario.requestId();
    Path file = write("a.log", random(5));
    Artifact first = register(request(uri("a.log")).setRequestId(requestId));
    Files.delete(file);
    scenario.complete(held);
    assertEquals(first, register(request(uri("a.log")).setRequestId(requestId)));
    Failures.Refusal refusal =
        refused(Reason.REASON_REQUEST_ID_REUSED, request(uri("b.log")).setRequestId(requestId));
    assertEquals("pmbot.v1.ArtifactService/RegisterArtifact", refusal.metadata().get("method"));
    assertEquals(1, registrations().size());
  }

  @Test
  void metadataIsAnObject() {
    for (String metadata : List.of("[]", "1", "{", "{\"a\":1,\"a\":2}")) {
      Failures.Refusal refusal =
          refused(
              Reason.REASON_INVALID_FIELDS, elsewhere("s3://bucket/a").setMetadataJson(metadata));
      assertEquals(Set.of("metadata_json"), refusal.violations().keySet());
    }
    assertNothingIsOnRecord();
  }

  // What counts them, and what they are good for.

  @Test
  void onlyWhatLiesHereTakesRoom() {
    write("a.log", random(1000));
    register(request(uri("a.log")));
    register(request(uri("a.log")));
    register(elsewhere("s3://bucket/a").setSizeBytes(1L << 50));
    register(elsewhere("s3://bucket/b").setSizeBytes(1L << 50));
    assertEquals(3, measured().getArtifacts());
    assertEquals(1000, measured().getArtifactBytes());
  }

  @Test
  void aCheckOfTheDirectoryTakesThemForWhatTheyAre() throws IOException {
    write("a.log", random(10));
    write("deep/b.log", random(11));
    Artifact changed = register(request(uri("a.log")));
    register(request(uri("deep/b.log")));
    register(elsewhere("s3://bucket/a"));
    server.stop();
    assertEquals(List.of(), disagreements());
    write("deep/orphan.log", random(1));
    write("a.log", random(12));
    List<Disagreement> found = disagreements();
    assertEquals(
        List.of(uri("a.log") + " of " + changed.getArtifactId(), uri("deep/orphan.log")),
        found.stream().map(Disagreement::where).toList());
    assertEquals(List.of(false, true), found.stream().map(Disagreement::harmless).toList());
  }

  private List<Disagreement> disagreements() {
    List<Disagreement> found = new ArrayList<>();
    try (Consistency consistency =
        ControlPlane.consistency(server.dataDirectory(), new TestTime())) {
      consistency.run(true, found::add, progress -> {});
    }
    return found;
  }

  @Test
  void whatLiesElsewhereCannotBeReadHere() {
    Artifact there = register(elsewhere("s3://bucket/a"));
    for (long offset : new long[] {0, 42, 43}) {
      Failures.Refusal refusal =
          Failures.of(
              Reason.REASON_WRONG_STATE,
              () ->
                  server
                      .as(Role.READER)
                      .artifacts()
                      .downloadArtifact(
                          DownloadArtifactRequest.newBuilder()
                              .setArtifactId(there.getArtifactId())
                              .setOffset(offset)
                              .build())
                      .hasNext());
      assertEquals(
          Map.of("id", there.getArtifactId(), "state", "elsewhere", "allowed", "in_data_directory"),
          refusal.metadata());
    }
  }

  @Test
  void aPatchThatNobodyCouldReadIsNotProposed() {
    Scenario.Held about = scenario.running(scenario.repo(scenario.workspace()));
    held = about;
    Artifact there =
        register(elsewhere("s3://bucket/a.patch").setKind(ArtifactKind.ARTIFACT_KIND_PATCH));
    String bundle =
        ("{\"base_commit\":\"%s\",\"files\":[{\"change\":\"modified\",\"path\":\"a\"}],"
                + "\"patch_artifact_id\":\"%s\",\"patch_sha256\":\"%s\",\"title\":\"Tidy\"}")
            .formatted("c0ffee01".repeat(5), there.getArtifactId(), HASH);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                server
                    .as(Role.WORKER)
                    .changesets()
                    .proposeChangeset(
                        dev.pmbot.v1.ProposeChangesetRequest.newBuilder()
                            .setRunId(about.runId())
                            .setLeaseToken(about.leaseToken())
                            .setBundleJson(bundle)
                            .build()));
    assertEquals(Set.of("bundle_json.patch_artifact_id"), refusal.violations().keySet());
  }

  @Test
  void emptyRequestsAreToldEverythingThatTheyLack() {
    Failures.Refusal refusal =
        refused(Reason.REASON_INVALID_FIELDS, RegisterArtifactRequest.newBuilder());
    assertEquals(Set.of("run_id", "kind", "uri"), refusal.violations().keySet());
    refusal =
        refused(
            Reason.REASON_INVALID_FIELDS,
            elsewhere("s3://bucket/a")
                .setHash("abc")
                .setTitle("x".repeat(201))
                .setContentType("x".repeat(201))
                .setRequestId("1")
                .setKindValue(99));
    assertEquals(
        Set.of("hash", "title", "content_type", "request_id", "kind"),
        refusal.violations().keySet());
  }
}
