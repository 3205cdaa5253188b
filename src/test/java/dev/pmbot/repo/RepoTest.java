package dev.pmbot.repo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.GetRepoRequest;
import dev.pmbot.v1.ListReposRequest;
import dev.pmbot.v1.ListReposResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.RepoStatus;
import dev.pmbot.v1.UpdateRepoRequest;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Repos: one of a name in a workspace, in any case of letters. */
final class RepoTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"octo/Hello", "OCTO/HELLO", "octo/hello", "oCtO/hElLo"})
  void aNameIsUniqueInAnyCaseOfLetters(String again) {
    Repo first = scenario.repo(workspace, "octo/Hello");
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_ALREADY_EXISTS, () -> scenario.repo(workspace, again));
    assertEquals(Status.Code.ALREADY_EXISTS, refusal.code());
    assertEquals(Map.of("id", first.getRepoId()), refusal.metadata());
    assertEquals(List.of(first), list(workspace));
  }

  @Test
  void anotherWorkspaceMayHaveARepoOfTheSameName() {
    Repo here = scenario.repo(workspace, "octo/hello");
    Workspace elsewhere = scenario.workspace();
    Repo there = scenario.repo(elsewhere, "octo/hello");
    assertNotEquals(here.getRepoId(), there.getRepoId());
    assertEquals(List.of(here), list(workspace));
    assertEquals(List.of(there), list(elsewhere));
  }

  @Test
  void aRepoIsKeptAsItWasRegistered() {
    Repo repo =
        server
            .as(Role.OPERATOR)
            .repos()
            .registerRepo(
                RegisterRepoRequest.newBuilder()
                    .setWorkspaceId(workspace.getWorkspaceId())
                    .setFullName("Octo-Org/.github_x")
                    .setDefaultBranch("trunk")
                    .build())
            .getRepo();
    assertEquals("Octo-Org/.github_x", repo.getFullName());
    assertEquals("trunk", repo.getDefaultBranch());
    assertEquals(RepoStatus.REPO_STATUS_ACTIVE, repo.getStatus());
    assertEquals(1, repo.getVersion());
    assertFalse(repo.hasLastSyncAt());
    assertEquals(
        repo,
        server
            .as(Role.READER)
            .repos()
            .getRepo(GetRepoRequest.newBuilder().setRepoId(repo.getRepoId()).build())
            .getRepo());
    assertEquals("main", scenario.repo(workspace).getDefaultBranch());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "octo", "octo/", "/hello", "octo/a/b", "octo /hello", "\u00f6cto/a"})
  void aNameIsAnOwnerAndARepo(String name) {
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> scenario.repo(workspace, name));
    assertEquals(Set.of("full_name"), refusal.violations().keySet());
  }

  @Test
  void aRepoJoinsAWorkspaceThatExists() {
    String nothing = "ws_" + "0".repeat(32);
    Workspace unknown = Workspace.newBuilder().setWorkspaceId(nothing).build();
    assertEquals(
        Map.of("id", nothing),
        Failures.of(Reason.REASON_NOT_FOUND, () -> scenario.repo(unknown)).metadata());
    assertEquals(
        Map.of("id", nothing),
        Failures.of(Reason.REASON_NOT_FOUND, () -> list(unknown)).metadata());
  }

  @Test
  void theListIsNewestFirst() {
    List<Repo> made = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      made.add(0, scenario.repo(workspace));
    }
    assertEquals(made, list(workspace));
  }

  private Repo update(UpdateRepoRequest.Builder request) {
    return server.as(Role.OPERATOR).repos().updateRepo(request.build()).getRepo();
  }

  private static UpdateRepoRequest.Builder from(Repo repo) {
    return UpdateRepoRequest.newBuilder().setRepoId(repo.getRepoId()).setVersion(repo.getVersion());
  }

  private static UpdateRepoRequest.Builder disable(Repo repo) {
    return from(repo).setStatus(RepoStatus.REPO_STATUS_DISABLED);
  }

  private List<String> updates() {
    return scenario.events(workspace.getWorkspaceId()).stream()
        .filter(event -> event.getType().equals("repo.updated"))
        .map(AuditEvent::getPayloadJson)
        .toList();
  }

  @Test
  void whatIsLeftOutStaysAndTheRecordSaysWhatChanged() {
    Repo first = scenario.repo(workspace);
    String id = first.getRepoId();
    Repo moved = update(from(first).setDefaultBranch("trunk"));
    assertEquals(first.toBuilder().setDefaultBranch("trunk").setVersion(2).build(), moved);
    Repo disabled = update(disable(moved));
    assertEquals(
        moved.toBuilder().setStatus(RepoStatus.REPO_STATUS_DISABLED).setVersion(3).build(),
        disabled);
    assertEquals(disabled, update(disable(disabled).setDefaultBranch("trunk")));
    Repo back =
        update(from(disabled).setStatus(RepoStatus.REPO_STATUS_ACTIVE).setDefaultBranch("main"));
    assertEquals(first.toBuilder().setVersion(4).build(), back);
    assertEquals(List.of(back), list(workspace));
    assertEquals(
        List.of(
            "{\"default_branch\":\"trunk\",\"repo_id\":\"%s\",\"version\":2}".formatted(id),
            "{\"repo_id\":\"%s\",\"status\":\"disabled\",\"version\":3}".formatted(id),
            "{\"default_branch\":\"main\",\"repo_id\":\"%s\",\"status\":\"active\",\"version\":4}"
                .formatted(id)),
        updates());
  }

  @Test
  void anUpdateOfAnOlderVersionIsRefusedAndToldTheCurrentOne() {
    Repo first = scenario.repo(workspace);
    Repo second = update(from(first).setDefaultBranch("trunk"));
    for (UpdateRepoRequest.Builder late :
        List.of(
            disable(first), from(first).setDefaultBranch("trunk"), disable(first).setVersion(9))) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_STALE_VERSION, () -> update(late.clone()));
      assertEquals(Status.Code.ABORTED, refusal.code());
      assertEquals(Map.of("id", first.getRepoId(), "version", "2"), refusal.metadata());
    }
    assertEquals(List.of(second), list(workspace));
    assertEquals(1, updates().size());
  }

  @Test
  void anUpdateNamesWhatChanges() {
    Repo repo = scenario.repo(workspace);
    assertEquals(
        Set.of("request"),
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> update(from(repo))).violations().keySet());
    assertEquals(
        Set.of("version", "default_branch", "status"),
        Failures.of(
                Reason.REASON_INVALID_FIELDS,
                () ->
                    update(
                        from(repo)
                            .setVersion(-1)
                            .setDefaultBranch("x".repeat(201))
                            .setStatusValue(99)))
            .violations()
            .keySet());
  }

  @Test
  void aDisabledRepoTakesNoNewRunAndThoseThatExistGoOn() {
    Repo repo = scenario.repo(workspace);
    CreateRunResponse before = scenario.propose(repo);
    Repo disabled = update(disable(repo));
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> scenario.propose(disabled));
    assertEquals(
        Map.of("id", repo.getRepoId(), "state", "disabled", "allowed", "active"),
        refusal.metadata());
    scenario.complete(scenario.running(before));
    update(from(disabled).setStatus(RepoStatus.REPO_STATUS_ACTIVE));
    scenario.propose(repo);
  }

  @Test
  void theListIsByStatusAndByName() {
    List<Repo> active = new ArrayList<>();
    List<Repo> disabled = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      active.add(0, scenario.repo(workspace));
      disabled.add(0, update(disable(scenario.repo(workspace))));
    }
    assertEquals(active, list(of(workspace).setStatus(RepoStatus.REPO_STATUS_ACTIVE).build()));
    assertEquals(disabled, list(of(workspace).setStatus(RepoStatus.REPO_STATUS_DISABLED).build()));
    Repo one = active.get(2);
    ListReposRequest named =
        of(workspace).setFullName(one.getFullName().toUpperCase(java.util.Locale.ROOT)).build();
    assertEquals(List.of(one), list(named));
    assertEquals(
        List.of(), list(named.toBuilder().setStatus(RepoStatus.REPO_STATUS_DISABLED).build()));
    assertEquals(
        List.of(),
        list(named.toBuilder().setWorkspaceId(scenario.workspace().getWorkspaceId()).build()));
    Failures.of(
        Reason.REASON_INVALID_PAGE_TOKEN,
        () ->
            server
                .as(Role.READER)
                .repos()
                .listRepos(
                    of(workspace)
                        .setStatus(RepoStatus.REPO_STATUS_ACTIVE)
                        .setPageToken(
                            server
                                .as(Role.READER)
                                .repos()
                                .listRepos(of(workspace).setPageSize(1).build())
                                .getNextPageToken())
                        .build()));
  }

  private static ListReposRequest.Builder of(Workspace workspace) {
    return ListReposRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId());
  }

  private List<Repo> list(Workspace of) {
    return list(of(of).build());
  }

  private List<Repo> list(ListReposRequest request) {
    return Pages.all(
        token ->
            server
                .as(Role.READER)
                .repos()
                .listRepos(request.toBuilder().setPageSize(2).setPageToken(token).build()),
        ListReposResponse::getReposList);
  }
}
