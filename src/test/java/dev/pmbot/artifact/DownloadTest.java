package dev.pmbot.artifact;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.DownloadArtifactResponse;
import dev.pmbot.v1.GetArtifactRequest;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.wire.Principal.Role;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Content as it is read back. */
final class DownloadTest {
  private static final int CHUNK = 256 << 10;

  @SuppressWarnings("NullAway.Init") // Set before all tests.
  private static TestServer server;

  @SuppressWarnings("NullAway.Init") // Set before all tests.
  private static Scenario scenario;

  @SuppressWarnings("NullAway.Init") // Set before all tests.
  private static Scenario.Held held;

  @BeforeAll
  static void serve() {
    server = TestServer.start();
    scenario = new Scenario(server);
    held = scenario.running(scenario.workspace());
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static byte[] random(int size) {
    byte[] content = new byte[size];
    new Random(size).nextBytes(content);
    return content;
  }

  private static Artifact stored(int size) {
    return scenario.upload(held, "of-" + size, random(size));
  }

  /** What comes from an offset; each message is held to what all promise. */
  private static byte[] download(Artifact artifact, long offset) {
    Iterator<DownloadArtifactResponse> messages =
        server
            .as(Role.READER)
            .artifacts()
            .downloadArtifact(
                DownloadArtifactRequest.newBuilder()
                    .setArtifactId(artifact.getArtifactId())
                    .setOffset(offset)
                    .build());
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    boolean first = true;
    while (messages.hasNext()) {
      DownloadArtifactResponse message = messages.next();
      assertEquals(first, message.hasArtifact());
      if (first) {
        assertEquals(artifact, message.getArtifact());
      }
      assertEquals(offset + content.size(), message.getOffset());
      assertTrue(message.getChunk().size() <= CHUNK);
      content.writeBytes(message.getChunk().toByteArray());
      first = false;
    }
    assertFalse(first, "not even the metadata came");
    return content.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5})
  void contentComesBackAsItWasStored(int size) {
    Artifact artifact = stored(size);
    byte[] content = download(artifact, 0);
    assertArrayEquals(random(size), content);
    assertEquals(artifact.getHash(), Uploads.sha256(content));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 1",
    "1000000, 1",
    "1000000, 262143",
    "1000000, 262144",
    "1000000, 262145",
    "1000000, 999999",
    "1000000, 1000000",
    "524288, 262144"
  })
  void contentComesFromAnOffset(int size, int offset) {
    assertArrayEquals(
        Arrays.copyOfRange(random(size), offset, size), download(stored(size), offset));
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "10, 11", "10, 9223372036854775807"})
  void anOffsetBeyondTheEndIsRefused(int size, long offset) {
    Artifact artifact = stored(size);
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> download(artifact, offset));
    assertEquals(Set.of("offset"), refusal.violations().keySet());
    assertTrue(refusal.message().contains(Integer.toString(size)), refusal.message());
  }

  @Test
  void aNegativeOffsetIsRefused() {
    Artifact artifact = stored(10);
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> download(artifact, -1));
    assertEquals(Set.of("offset"), refusal.violations().keySet());
  }

  @Test
  void whatDoesNotExistIsNotFound() {
    String nothing = "art_" + "0".repeat(32);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_NOT_FOUND,
            () -> download(Artifact.newBuilder().setArtifactId(nothing).build(), 0));
    assertEquals(Map.of("id", nothing), refusal.metadata());
  }

  @Test
  void metadataIsReadByIdAndListedNewestFirstAndByKind() {
    Scenario.Held other = scenario.running(scenario.workspace());
    List<Artifact> stored = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      stored.add(0, scenario.upload(other, "n" + i, random(i)));
    }
    assertEquals(
        stored.get(2),
        server
            .as(Role.READER)
            .artifacts()
            .getArtifact(
                GetArtifactRequest.newBuilder()
                    .setArtifactId(stored.get(2).getArtifactId())
                    .build())
            .getArtifact());
    List<Artifact> listed = new ArrayList<>();
    String token = "";
    do {
      var page =
          server
              .as(Role.READER)
              .artifacts()
              .listArtifacts(
                  ListArtifactsRequest.newBuilder()
                      .setRunId(other.runId())
                      .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                      .setPageSize(2)
                      .setPageToken(token)
                      .build());
      listed.addAll(page.getArtifactsList());
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    assertEquals(stored, listed);
    assertEquals(
        List.of(),
        server
            .as(Role.READER)
            .artifacts()
            .listArtifacts(
                ListArtifactsRequest.newBuilder()
                    .setRunId(other.runId())
                    .setKind(ArtifactKind.ARTIFACT_KIND_PATCH)
                    .build())
            .getArtifactsList());
  }
}
