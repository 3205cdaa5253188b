package dev.pmbot.workspace;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetWorkspaceRequest;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.ListWorkspacesResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.UpdateWorkspaceRequest;
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
    return Pages.all(
        token ->
            server
                .as(Role.READER)
                .workspaces()
                .listWorkspaces(
                    ListWorkspacesRequest.newBuilder().setPageSize(2).setPageToken(token).build()),
        ListWorkspacesResponse::getWorkspacesList);
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

  private Workspace update(UpdateWorkspaceRequest.Builder request) {
    return server.as(Role.OPERATOR).workspaces().updateWorkspace(request.build()).getWorkspace();
  }

  private static UpdateWorkspaceRequest.Builder from(Workspace workspace) {
    return UpdateWorkspaceRequest.newBuilder()
        .setWorkspaceId(workspace.getWorkspaceId())
        .setVersion(workspace.getVersion());
  }

  private Workspace read(Workspace workspace) {
    return server
        .as(Role.READER)
        .workspaces()
        .getWorkspace(
            GetWorkspaceRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build())
        .getWorkspace();
  }

  private List<String> updates(Workspace workspace) {
    return scenario.events(workspace.getWorkspaceId()).stream()
        .filter(event -> event.getType().equals("workspace.updated"))
        .map(AuditEvent::getPayloadJson)
        .toList();
  }

  @Test
  void whatIsLeftEmptyStaysAndTheRecordSaysWhatChanged() {
    Workspace first = create("mine", "{\"a\":1}");
    String id = first.getWorkspaceId();
    Workspace renamed = update(from(first).setName("ours"));
    assertEquals(first.toBuilder().setName("ours").setVersion(2).build(), renamed);
    String settings = "{\"a\": 1.10, \"password\":\"hunter2hunter2\"}";
    Workspace set = update(from(renamed).setSettingsJson(settings));
    assertEquals(renamed.toBuilder().setSettingsJson(settings).setVersion(3).build(), set);
    assertEquals(set, read(first));
    Workspace both = update(from(set).setName("theirs").setSettingsJson("{}"));
    assertEquals(
        set.toBuilder().setName("theirs").setSettingsJson("{}").setVersion(4).build(), both);
    assertEquals(
        List.of(
            "{\"name\":\"ours\",\"previous_name\":\"mine\",\"version\":2,\"workspace_id\":\"%s\"}"
                .formatted(id),
            "{\"settings\":{\"a\": 1.10, \"password\":\"[redacted:password]\"},\"version\":3,\"workspace_id\":\"%s\"}"
                .formatted(id),
            "{\"name\":\"theirs\",\"previous_name\":\"ours\",\"settings\":{},\"version\":4,\"workspace_id\":\"%s\"}"
                .formatted(id)),
        updates(first));
    // The name that was given up may be taken.
    assertEquals("mine", scenario.workspace("mine").getName());
  }

  @Test
  void anUpdateThatChangesNothingLeavesNoTrace() {
    Workspace workspace = create("mine", "{\"a\":1}");
    assertEquals(workspace, update(from(workspace).setName("mine").setSettingsJson("{\"a\":1}")));
    assertEquals(List.of(), updates(workspace));
  }

  @Test
  void anUpdateOfAnOlderVersionIsRefusedAndToldTheCurrentOne() {
    Workspace first = create("mine", "");
    Workspace second = update(from(first).setName("ours"));
    for (UpdateWorkspaceRequest.Builder late :
        List.of(
            from(first).setName("theirs"),
            from(first).setName("ours"),
            from(first).setName("theirs").setVersion(3))) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_STALE_VERSION, () -> update(late.clone()));
      assertEquals(Status.Code.ABORTED, refusal.code());
      assertEquals(Map.of("id", first.getWorkspaceId(), "version", "2"), refusal.metadata());
    }
    assertEquals(second, read(first));
    assertEquals(1, updates(first).size());
  }

  @Test
  void anUpdateKeepsTheRulesOfACreation() {
    Workspace workspace = create("mine", "");
    Workspace other = scenario.workspace("ours");
    assertEquals(
        Map.of("id", other.getWorkspaceId()),
        Failures.of(Reason.REASON_ALREADY_EXISTS, () -> update(from(workspace).setName("ours")))
            .metadata());
    assertEquals(
        Map.of("id", "system"),
        Failures.of(Reason.REASON_ALREADY_EXISTS, () -> update(from(workspace).setName("system")))
            .metadata());
    assertEquals(
        Set.of("settings_json.polling_interval_seconds"),
        Failures.of(
                Reason.REASON_INVALID_FIELDS,
                () ->
                    update(
                        from(workspace)
                            .setName("better")
                            .setSettingsJson("{\"polling_interval_seconds\":0}")))
            .violations()
            .keySet());
    assertEquals(
        Set.of("version", "name", "settings_json"),
        Failures.of(
                Reason.REASON_INVALID_FIELDS,
                () ->
                    update(
                        from(workspace)
                            .setVersion(0)
                            .setName("x".repeat(201))
                            .setSettingsJson("{")))
            .violations()
            .keySet());
    assertEquals(
        Set.of("request"),
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> update(from(workspace)))
            .violations()
            .keySet());
    assertEquals(workspace, read(workspace));
    assertEquals(List.of(), updates(workspace));
  }

  @Test
  void settingsThatTheirSecretsMakeTooLargeForTheRecordAreRefused() {
    Workspace workspace = create("mine", "");
    StringBuilder settings = new StringBuilder("{\"all\":[");
    for (int i = 0; i < 100_000; i++) {
      settings.append(i == 0 ? "" : ",").append("{\"pwd\":1}");
    }
    String json = settings.append("]}").toString();
    Failures.of(Reason.REASON_TOO_LARGE, () -> update(from(workspace).setSettingsJson(json)));
    assertEquals(workspace, read(workspace));
  }

  @Test
  void theFirstAnswerComesAgainAlsoWhenLargeSettingsHaveChangedSince() {
    String large = "{\"note\":\"" + "x".repeat(10_000) + "\"}";
    CreateWorkspaceRequest request =
        Scenario.withRequestId(
            CreateWorkspaceRequest.newBuilder().setName("mine").setSettingsJson(large).build());
    Workspace first = server.as(Role.OPERATOR).workspaces().createWorkspace(request).getWorkspace();
    update(from(first).setSettingsJson("{}"));
    assertEquals(
        first, server.as(Role.OPERATOR).workspaces().createWorkspace(request).getWorkspace());
  }

  @Test
  void aWorkspaceIsFoundByItsName() {
    scenario.workspace("mine");
    Workspace ours = scenario.workspace("ours");
    assertEquals(List.of(ours), named("ours"));
    assertEquals(List.of(), named("Ours"));
    assertEquals(List.of(), named("system"));
  }

  private List<Workspace> named(String name) {
    return server
        .as(Role.READER)
        .workspaces()
        .listWorkspaces(ListWorkspacesRequest.newBuilder().setName(name).build())
        .getWorkspacesList();
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
