package dev.pmbot.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.ListReposRequest;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.ListRunsResponse;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.ListWorkspacesResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PagingTest {
  @TempDir Path folder;
  private TestServer server;
  private Scenario scenario;

  @BeforeEach
  void start() {
    server = TestServer.in(folder);
    scenario = new Scenario(server);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private ListWorkspacesResponse workspaces(int size, String token) {
    return server
        .as(Role.READER)
        .workspaces()
        .listWorkspaces(
            ListWorkspacesRequest.newBuilder().setPageSize(size).setPageToken(token).build());
  }

  private ListRunsResponse proposed(Workspace workspace, int size, String token) {
    return server
        .as(Role.READER)
        .runs()
        .listRuns(
            ListRunsRequest.newBuilder()
                .setWorkspaceId(workspace.getWorkspaceId())
                .setStatus(RunStatus.RUN_STATUS_PROPOSED)
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  @Test
  void rowsThatComeBetweenPagesMoveNothing() {
    List<String> before = new ArrayList<>();
    for (int count = 0; count < 23; count++) {
      before.add(0, scenario.workspace().getWorkspaceId());
      server.time().stepWall(Duration.ofMillis(count % 3));
    }
    List<String> seen = new ArrayList<>();
    String token = "";
    do {
      ListWorkspacesResponse page = workspaces(4, token);
      page.getWorkspacesList().forEach(workspace -> seen.add(workspace.getWorkspaceId()));
      token = page.getNextPageToken();
      scenario.workspace();
    } while (!token.isEmpty());
    assertEquals(before, seen);
  }

  @Test
  void aClockThatStepsBackMayMisplaceRowsButLosesAndRepeatsNone() {
    List<String> before = new ArrayList<>();
    for (int count = 0; count < 23; count++) {
      before.add(scenario.workspace().getWorkspaceId());
      server.time().stepWall(count % 5 == 0 ? Duration.ofHours(-1) : Duration.ofSeconds(1));
    }
    List<String> seen = new ArrayList<>();
    String token = "";
    int pages = 0;
    do {
      ListWorkspacesResponse page = workspaces(4, token);
      page.getWorkspacesList().forEach(workspace -> seen.add(workspace.getWorkspaceId()));
      token = page.getNextPageToken();
      server.time().stepWall(pages % 2 == 0 ? Duration.ofHours(-2) : Duration.ofHours(2));
      scenario.workspace();
      pages++;
    } while (!token.isEmpty());
    assertEquals(seen.size(), new HashSet<>(seen).size(), "a row was repeated");
    assertTrue(seen.containsAll(before), "a row was lost");
  }

  @Test
  void rowsThatGoBetweenPagesLoseNoOther() {
    Workspace workspace = scenario.workspace();
    List<CreateRunResponse> runs = new ArrayList<>();
    for (int count = 0; count < 40; count++) {
      runs.add(scenario.propose(workspace));
    }
    Random random = new Random(7);
    Set<String> gone = new HashSet<>();
    List<String> seen = new ArrayList<>();
    String token = "";
    do {
      ListRunsResponse page = proposed(workspace, 3, token);
      page.getRunsList().stream().map(Run::getRunId).forEach(seen::add);
      token = page.getNextPageToken();
      CreateRunResponse leaves = runs.get(random.nextInt(runs.size()));
      if (gone.add(leaves.getRun().getRunId())) {
        scenario.approve(leaves.getApproval());
      }
    } while (!token.isEmpty());
    assertEquals(seen.size(), new HashSet<>(seen).size(), "a row was repeated");
    Set<String> lost = new HashSet<>();
    runs.forEach(run -> lost.add(run.getRun().getRunId()));
    seen.forEach(lost::remove);
    assertTrue(gone.containsAll(lost), "a row that stayed was lost");
  }

  @Test
  void aPageThatEndsTheListHasNoNext() {
    for (int count = 0; count < 50; count++) {
      scenario.workspace();
    }
    ListWorkspacesResponse first = workspaces(25, "");
    assertEquals(25, first.getWorkspacesCount());
    ListWorkspacesResponse second = workspaces(25, first.getNextPageToken());
    assertEquals(25, second.getWorkspacesCount());
    assertEquals("", second.getNextPageToken());
    assertEquals(50, workspaces(0, "").getWorkspacesCount(), "the default is 50");
    assertEquals(50, workspaces(500, "").getWorkspacesCount());
  }

  @Test
  void anEmptyListHasOnePage() {
    ListRunsResponse page = proposed(scenario.workspace(), 10, "");
    assertEquals(0, page.getRunsCount());
    assertEquals("", page.getNextPageToken());
  }

  @Test
  void anotherSizeGoesOnAtTheSamePlace() {
    List<String> all = new ArrayList<>();
    for (int count = 0; count < 9; count++) {
      all.add(0, scenario.workspace().getWorkspaceId());
    }
    ListWorkspacesResponse first = workspaces(2, "");
    ListWorkspacesResponse rest = workspaces(100, first.getNextPageToken());
    assertEquals(
        all,
        Stream.concat(first.getWorkspacesList().stream(), rest.getWorkspacesList().stream())
            .map(Workspace::getWorkspaceId)
            .toList());
  }

  @Test
  void aPageAlsoEndsAtAMebibyte() {
    String settings = "{\"note\":\"" + "x".repeat(300 << 10) + "\"}";
    for (int count = 0; count < 9; count++) {
      server
          .as(Role.OPERATOR)
          .workspaces()
          .createWorkspace(
              CreateWorkspaceRequest.newBuilder()
                  .setName("large " + count)
                  .setSettingsJson(settings)
                  .build());
    }
    List<String> names = new ArrayList<>();
    List<Integer> sizes = new ArrayList<>();
    String token = "";
    do {
      ListWorkspacesResponse page = workspaces(500, token);
      sizes.add(page.getWorkspacesCount());
      page.getWorkspacesList().forEach(workspace -> names.add(workspace.getName()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    assertEquals(List.of(3, 3, 3), sizes);
    assertEquals(9, new HashSet<>(names).size());
    assertEquals("large 8", names.get(0));
    assertEquals("large 0", names.get(8));
  }

  @Test
  void aForgedTokenIsRefused() {
    scenario.workspace();
    scenario.workspace();
    String token = workspaces(1, "").getNextPageToken();
    byte[] bytes = Base64.getUrlDecoder().decode(token);
    for (int index = 0; index < bytes.length; index++) {
      byte[] changed = bytes.clone();
      changed[index] ^= 1;
      String forged = Base64.getUrlEncoder().withoutPadding().encodeToString(changed);
      Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> workspaces(1, forged));
    }
    for (String forged : List.of("x", "%%%", "AAAAAAAAAAA", token + token)) {
      Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> workspaces(1, forged));
    }
  }

  @Test
  void aTokenOfAnotherQueryIsRefused() {
    Workspace one = scenario.workspace();
    Workspace two = scenario.workspace();
    scenario.propose(one);
    scenario.propose(one);
    String token = proposed(one, 1, "").getNextPageToken();
    assertFalse(token.isEmpty());
    Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> proposed(two, 1, token));
    Failures.of(
        Reason.REASON_INVALID_PAGE_TOKEN,
        () ->
            server
                .as(Role.READER)
                .runs()
                .listRuns(
                    ListRunsRequest.newBuilder()
                        .setWorkspaceId(one.getWorkspaceId())
                        .setPageToken(token)
                        .build()));
  }

  @Test
  void aTokenOfAnotherMethodIsRefused() {
    Workspace workspace = scenario.workspace();
    Repo repo = scenario.repo(workspace);
    scenario.repo(workspace);
    String token =
        server
            .as(Role.READER)
            .repos()
            .listRepos(
                ListReposRequest.newBuilder()
                    .setWorkspaceId(repo.getWorkspaceId())
                    .setPageSize(1)
                    .build())
            .getNextPageToken();
    assertFalse(token.isEmpty());
    // Another message type whose bytes are the same: only the method tells the queries apart.
    Failures.of(
        Reason.REASON_INVALID_PAGE_TOKEN,
        () ->
            server
                .as(Role.READER)
                .runs()
                .listRuns(
                    ListRunsRequest.newBuilder()
                        .setWorkspaceId(workspace.getWorkspaceId())
                        .setPageToken(token)
                        .build()));
  }
}
