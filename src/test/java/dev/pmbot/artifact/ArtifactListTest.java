package dev.pmbot.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Timestamps;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.store.QueryPlans;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.ListArtifactsResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Principal.Role;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which artifacts a list shows, and from which index. */
final class ArtifactListTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  private ListArtifactsResponse page(ListArtifactsRequest request, String token) {
    return server
        .as(Role.READER)
        .artifacts()
        .listArtifacts(request.toBuilder().setPageSize(2).setPageToken(token).build());
  }

  private List<Artifact> list(ListArtifactsRequest request) {
    List<Artifact> found = new ArrayList<>();
    String token = "";
    do {
      ListArtifactsResponse page = page(request, token);
      found.addAll(page.getArtifactsList());
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return found;
  }

  private Artifact store(Scenario.Held held, int number) throws Throwable {
    ArtifactHeader header =
        ArtifactHeader.newBuilder()
            .setRunId(held.runId())
            .setLeaseToken(held.leaseToken())
            .setKindValue(2 + number % 2)
            .setName("n" + number)
            .build();
    return Uploads.upload(server.as(Role.WORKER), header, new byte[number]);
  }

  private static boolean takes(ListArtifactsRequest request, Artifact one) {
    return (request.getWorkspaceId().isEmpty()
            || request.getWorkspaceId().equals(one.getWorkspaceId()))
        && (request.getRunId().isEmpty() || request.getRunId().equals(one.getRunId()))
        && (request.getKindValue() == 0 || request.getKind() == one.getKind())
        && (!request.hasCreatedAfter()
            || Timestamps.compare(one.getCreatedAt(), request.getCreatedAfter()) >= 0)
        && (!request.hasCreatedBefore()
            || Timestamps.compare(one.getCreatedAt(), request.getCreatedBefore()) < 0);
  }

  @Test
  void filtersMayBeCombinedFreely() throws Throwable {
    Scenario.Held one = scenario.running(workspace);
    List<Scenario.Held> runs =
        List.of(one, scenario.running(workspace), scenario.running(scenario.workspace()));
    List<Artifact> all = new ArrayList<>();
    for (int round = 0; round < 6; round++) {
      for (Scenario.Held held : runs) {
        all.add(0, store(held, round));
        server.time().stepWall(Duration.ofMinutes(9));
      }
    }
    Timestamp early = all.get(12).getCreatedAt();
    Timestamp late = all.get(5).getCreatedAt();
    List<ListArtifactsRequest> requests = new ArrayList<>();
    for (String workspaceId : List.of("", workspace.getWorkspaceId())) {
      for (String runId : List.of("", one.runId())) {
        if (workspaceId.isEmpty() && runId.isEmpty()) {
          continue;
        }
        for (int kind : List.of(0, 2, 3, 4)) {
          ListArtifactsRequest request =
              ListArtifactsRequest.newBuilder()
                  .setWorkspaceId(workspaceId)
                  .setRunId(runId)
                  .setKindValue(kind)
                  .build();
          requests.add(request);
          requests.add(request.toBuilder().setCreatedAfter(early).build());
          requests.add(request.toBuilder().setCreatedBefore(late).build());
          requests.add(request.toBuilder().setCreatedAfter(early).setCreatedBefore(late).build());
        }
      }
    }
    for (ListArtifactsRequest request : requests) {
      assertEquals(
          all.stream().filter(artifact -> takes(request, artifact)).toList(),
          list(request),
          request::toString);
    }
  }

  @Test
  void aRunIsOfItsWorkspace() {
    Scenario.Held elsewhere = scenario.running(scenario.workspace());
    ListArtifactsRequest request =
        ListArtifactsRequest.newBuilder()
            .setWorkspaceId(workspace.getWorkspaceId())
            .setRunId(elsewhere.runId())
            .build();
    assertEquals(
        Map.of("id", elsewhere.runId()),
        Failures.of(Reason.REASON_NOT_FOUND, () -> list(request)).metadata());
    String nothing = "ws_" + "0".repeat(32);
    Failures.of(
        Reason.REASON_NOT_FOUND,
        () -> list(ListArtifactsRequest.newBuilder().setWorkspaceId(nothing).build()));
  }

  @Test
  void aWorkspaceOrARunIsNamed() {
    assertEquals(
        Set.of("request"),
        Failures.of(
                Reason.REASON_INVALID_FIELDS, () -> list(ListArtifactsRequest.getDefaultInstance()))
            .violations()
            .keySet());
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "w, -, -,   artifacts_workspace_artifact",
        "w, -, LOG, artifacts_workspace_kind_artifact",
        "-, r, -,   artifacts_run_artifact",
        "w, r, LOG, artifacts_run_artifact"
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String workspaceId, String runId, ArtifactKind kind, String index, @TempDir Path folder)
      throws SQLException {
    ArtifactQuery query = new ArtifactQuery(workspaceId, runId, kind, new Created(1, 2));
    try (QueryPlans plans = new QueryPlans(folder, ArtifactMapper.class)) {
      plans.assertServedBy(
          index, ArtifactMapper.class, mapper -> mapper.look(query, "art_1", "art_2", 25));
    }
  }

  @Test
  void oneIsFoundByItsKeyAndByItsPlace(@TempDir Path folder) throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, ArtifactMapper.class)) {
      plans.assertServedBy(
          "sqlite_autoindex_artifacts_1",
          ArtifactMapper.class,
          mapper -> mapper.findAll(List.of("art_1", "art_2")));
      plans.assertServedBy(
          "sqlite_autoindex_artifacts_1", ArtifactMapper.class, mapper -> mapper.find("art_1"));
      plans.assertServedBy(
          "artifacts_run_uri",
          ArtifactMapper.class,
          mapper -> mapper.findByUri("run_1", "s3://bucket/key"));
    }
  }
}
