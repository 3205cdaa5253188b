package dev.pmbot.workspace;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetWorkspaceRequest;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.Reason;
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
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Workspaces: one name each, and settings whose known keys are right. */
final class WorkspaceTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);

  @AfterEach
  void stop() {
    server.close();
  }

  private Workspace create(String name, String settings) {
    return server
        .as(Role.OPERATOR)
        .workspaces()
        .createWorkspace(
            CreateWorkspaceRequest.newBuilder().setName(name).setSettingsJson(settings).build())
        .getWorkspace();
  }

  private List<Workspace> list() {
    List<Workspace> found = new ArrayList<>();
    String token = "";
    do {
      var page =
          server
              .as(Role.READER)
              .workspaces()
              .listWorkspaces(
                  ListWorkspacesRequest.newBuilder().setPageSize(2).setPageToken(token).build());
      found.addAll(page.getWorkspacesList());
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return found;
  }

  @Test
  void aNameIsUniqueAndTheOneThatHasItIsNamed() {
    Workspace first = scenario.workspace("mine");
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_ALREADY_EXISTS, () -> scenario.workspace("mine"));
    assertEquals(Status.Code.ALREADY_EXISTS, refusal.code());
    assertEquals(Map.of("id", first.getWorkspaceId()), refusal.metadata());
    assertEquals(List.of(first), list());
    // The name is a person's text: letters of another case make another name.
    assertNotEquals(first.getWorkspaceId(), scenario.workspace("Mine").getWorkspaceId());
  }

  @Test
  void theReservedNameIsTaken() {
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_ALREADY_EXISTS, () -> scenario.workspace("system"));
    assertEquals(Map.of("id", "system"), refusal.metadata());
  }

  @Test
  void settingsAreKeptByteForByte() {
    String settings =
        "{\"mine\": 1.10,\"budget\":{\"max_total_tokens\":1,\"max_cost_micros\":9223372036854775807,"
            + "\"other\":null},\"polling_interval_seconds\":1}";
    Workspace workspace = create("mine", settings);
    assertEquals(settings, workspace.getSettingsJson());
    assertEquals(
        workspace,
        server
            .as(Role.READER)
            .workspaces()
            .getWorkspace(
                GetWorkspaceRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build())
            .getWorkspace());
    assertEquals(1, workspace.getVersion());
    assertEquals("{}", create("another", "").getSettingsJson());
  }

  @Test
  void everythingThatIsWrongWithSettingsIsToldAtOnce() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                create(
                    "mine",
                    "{\"budget\":{\"max_total_tokens\":0,\"max_tool_calls\":\"3\","
                        + "\"max_cost_micros\":1.5,\"max_wall_seconds\":9223372036854775808},"
                        + "\"polling_interval_seconds\":-1}"));
    String budget = "settings_json.budget.";
    assertEquals(
        Set.of(
            budget + "max_total_tokens",
            budget + "max_tool_calls",
            budget + "max_cost_micros",
            budget + "max_wall_seconds",
            "settings_json.polling_interval_seconds"),
        refusal.violations().keySet());
    assertEquals(List.of(), list());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"[]", "1", "null", "\"x\"", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}"})
  void settingsAreOneObject(String settings) {
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> create("mine", settings));
    assertEquals(Set.of("settings_json"), refusal.violations().keySet());
  }

  @Test
  void aBudgetIsAnObject() {
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> create("mine", "{\"budget\":[]}"));
    assertEquals(Set.of("settings_json.budget"), refusal.violations().keySet());
  }

  @ParameterizedTest
  @CsvSource({"1, true", "200, true", "201, false", "0, false"})
  void aNameHas1To200Characters(int length, boolean allowed) {
    String name = "\uD83D\uDE00".repeat(length);
    if (allowed) {
      assertEquals(name, create(name, "").getName());
    } else {
      Failures.Refusal refusal = Failures.of(Reason.REASON_INVALID_FIELDS, () -> create(name, ""));
      assertEquals(Set.of("name"), refusal.violations().keySet());
    }
  }

  @Test
  void theListIsNewestFirstAndHidesTheReservedOne() {
    List<Workspace> made = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      made.add(0, scenario.workspace());
    }
    assertEquals(made, list());
  }

  @Test
  void anIdOfAnotherKindIsToldSo() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                server
                    .as(Role.READER)
                    .workspaces()
                    .getWorkspace(
                        GetWorkspaceRequest.newBuilder()
                            .setWorkspaceId("run_" + "0".repeat(32))
                            .build()));
    String told = String.valueOf(refusal.violations().get("workspace_id"));
    assertTrue(told.contains("another kind (run)") && told.contains("ws_"), told);
  }
}
