package dev.pmbot.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Message;
import dev.pmbot.kit.Methods;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.ListEventsRequest;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.UploadArtifactRequest;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class FieldsTest {
  private static final String HEX = "0198aaaabbbb7ccc8ddd0123456789ab";
  private static final Fields FIELDS = new Fields();

  private static TreeMap<String, String> violations(Message message) {
    return FIELDS.violations(message).stream()
        .collect(
            Collectors.toMap(
                Violation::field,
                Violation::description,
                (one, two) -> one + "; " + two,
                TreeMap::new));
  }

  private static String said(String field, Message message) {
    return String.valueOf(violations(message).get(field));
  }

  private static CreateRunRequest.Builder goodRun() {
    return CreateRunRequest.newBuilder()
        .setWorkspaceId("ws_" + HEX)
        .setGoal("tidy the imports")
        .setGraphId("repo_change_proposer/v1");
  }

  @Test
  void aMessageThatKeepsAllRulesHasNoViolation() {
    assertEquals(List.of(), FIELDS.violations(goodRun().build()));
  }

  @Test
  void everyViolatedFieldIsNamedAtOnce() {
    CreateRunRequest request =
        CreateRunRequest.newBuilder()
            .setRequestId("not a uuid")
            .setWorkspaceId("")
            .setRepoId("run_" + HEX)
            .setGoal("")
            .setGraphId("has a space")
            .setThreadId("a\0b")
            .setAgentRunSpecJson("{")
            .build();
    assertEquals(
        Set.of(
            "request_id",
            "workspace_id",
            "repo_id",
            "goal",
            "graph_id",
            "thread_id",
            "agent_run_spec_json"),
        violations(request).keySet());
  }

  @Test
  void anIdOfAnotherKindIsToldSo() {
    String said = said("run_id", GetRunRequest.newBuilder().setRunId("repo_" + HEX).build());
    assertTrue(said.contains("another kind (repo)"), said);
    assertTrue(said.contains("run_ and 32 hex digits"), said);
  }

  @Test
  void aMissingIdIsToldWhatWouldBeRight() {
    String said = said("run_id", GetRunRequest.getDefaultInstance());
    assertTrue(said.contains("is required"), said);
    assertTrue(said.contains("run_ and 32 hex digits"), said);
  }

  @Test
  void anOptionalIdOfTheAuditFilterIsToldItsKindToo() {
    ListEventsRequest request =
        ListEventsRequest.newBuilder()
            .setFilter(EventFilter.newBuilder().setWorkspaceId("run_" + HEX))
            .build();
    String said = said("filter.workspace_id", request);
    assertTrue(said.contains("another kind (run)"), said);
  }

  @ParameterizedTest
  @ValueSource(strings = {"\0", "a\0", "\0a"})
  void noTextMayHoldNul(String text) {
    String said = said("goal", goodRun().setGoal(text).build());
    assertTrue(said.contains("NUL"), said);
  }

  @Test
  void fieldsOfRepeatedMessagesAreNamedByTheirPlace() {
    Question.Builder good =
        Question.newBuilder()
            .setExternalId("q")
            .setKind(InterruptKind.INTERRUPT_KIND_QUESTION)
            .setPayloadJson("{\"title\":\"t\"}");
    RaiseInterruptsRequest request =
        RaiseInterruptsRequest.newBuilder()
            .setRunId("run_" + HEX)
            .setLeaseToken("token")
            .setThreadId("thread")
            .addQuestions(good)
            .addQuestions(good.clone().setNodeId("a\0"))
            .addQuestions(good.clone().setPayloadJson("{\"a\":1,\"a\":2}").clearKind())
            .build();
    assertEquals(
        Set.of("questions[1].node_id", "questions[2].payload_json", "questions[2].kind"),
        violations(request).keySet());
  }

  @Test
  void elementsOfRepeatedTextsAreNamedByTheirPlace() {
    ClaimRunsRequest request =
        ClaimRunsRequest.newBuilder()
            .setWorkerId("worker-1")
            .addGraphIds("good/v1")
            .addGraphIds("bad one")
            .addGraphIds("good\0")
            .build();
    assertEquals(Set.of("graph_ids[1]", "graph_ids[2]"), violations(request).keySet());
  }

  @Test
  void fieldsBelowAOneofAreChecked() {
    UploadArtifactRequest request =
        UploadArtifactRequest.newBuilder()
            .setHeader(ArtifactHeader.newBuilder().setName("a").setMetadataJson("[1,]"))
            .build();
    assertEquals(
        Set.of("header.run_id", "header.kind", "header.metadata_json"),
        violations(request).keySet());
  }

  @Test
  void aRuleAboutAWholeMessageNamesIt() {
    ListApprovalsRequest nested =
        ListApprovalsRequest.newBuilder().setFilter(ApprovalFilter.getDefaultInstance()).build();
    assertEquals(Set.of("filter"), violations(nested).keySet());
    ListEventsRequest outermost =
        ListEventsRequest.newBuilder().setFilter(EventFilter.getDefaultInstance()).build();
    assertEquals(Set.of("request"), violations(outermost).keySet());
  }

  @Test
  void anEnumIsToldWhichValuesItTakes() {
    Question question =
        Question.newBuilder().setExternalId("q").setPayloadJson("{}").setKindValue(77).build();
    String said = said("kind", question);
    assertTrue(said.contains("INTERRUPT_KIND_QUESTION"), said);
    assertFalse(said.contains("UNSPECIFIED"), said);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\0\"}",
        "nul",
        "{} {}",
        "{\"a\":NaN}",
        " "
      })
  void textThatIsNoJsonIsRefusedWhereJsonIsMeant(String json) {
    CreateWorkspaceRequest request =
        CreateWorkspaceRequest.newBuilder().setName("n").setSettingsJson(json).build();
    assertEquals(Set.of("settings_json"), violations(request).keySet());
  }

  @Test
  void jsonIsLimitedInDepthAndSize() {
    CreateWorkspaceRequest.Builder request = CreateWorkspaceRequest.newBuilder().setName("n");
    String deepest = "[".repeat(64) + "]".repeat(64);
    assertEquals(Set.of(), violations(request.setSettingsJson(deepest).build()).keySet());
    assertEquals(
        Set.of("settings_json"),
        violations(request.setSettingsJson("[" + deepest + "]").build()).keySet());
    String largest = "\"" + "x".repeat(Fields.LARGEST_JSON - 2) + "\"";
    assertEquals(Set.of(), violations(request.setSettingsJson(largest).build()).keySet());
    assertEquals(
        Set.of("settings_json"),
        violations(request.setSettingsJson(largest + " ").build()).keySet());
  }

  @Test
  void theRulesOfEveryMethodCanBeApplied() {
    try (TestServer server = TestServer.start()) {
      Set<String> refused = new TreeSet<>();
      for (Methods.Method method : Methods.of(server)) {
        if (!FIELDS.violations(method.emptyRequest()).isEmpty()) {
          refused.add(method.name());
        }
      }
      // What names nothing at all is a good question only of these.
      Set<String> takesNothing =
          new TreeSet<>(
              Set.of(
                  "WorkspaceService/ListWorkspaces",
                  "InboxService/ListInbox",
                  "InboxService/StreamInbox",
                  "AuditService/TailEvents",
                  "ServerService/GetServerInfo"));
      Set<String> all =
          Methods.of(server).stream()
              .map(Methods.Method::name)
              .collect(Collectors.toCollection(TreeSet::new));
      all.removeAll(takesNothing);
      assertEquals(all, refused);
    }
  }
}
