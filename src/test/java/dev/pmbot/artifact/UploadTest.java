package dev.pmbot.artifact;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is stored of an upload, and what of one that is not as it should be: nothing. */
final class UploadTest {
  private static final int MEBIBYTE = 1 << 20;

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(workspace);
  private final Client worker = server.as(Role.WORKER);

  @AfterEach
  void stop() {
    server.close();
  }

  private ArtifactHeader.Builder header(String name) {
    return ArtifactHeader.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
        .setName(name);
  }

  private Artifact upload(String name, byte[] content) {
    return upload(worker, header(name), content);
  }

  private static Artifact upload(Client by, ArtifactHeader.Builder header, byte[] content) {
    try {
      return Uploads.upload(by, header.build(), content);
    } catch (RuntimeException | Error failure) {
      throw failure;
    } catch (Throwable failure) {
      throw new AssertionError(failure);
    }
  }

  private static byte[] random(int size) {
    byte[] content = new byte[size];
    new Random(size).nextBytes(content);
    return content;
  }

  private static String sha256(byte[] content) {
    return Uploads.sha256(content);
  }

  private Path folder() {
    return server.dataDirectory().resolve("artifacts").resolve(held.runId());
  }

  /** The names of the run's files. */
  private Set<String> files() {
    return names(folder());
  }

  private Set<String> incoming() {
    return names(server.dataDirectory().resolve("artifacts").resolve(".incoming"));
  }

  private static Set<String> names(Path folder) {
    if (!Files.exists(folder)) {
      return Set.of();
    }
    try (Stream<Path> found = Files.list(folder)) {
      return new HashSet<>(found.map(file -> file.getFileName().toString()).toList());
    } catch (IOException failure) {
      throw new java.io.UncheckedIOException(failure);
    }
  }

  private List<Artifact> artifacts() {
    return server
        .as(Role.READER)
        .artifacts()
        .listArtifacts(ListArtifactsRequest.newBuilder().setRunId(held.runId()).build())
        .getArtifactsList();
  }

  private void assertNothingWasStored() {
    Await.until("what was written aside is gone", () -> incoming().isEmpty());
    assertEquals(Set.of(), files());
    assertEquals(List.of(), artifacts());
    assertFalse(scenario.eventTypes(workspace.getWorkspaceId()).contains("artifact.stored"));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 4096, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 5 * MEBIBYTE + 3})
  void contentOfAnySizeIsStoredAsItCame(int size) throws Exception {
    byte[] content = random(size);
    Artifact stored =
        upload(
            worker,
            header("a.log")
                .setContentType("text/plain")
                .setTitle("A log")
                .setMetadataJson("{\"n\":1.10}")
                .setHash(sha256(content))
                .setSizeBytes(size),
            content);
    assertEquals("artifacts/" + held.runId() + "/a.log", stored.getUri());
    assertEquals(sha256(content), stored.getHash());
    assertEquals(size, stored.getSizeBytes());
    assertEquals("text/plain", stored.getContentType());
    assertEquals("A log", stored.getTitle());
    assertEquals("{\"n\":1.10}", stored.getMetadataJson());
    assertEquals(workspace.getWorkspaceId(), stored.getWorkspaceId());
    assertArrayEquals(content, Files.readAllBytes(folder().resolve("a.log")));
    assertEquals(Set.of(), incoming());
    assertEquals(List.of(stored), artifacts());
  }

  @Test
  void whatIsNotSaidHasADefault() {
    Artifact stored = upload("a.log", new byte[] {1});
    assertEquals("application/octet-stream", stored.getContentType());
    assertEquals("a.log", stored.getTitle());
    assertEquals("{}", stored.getMetadataJson());
  }

  @Test
  void noChunkIsLostHoweverOddTheyAre() throws Throwable {
    byte[] content = random(3 * MEBIBYTE + 17);
    List<UploadArtifactRequest> messages = new ArrayList<>();
    messages.add(Uploads.header(header("odd.bin").build()));
    int from = 0;
    for (int size = 1; from < content.length; size = size * 3 + 1) {
      int to = Math.min(content.length, from + Math.min(size, MEBIBYTE));
      messages.add(Uploads.chunk(Arrays.copyOfRange(content, from, to)));
      messages.add(Uploads.chunk(new byte[0]));
      from = to;
    }
    assertEquals(sha256(content), Uploads.upload(worker, messages).getHash());
  }

  @Test
  void theEndOfAnUploadNeverOvertakesItsLastChunk() throws Exception {
    // Without an announced size or hash nobody but this test would see that a chunk is missing.
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      List<Future<?>> uploads = new ArrayList<>();
      for (int i = 0; i < 400; i++) {
        int number = i;
        uploads.add(
            threads.submit(
                () -> {
                  byte[] content = random(number % 3);
                  Artifact stored = upload(worker, header("n" + number), content);
                  assertEquals(sha256(content), stored.getHash(), "upload " + number);
                }));
      }
      for (Future<?> upload : uploads) {
        upload.get();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void contentThatIsNotWhatWasAnnouncedIsRefused() {
    byte[] content = random(100);
    String other = sha256(random(99));
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_CONTENT_MISMATCH,
            () -> upload(worker, header("a.log").setHash(other), content));
    assertEquals(Map.of("announced", other, "received", sha256(content)), refusal.metadata());
    for (long size : new long[] {0, 99, 101}) {
      refusal =
          Failures.of(
              Reason.REASON_CONTENT_MISMATCH,
              () -> upload(worker, header("a.log").setSizeBytes(size), content));
      assertEquals(Map.of("announced", Long.toString(size), "received", "100"), refusal.metadata());
    }
    assertNothingWasStored();
  }

  @Test
  void anUploadThatItsClientGivesUpLeavesNothing() {
    Uploads.Begun upload = Uploads.begin(worker);
    upload.requests().onNext(Uploads.header(header("a.log").build()));
    upload.requests().onNext(Uploads.chunk(random(MEBIBYTE)));
    Await.until("the upload has begun", () -> !incoming().isEmpty());
    upload.requests().onError(new RuntimeException("the client has had enough"));
    assertNothingWasStored();
  }

  @Test
  void anUploadWhoseConnectionBreaksLeavesNothing() {
    Client breaking = server.asWorker("breaking");
    Uploads.Begun upload = Uploads.begin(breaking);
    upload.requests().onNext(Uploads.header(header("a.log").build()));
    upload.requests().onNext(Uploads.chunk(random(MEBIBYTE)));
    Await.until("the upload has begun", () -> !incoming().isEmpty());
    breaking.managed().shutdownNow();
    assertNothingWasStored();
  }

  @Test
  void anUploadThatIsUnderWayWhenTheServerGoesLeavesNothing() {
    Uploads.Begun upload = Uploads.begin(worker);
    upload.requests().onNext(Uploads.header(header("a.log").build()));
    upload.requests().onNext(Uploads.chunk(random(MEBIBYTE)));
    Await.until("the upload has begun", () -> !incoming().isEmpty());
    server.restart();
    assertNothingWasStored();
  }

  @Test
  void aNameThatCouldChooseAPathIsRefused() {
    for (String name :
        List.of(
            "a/b",
            "../a",
            "..",
            ".",
            ".hidden",
            "a\\b",
            "/etc/passwd",
            "C:a",
            "a..b",
            "a.",
            "a ",
            " a",
            "nul",
            "NUL.txt",
            "con",
            "com1.log",
            "a~2",
            "~a",
            "\uff0e\uff0e",
            "a\u2024b",
            "\u00e4",
            "a\nb",
            "-a",
            "a:b",
            "a*b",
            "a|b")) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_INVALID_FIELDS, () -> upload(name, new byte[] {1}));
      assertEquals(Set.of("header.name"), refusal.violations().keySet(), name);
    }
    assertNothingWasStored();
  }

  @Test
  void aNameHasAtMost200Characters() {
    assertEquals(
        "artifacts/" + held.runId() + "/" + "a".repeat(200),
        upload("a".repeat(200), new byte[] {1}).getUri());
    for (String name : List.of("a".repeat(201), "a\0b", "")) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_INVALID_FIELDS, () -> upload(name, new byte[] {1}));
      assertEquals(Set.of("header.name"), refusal.violations().keySet());
    }
  }

  @Test
  void theSameNameWithTheSameContentIsTheSameArtifact() {
    Artifact first = upload("a.log", random(10));
    server.time().advance(java.time.Duration.ofSeconds(1));
    assertEquals(first, upload("a.log", random(10)));
    assertEquals(Set.of("a.log"), files());
    assertEquals(
        1,
        Collections.frequency(scenario.eventTypes(workspace.getWorkspaceId()), "artifact.stored"));
  }

  @Test
  void theSameNameWithOtherContentGetsANumberAndReplacesNothing() throws Exception {
    Artifact first = upload("a.log", random(10));
    Artifact second = upload("a.log", random(11));
    Artifact third = upload("a.log", random(12));
    String base = "artifacts/" + held.runId() + "/a.log";
    assertEquals(
        List.of(base, base + "~2", base + "~3"),
        List.of(first.getUri(), second.getUri(), third.getUri()));
    assertEquals(second, upload("a.log", random(11)));
    assertArrayEquals(random(10), Files.readAllBytes(folder().resolve("a.log")));
    assertArrayEquals(random(11), Files.readAllBytes(folder().resolve("a.log~2")));
    assertEquals(3, artifacts().size());
  }

  @Test
  void manyUploadsOfOneNameAtOnceEachKeepTheirContent() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(16);
    try {
      // Sixteen contents, each of them uploaded twice.
      List<Callable<Artifact>> uploads =
          IntStream.range(0, 32)
              .mapToObj(i -> (Callable<Artifact>) () -> upload("a.log", random(1000 + i % 16)))
              .toList();
      Map<String, String> uriByHash = new java.util.HashMap<>();
      for (Future<Artifact> upload : threads.invokeAll(uploads)) {
        Artifact stored = Await.value("an upload", upload);
        String known = uriByHash.put(stored.getHash(), stored.getUri());
        assertTrue(known == null || known.equals(stored.getUri()), "stored twice");
      }
      assertEquals(16, uriByHash.size());
      assertEquals(16, new HashSet<>(uriByHash.values()).size());
    } finally {
      threads.shutdownNow();
    }
    assertEquals(16, files().size());
    assertEquals(16, artifacts().size());
    for (Artifact artifact : artifacts()) {
      Path file = server.dataDirectory().resolve(artifact.getUri());
      assertEquals(artifact.getHash(), sha256(Files.readAllBytes(file)));
    }
    assertEquals(Set.of(), incoming());
  }

  // Messages in the wrong order.

  @Test
  void anUploadBeginsWithItsHeader() {
    for (List<UploadArtifactRequest> messages :
        List.of(List.<UploadArtifactRequest>of(), List.of(Uploads.chunk(new byte[] {1})))) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_INVALID_FIELDS, () -> Uploads.upload(worker, messages));
      assertEquals(Set.of("header"), refusal.violations().keySet());
    }
    assertNothingWasStored();
  }

  @Test
  void aHeaderComesOnce() {
    UploadArtifactRequest header = Uploads.header(header("a.log").build());
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () -> Uploads.upload(worker, List.of(header, Uploads.chunk(random(9)), header)));
    assertEquals(Set.of("header"), refusal.violations().keySet());
    assertNothingWasStored();
  }

  @Test
  void aChunkIsAtMostAMebibyte() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                Uploads.upload(
                    worker,
                    List.of(
                        Uploads.header(header("a.log").build()),
                        Uploads.chunk(random(5)),
                        Uploads.chunk(random(MEBIBYTE + 1)))));
    assertEquals(Set.of("chunk"), refusal.violations().keySet());
    assertNothingWasStored();
  }

  @Test
  void metadataIsAnObject() {
    for (String metadata : List.of("[]", "1", "{")) {
      Failures.Refusal refusal =
          Failures.of(
              Reason.REASON_INVALID_FIELDS,
              () -> upload(worker, header("a.log").setMetadataJson(metadata), random(5)));
      assertEquals(Set.of("header.metadata_json"), refusal.violations().keySet());
    }
    assertNothingWasStored();
  }

  // Who may.

  @Test
  void aWorkerNeedsTheLeaseWhileTheRunLives() {
    Failures.of(
        Reason.REASON_LEASE_LOST,
        () -> upload(worker, header("a.log").clearLeaseToken(), random(5)));
    Failures.of(
        Reason.REASON_LEASE_LOST,
        () -> upload(worker, header("a.log").setLeaseToken("another"), random(5)));
    assertNothingWasStored();
  }

  @Test
  void anUploadWithoutTheLeaseIsRefusedBeforeItsContentIsTaken() {
    Uploads.Begun upload = Uploads.begin(worker);
    upload.requests().onNext(Uploads.header(header("a.log").clearLeaseToken().build()));
    // Nothing more is sent, and the end is not told.
    Failures.of(Reason.REASON_LEASE_LOST, upload::value);
    assertNothingWasStored();
  }

  @Test
  void aLeaseThatIsLostOnTheWayKeepsTheUploadOut() {
    Uploads.Begun upload = Uploads.begin(worker);
    upload.requests().onNext(Uploads.header(header("a.log").build()));
    upload.requests().onNext(Uploads.chunk(random(MEBIBYTE)));
    Await.until("the upload has begun", () -> !incoming().isEmpty());
    server.time().advance(java.time.Duration.ofSeconds(60));
    upload.requests().onCompleted();
    Failures.of(Reason.REASON_LEASE_LOST, upload::value);
    assertNothingWasStored();
  }

  @Test
  void thePersonNeedsNoLeaseAndAfterTheEndNobodyDoes() {
    Client operator = server.as(Role.OPERATOR);
    ArtifactHeader.Builder without = header("a.log").clearLeaseToken();
    assertEquals(5, upload(operator, without, random(5)).getSizeBytes());
    scenario.complete(held);
    assertEquals(6, upload(worker, without.setName("late.log"), random(6)).getSizeBytes());
    Failures.of(
        Reason.REASON_ROLE_NOT_ALLOWED, () -> upload(server.as(Role.READER), without, random(7)));
  }

  @Test
  void aRunThatDoesNotExistHasNoArtifacts() {
    String nothing = "run_" + "0".repeat(32);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_NOT_FOUND,
            () -> upload(worker, header("a.log").setRunId(nothing), random(5)));
    assertEquals(Map.of("id", nothing), refusal.metadata());
    assertFalse(Files.exists(folder().resolveSibling(nothing)));
  }

  // Files without a row.

  @Test
  void aFileThatACrashLeftWithoutARowIsTakenUpByTheSameUpload() throws Exception {
    Files.createDirectories(folder());
    Files.write(folder().resolve("a.log"), random(50));
    Artifact stored = upload("a.log", random(50));
    assertEquals("artifacts/" + held.runId() + "/a.log", stored.getUri());
    assertEquals(Set.of("a.log"), files());
    assertEquals(sha256(random(50)), stored.getHash());
  }

  @Test
  void aFileThatACrashLeftIsNeverReplaced() throws Exception {
    Files.createDirectories(folder());
    Files.write(folder().resolve("a.log"), random(50));
    Artifact stored = upload("a.log", random(51));
    assertEquals("artifacts/" + held.runId() + "/a.log~2", stored.getUri());
    assertArrayEquals(random(50), Files.readAllBytes(folder().resolve("a.log")));
  }

  // Repeating.

  @Test
  void aRequestIdIsForOneContent() {
    String requestId = Scenario.requestId();
    Artifact first = upload(worker, header("a.log").setRequestId(requestId), random(5));
    assertEquals(first, upload(worker, header("a.log").setRequestId(requestId), random(5)));
    Failures.of(
        Reason.REASON_REQUEST_ID_REUSED,
        () -> upload(worker, header("a.log").setRequestId(requestId), random(6)));
    Failures.of(
        Reason.REASON_REQUEST_ID_REUSED,
        () -> upload(worker, header("b.log").setRequestId(requestId), random(5)));
    assertEquals(Set.of("a.log"), files());
    assertNotEquals(
        first.getArtifactId(), upload(worker, header("b.log"), random(5)).getArtifactId());
  }

  @Test
  void anAnswerThatWasLostIsGivenAgainAlsoWhenTheLeaseHasGone() {
    ArtifactHeader.Builder header = header("a.log").setRequestId(Scenario.requestId());
    Artifact first = upload(worker, header, random(5));
    scenario.complete(held);
    assertEquals(first, upload(worker, header, random(5)));
    Failures.of(Reason.REASON_REQUEST_ID_REUSED, () -> upload(worker, header, random(6)));
    Failures.of(
        Reason.REASON_LEASE_LOST,
        () -> upload(worker, header.setRequestId(Scenario.requestId()), random(5)));
    assertEquals(Set.of("a.log"), files());
  }
}
