package dev.pmbot.repo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.GetRepoRequest;
import dev.pmbot.v1.ListReposRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.RepoStatus;
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

  private List<Repo> list(Workspace of) {
    List<Repo> found = new ArrayList<>();
    String token = "";
    do {
      var page =
          server
              .as(Role.READER)
              .repos()
              .listRepos(
                  ListReposRequest.newBuilder()
                      .setWorkspaceId(of.getWorkspaceId())
                      .setPageSize(2)
                      .setPageToken(token)
                      .build());
      found.addAll(page.getReposList());
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return found;
  }
}
