package dev.pmbot.inbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.InboxChange;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.InboxItemKind;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.ListInboxResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The inbox and its stream, by workspace, run, kind and risk: both show the same. */
final class InboxFilterTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(scenario.repo(workspace));
  private final Scenario.Held other = scenario.running(workspace);

  @AfterEach
  void stop() {
    server.close();
  }

  /** Some of everything that can wait, in two runs and in another workspace. */
  @BeforeEach
  void ask() {
    scenario.propose(workspace);
    scenario.propose(scenario.workspace());
    Proposals.propose(server, scenario, held);
    for (Scenario.Held by : List.of(held, other)) {
      List<Question> questions = new ArrayList<>();
      for (Risk risk : List.of(Risk.RISK_UNSPECIFIED, Risk.RISK_HIGH)) {
        questions.add(Scenario.question("q" + risk, "?").toBuilder().setRisk(risk).build());
        for (int kind = 1; kind <= 3; kind++) {
          questions.add(
              Scenario.toolCall(kind + "c" + risk, "?").toBuilder()
                  .setKindValue(kind)
                  .setRisk(risk)
                  .build());
        }
      }
      scenario.raise(by, questions.toArray(Question[]::new));
      server.time().stepWall(Duration.ofSeconds(1));
      for (int kind = 2; kind <= 4; kind++) {
        scenario.ask(by, ApprovalKind.forNumber(kind), "{\"title\":\"?\"}");
      }
    }
  }

  private ListInboxResponse page(InboxFilter filter, int size, String token) {
    return server
        .as(Role.READER)
        .inbox()
        .listInbox(
            ListInboxRequest.newBuilder()
                .setFilter(filter)
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  private List<InboxItem> list(InboxFilter filter, int size) {
    return Pages.all(token -> page(filter, size, token), ListInboxResponse::getItemsList);
  }

  private static boolean takes(InboxFilter filter, InboxItem item) {
    Interrupt question = item.getInterrupt();
    Approval approval = item.getApproval();
    boolean asks = item.hasInterrupt();
    String kind =
        asks
            ? question.getKind().name().replace("INTERRUPT_KIND_", "").replace("APPROVE_", "")
            : approval.getKind().name().replace("APPROVAL_KIND_", "");
    return (filter.getWorkspaceId().isEmpty()
            || filter
                .getWorkspaceId()
                .equals(asks ? question.getWorkspaceId() : approval.getWorkspaceId()))
        && (filter.getRunId().isEmpty()
            || filter.getRunId().equals(asks ? question.getRunId() : approval.getRunId()))
        && (filter.getKindValue() == 0 || filter.getKind().name().equals("INBOX_ITEM_KIND_" + kind))
        && (filter.getRiskValue() == 0
            || filter.getRisk() == (asks ? question.getRisk() : approval.getRisk()));
  }

  private List<InboxFilter> filters() {
    List<InboxFilter> filters = new ArrayList<>();
    for (String workspaceId : List.of("", workspace.getWorkspaceId())) {
      for (String runId : List.of("", held.runId())) {
        for (int kind = 0; kind <= 6; kind++) {
          for (int risk = 0; risk <= 3; risk++) {
            filters.add(
                InboxFilter.newBuilder()
                    .setWorkspaceId(workspaceId)
                    .setRunId(runId)
                    .setKindValue(kind)
                    .setRiskValue(risk)
                    .build());
          }
        }
      }
    }
    return filters;
  }

  private Recording<StreamInboxResponse> follow(InboxFilter filter, String cursor) {
    return Recording.of(
        server.as(Role.READER).channel(),
        InboxServiceGrpc.getStreamInboxMethod(),
        StreamInboxRequest.newBuilder().setFilter(filter).setCursor(cursor).build());
  }

  private static List<InboxItem> entered(List<StreamInboxResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getChangesList().stream())
        .map(InboxChange::getEntered)
        .toList();
  }

  @Test
  void filtersMayBeCombinedFreelyAndAStreamBeginsWithWhatItsListShows() {
    List<InboxItem> all = list(InboxFilter.getDefaultInstance(), 500);
    assertEquals(2 + 1 + 2 * (8 + 3), all.size());
    for (InboxFilter filter : filters()) {
      List<InboxItem> expected = all.stream().filter(item -> takes(filter, item)).toList();
      assertEquals(expected, list(filter, 500), filter::toString);
      assertEquals(expected, list(filter, 2), filter::toString);
      try (Recording<StreamInboxResponse> stream = follow(filter, "")) {
        List<StreamInboxResponse> messages =
            stream.await("synced", seen -> seen.stream().anyMatch(StreamInboxResponse::hasSynced));
        assertEquals(expected, entered(messages), filter::toString);
      }
    }
  }

  @Test
  void aStreamTellsOfWhatItsFilterTakesAndOfNothingElse() {
    InboxFilter spends =
        InboxFilter.newBuilder()
            .setWorkspaceId(workspace.getWorkspaceId())
            .setKind(InboxItemKind.INBOX_ITEM_KIND_SPEND)
            .build();
    InboxFilter ofRun = InboxFilter.newBuilder().setRunId(other.runId()).build();
    InboxFilter high = InboxFilter.newBuilder().setRisk(Risk.RISK_HIGH).build();
    List<String> cursors = new ArrayList<>();
    for (InboxFilter filter : List.of(spends, ofRun, high)) {
      try (Recording<StreamInboxResponse> stream = follow(filter, "")) {
        cursors.add(stream.awaitMessage("synced", StreamInboxResponse::hasSynced).getCursor());
      }
    }
    Approval spend = scenario.askToSpend(held, "of one run");
    Approval otherSpend = scenario.askToSpend(other, "of another");
    Approval publish =
        scenario.ask(held, ApprovalKind.APPROVAL_KIND_PUBLISH, "{\"title\":\"high\"}");
    scenario.approve(otherSpend);
    scenario.approve(publish);
    scenario.reject(spend);
    String came = "entered ";
    String left = "left ";
    assertEquals(
        List.of(
            came + spend.getApprovalId(),
            came + otherSpend.getApprovalId(),
            left + otherSpend.getApprovalId(),
            left + spend.getApprovalId()),
        told(spends, cursors.get(0)));
    assertEquals(
        List.of(came + otherSpend.getApprovalId(), left + otherSpend.getApprovalId()),
        told(ofRun, cursors.get(1)));
    assertEquals(
        List.of(came + publish.getApprovalId(), left + publish.getApprovalId()),
        told(high, cursors.get(2)));
  }

  private List<String> told(InboxFilter filter, String cursor) {
    try (Recording<StreamInboxResponse> stream = follow(filter, cursor)) {
      return stream
          .await("synced", seen -> seen.stream().anyMatch(StreamInboxResponse::hasSynced))
          .stream()
          .flatMap(message -> message.getTransaction().getChangesList().stream())
          .map(
              change ->
                  change.hasEntered()
                      ? "entered " + change.getEntered().getApproval().getApprovalId()
                      : "left " + change.getLeft().getItem().getApproval().getApprovalId())
          .toList();
    }
  }

  @Test
  void aCursorAndATokenAreOfAllOfTheirFilter() {
    InboxFilter filter =
        InboxFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build();
    List<InboxFilter> others =
        List.of(
            filter.toBuilder().setRisk(Risk.RISK_HIGH).build(),
            filter.toBuilder().setKind(InboxItemKind.INBOX_ITEM_KIND_SPEND).build(),
            filter.toBuilder().setRunId(held.runId()).build(),
            filter.toBuilder().clearWorkspaceId().build());
    String token = page(filter, 1, "").getNextPageToken();
    assertFalse(token.isEmpty());
    String cursor;
    try (Recording<StreamInboxResponse> stream = follow(filter, "")) {
      cursor = stream.awaitMessage("synced", StreamInboxResponse::hasSynced).getCursor();
    }
    for (InboxFilter another : others) {
      Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> page(another, 1, token));
      try (Recording<StreamInboxResponse> stream = follow(another, cursor)) {
        assertEquals("CURSOR_OTHER_FILTER", stream.awaitRefusal().reason(), another.toString());
      }
    }
  }

  @Test
  void whatIsNamedMustBeThereAndTogether() {
    InboxFilter apart =
        InboxFilter.newBuilder()
            .setWorkspaceId(scenario.workspace().getWorkspaceId())
            .setRunId(held.runId())
            .build();
    assertEquals(
        Map.of("id", held.runId()),
        Failures.of(Reason.REASON_NOT_FOUND, () -> list(apart, 1)).metadata());
    try (Recording<StreamInboxResponse> stream = follow(apart, "")) {
      assertEquals("NOT_FOUND", stream.awaitRefusal().reason());
    }
    assertEquals(
        Set.of("filter.kind", "filter.risk"),
        Failures.of(
                Reason.REASON_INVALID_FIELDS,
                () -> list(InboxFilter.newBuilder().setKindValue(99).setRiskValue(99).build(), 1))
            .violations()
            .keySet());
  }
}
