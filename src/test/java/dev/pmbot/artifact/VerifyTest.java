package dev.pmbot.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.ArtifactVerdict;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RegisterArtifactRequest;
import dev.pmbot.v1.VerifyArtifactRequest;
import dev.pmbot.v1.VerifyArtifactResponse;
import dev.pmbot.wire.Principal.Role;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is found of an artifact's file, beside what is on record. */
final class VerifyTest {
  private static final int MEBIBYTE = 1 << 20;

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

  private Path file(Artifact artifact) {
    return server.dataDirectory().resolve(artifact.getUri());
  }

  private static VerifyArtifactRequest request(Artifact artifact) {
    return VerifyArtifactRequest.newBuilder().setArtifactId(artifact.getArtifactId()).build();
  }

  private VerifyArtifactResponse verify(Artifact artifact) {
    return server.as(Role.READER).artifacts().verifyArtifact(request(artifact));
  }

  private void assertFound(ArtifactVerdict verdict, Artifact expected, byte[] found) {
    assertEquals(
        VerifyArtifactResponse.newBuilder()
            .setArtifact(expected)
            .setVerdict(verdict)
            .setFoundHash(Uploads.sha256(found))
            .setFoundSizeBytes(found.length)
            .build(),
        verify(expected));
  }

  private void assertMissing(Artifact expected) {
    assertEquals(
        VerifyArtifactResponse.newBuilder()
            .setArtifact(expected)
            .setVerdict(ArtifactVerdict.ARTIFACT_VERDICT_MISSING)
            .build(),
        verify(expected));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 8 * MEBIBYTE, 20 * MEBIBYTE + 3})
  void whatIsAsItWasMatches(int size) {
    Artifact artifact = scenario.upload(held, "a.log", random(size));
    assertFound(ArtifactVerdict.ARTIFACT_VERDICT_MATCHES, artifact, random(size));
  }

  @Test
  void whatWasRegisteredIsVerifiedLikeAnyOther() throws IOException {
    Artifact uploaded = scenario.upload(held, "a.log", random(10));
    Files.write(file(uploaded).resolveSibling("b.log"), random(11));
    Artifact artifact = register("artifacts/" + held.runId() + "/b.log");
    assertFound(ArtifactVerdict.ARTIFACT_VERDICT_MATCHES, artifact, random(11));
    Files.write(file(artifact), random(12));
    assertFound(ArtifactVerdict.ARTIFACT_VERDICT_DIFFERS, artifact, random(12));
  }

  private Artifact register(String uri) {
    return server
        .as(Role.WORKER)
        .artifacts()
        .registerArtifact(
            RegisterArtifactRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                .setUri(uri)
                .setHash(Uploads.sha256(random(11)))
                .setSizeBytes(11)
                .build())
        .getArtifact();
  }

  @Test
  void whatIsNotAsItWasDiffers() throws IOException {
    byte[] content = random(100_000);
    Artifact artifact = scenario.upload(held, "a.log", content);
    byte[] changed = content.clone();
    changed[50_000] ^= 1;
    for (byte[] other : new byte[][] {changed, random(99_999), random(100_001), new byte[0]}) {
      Files.write(file(artifact), other);
      assertFound(ArtifactVerdict.ARTIFACT_VERDICT_DIFFERS, artifact, other);
    }
    // It changed nothing itself, so what is put right matches again.
    Files.write(file(artifact), content);
    assertFound(ArtifactVerdict.ARTIFACT_VERDICT_MATCHES, artifact, content);
  }

  @Test
  void whatIsNoRegularFileAtItsPlaceIsMissing() throws IOException {
    Artifact artifact = scenario.upload(held, "a.log", random(10));
    Path file = file(artifact);
    Path aside = home.resolve("aside");
    Files.move(file, aside);
    assertMissing(artifact);
    Files.createDirectory(file);
    assertMissing(artifact);
    Files.delete(file);
    // Even where it leads to the same content: a link may lead anywhere tomorrow.
    Files.createSymbolicLink(file, aside);
    assertMissing(artifact);
    Files.delete(file);
    Files.move(aside, file);
    assertFound(ArtifactVerdict.ARTIFACT_VERDICT_MATCHES, artifact, random(10));
    Path folder = file.getParent();
    Files.move(folder, aside);
    assertMissing(artifact);
    Files.createSymbolicLink(folder, aside);
    assertMissing(artifact);
  }

  @Test
  void whatGrowsAllTheTimeDiffersAndIsReadNoFurther() throws IOException {
    Artifact artifact = scenario.upload(held, "a.log", random(20 * MEBIBYTE));
    gate.holdAt(3);
    Future<VerifyArtifactResponse> answer =
        ArtifactServiceGrpc.newFutureStub(server.as(Role.READER).channel())
            .verifyArtifact(request(artifact));
    gate.awaitHeld();
    Files.write(file(artifact), random(20 * MEBIBYTE), StandardOpenOption.APPEND);
    gate.open();
    VerifyArtifactResponse found = Await.value("the answer", answer);
    assertEquals(ArtifactVerdict.ARTIFACT_VERDICT_DIFFERS, found.getVerdict());
    assertTrue(found.getFoundSizeBytes() > 20 * MEBIBYTE, found.toString());
    assertTrue(found.getFoundSizeBytes() < 21 * MEBIBYTE, found.toString());
    assertEquals(3, gate.parts());
  }

  @Test
  void whatLiesElsewhereCannotBeVerified() {
    Artifact there = register("s3://bucket/a");
    Failures.Refusal refusal = Failures.of(Reason.REASON_WRONG_STATE, () -> verify(there));
    assertEquals(
        Map.of("id", there.getArtifactId(), "state", "elsewhere", "allowed", "in_data_directory"),
        refusal.metadata());
  }

  @Test
  void whatIsNotOnRecordIsNotFound() {
    Artifact nothing = Artifact.newBuilder().setArtifactId("art_" + "0".repeat(32)).build();
    Failures.Refusal refusal = Failures.of(Reason.REASON_NOT_FOUND, () -> verify(nothing));
    assertEquals(Map.of("id", nothing.getArtifactId()), refusal.metadata());
    for (String id : new String[] {"", "run_" + "0".repeat(32), "a"}) {
      refusal =
          Failures.of(
              Reason.REASON_INVALID_FIELDS,
              () -> verify(Artifact.newBuilder().setArtifactId(id).build()));
      assertEquals(Set.of("artifact_id"), refusal.violations().keySet());
    }
  }

  @Test
  void itLeavesNoTrace() throws IOException {
    Artifact artifact = scenario.upload(held, "a.log", random(10));
    int events = scenario.events(held.workspaceId()).size();
    verify(artifact);
    Files.delete(file(artifact));
    verify(artifact);
    assertEquals(events, scenario.events(held.workspaceId()).size());
  }

  @Test
  void whatIsMissingCannotBeDownloadedAndSaysSo() throws IOException {
    Artifact artifact = scenario.upload(held, "a.log", random(10));
    Files.delete(file(artifact));
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_WRONG_STATE,
            () ->
                assertFalse(
                    server
                        .as(Role.READER)
                        .artifacts()
                        .downloadArtifact(
                            DownloadArtifactRequest.newBuilder()
                                .setArtifactId(artifact.getArtifactId())
                                .build())
                        .hasNext()));
    assertEquals(
        Map.of("id", artifact.getArtifactId(), "state", "missing", "allowed", "in_data_directory"),
        refusal.metadata());
  }
}
