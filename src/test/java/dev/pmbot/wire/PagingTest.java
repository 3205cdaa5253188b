package dev.pmbot.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Pages;
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
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
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
  void aFilteredListIsInItsOrderHoweverLargeItsPages() {
    Workspace workspace = scenario.workspace();
    List<String> all = new ArrayList<>();
    for (int count = 0; count < 60; count++) {
      all.add(0, scenario.propose(workspace).getRun().getRunId());
    }
    for (int size : List.of(1, 24, 25, 26, 50, 51, 59, 60, 61)) {
      List<Run> found =
          Pages.all(token -> proposed(workspace, size, token), ListRunsResponse::getRunsList);
      assertEquals(all, found.stream().map(Run::getRunId).toList(), "pages of " + size);
    }
  }

  @Test
  void aFilteredPageAlsoEndsAtAMebibyte() {
    Workspace workspace = scenario.workspace();
    // 34 of them are less than a mebibyte, 35 are more.
    String specification = "{\"note\":\"" + "x".repeat(30_000) + "\"}";
    List<String> all = new ArrayList<>();
    for (int count = 0; count < 72; count++) {
      all.add(
          0,
          server
              .as(Role.OPERATOR)
              .runs()
              .createRun(scenario.newRun(workspace).setAgentRunSpecJson(specification).build())
              .getRun()
              .getRunId());
    }
    List<String> seen = new ArrayList<>();
    List<Integer> sizes = new ArrayList<>();
    String token = "";
    do {
      ListRunsResponse page = proposed(workspace, 500, token);
      sizes.add(page.getRunsCount());
      page.getRunsList().forEach(run -> seen.add(run.getRunId()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    assertEquals(List.of(34, 34, 4), sizes);
    assertEquals(all, seen);
  }

  /** A filtered list of keys, the largest first, and how many rows were read each time. */
  private static final class Keys {
    private final List<String> keys;
    private final int everyOther;
    private final int bytes;
    private final List<Integer> reads = new ArrayList<>();

    /**
     * So many keys.
     *
     * @param everyOther the first of so many is shown
     * @param bytes how large a row is
     */
    Keys(int count, int everyOther, int bytes) {
      keys =
          IntStream.iterate(count, key -> key > 0, key -> key - 1)
              .mapToObj("%05d"::formatted)
              .toList();
      this.everyOther = everyOther;
      this.bytes = bytes;
    }

    private List<Looked> look(@Nullable String behind, int limit) {
      int from = behind == null ? 0 : keys.indexOf(behind) + 1;
      return IntStream.range(from, Math.min(keys.size(), from + limit))
          .mapToObj(index -> new Looked(keys.get(index), index % everyOther == 0))
          .toList();
    }

    /** The rows, in the order of their keys, as an index may give them. */
    private List<String> read(List<String> wanted) {
      reads.add(wanted.size());
      return wanted.stream().sorted(Comparator.naturalOrder()).toList();
    }

    Paging.Page<Run> page(int size, String token) {
      return Paging.filtered(
          ListRunsRequest.newBuilder().setPageSize(size).setPageToken(token).build(),
          this::look,
          this::read,
          Function.identity(),
          key -> Run.newBuilder().setRunId(key).setGoal("x".repeat(bytes)).build());
    }

    /** How many rows are read each time for the first page. */
    List<Integer> reads(int size) {
      reads.clear();
      page(size, "");
      return List.copyOf(reads);
    }

    List<String> all(int size) {
      List<String> shown = new ArrayList<>();
      String token = "";
      do {
        Paging.Page<Run> page = page(size, token);
        page.items().forEach(run -> shown.add(run.getRunId()));
        token = page.nextPageToken();
      } while (!token.isEmpty());
      return shown;
    }
  }

  @Test
  void rowsAreReadAFewAtATimeAndNoneBeyondThePage() {
    Keys small = new Keys(200, 1, 10);
    assertEquals(List.of(1), small.reads(1));
    assertEquals(List.of(1, 24), small.reads(25));
    assertEquals(List.of(1, 25), small.reads(26));
    assertEquals(List.of(1, 25, 24), small.reads(50));
    assertEquals(List.of(1, 25, 25, 25, 25, 25, 25, 25, 24), small.reads(500));
    assertEquals(List.of(1, 1), new Keys(200, 1, 600_000).reads(500), "one fits");
    assertEquals(List.of(1, 25, 9), new Keys(200, 1, 30_000).reads(500), "34 fit");
    assertEquals(List.of(1, 25, 24), new Keys(200, 2, 10).reads(50), "of 51, then of 102");
    assertEquals(List.of(), new Keys(0, 1, 10).reads(50));
  }

  @Test
  void rowsThatComeInAnotherOrderAreShownInTheLists() {
    for (int everyOther : List.of(1, 2, 7)) {
      for (int bytes : List.of(10, 30_000, 600_000)) {
        Keys keys = new Keys(90, everyOther, bytes);
        List<String> shown =
            keys.look(null, 90).stream().filter(Looked::isTaken).map(Looked::key).toList();
        for (int size : List.of(3, 25, 26, 500)) {
          assertEquals(shown, keys.all(size), "pages of " + size);
        }
      }
    }
  }

  @Test
  void aRowThatWasLookedAtIsNeverLeftOut() {
    ListRunsRequest request = ListRunsRequest.newBuilder().setPageSize(9).build();
    Keys keys = new Keys(3, 1, 10);
    assertThrows(
        IllegalStateException.class,
        () ->
            Paging.filtered(
                request,
                keys::look,
                wanted -> wanted.subList(1, wanted.size()),
                Function.identity(),
                key -> Run.newBuilder().setRunId(key).build()));
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
