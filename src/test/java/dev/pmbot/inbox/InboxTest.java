package dev.pmbot.inbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.ListInboxResponse;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What waits for the person, in which order, and what does not. */
final class InboxTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  private static String id(InboxItem item) {
    return item.hasInterrupt()
        ? item.getInterrupt().getInterruptId()
        : item.getApproval().getApprovalId();
  }

  private ListInboxResponse page(String workspaceId, int size, String token) {
    return server
        .as(Role.READER)
        .inbox()
        .listInbox(
            ListInboxRequest.newBuilder()
                .setFilter(InboxFilter.newBuilder().setWorkspaceId(workspaceId))
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  private List<InboxItem> list(String workspaceId, int size) {
    return Pages.all(token -> page(workspaceId, size, token), ListInboxResponse::getItemsList);
  }

  private List<String> inbox() {
    return list(workspace.getWorkspaceId(), 0).stream().map(InboxTest::id).toList();
  }

  private static Question question(String id, Risk risk) {
    return Scenario.question(id, "?").toBuilder().setRisk(risk).build();
  }

  private void wait(int seconds) {
    server.time().advance(Duration.ofSeconds(seconds));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 100})
  void theRiskiestIsFirstAndThenTheOldest(int pageSize) {
    Scenario.Held held = scenario.running(scenario.repo(workspace));
    List<Interrupt> raised = new ArrayList<>();
    String lowStart = scenario.propose(workspace).getApproval().getApprovalId();
    wait(1);
    raised.addAll(
        scenario.raise(
            held,
            question("low", Risk.RISK_UNSPECIFIED),
            question("high", Risk.RISK_HIGH),
            question("medium", Risk.RISK_MEDIUM)));
    wait(1);
    ProposeChangesetResponse changeset = Proposals.propose(server, scenario, held);
    wait(1);
    String lowLater = scenario.propose(workspace).getApproval().getApprovalId();
    List<Interrupt> all =
        scenario.raise(
            held,
            question("low", Risk.RISK_UNSPECIFIED),
            question("high", Risk.RISK_HIGH),
            question("medium", Risk.RISK_MEDIUM),
            Scenario.toolCall("call", "?"),
            question("high2", Risk.RISK_HIGH));
    List<String> expected =
        List.of(
            raised.get(1).getInterruptId(),
            all.get(4).getInterruptId(),
            raised.get(2).getInterruptId(),
            changeset.getApproval().getApprovalId(),
            all.get(3).getInterruptId(),
            lowStart,
            raised.get(0).getInterruptId(),
            lowLater);
    assertEquals(
        expected, list(workspace.getWorkspaceId(), pageSize).stream().map(InboxTest::id).toList());
    assertEquals(expected, list("", pageSize).stream().map(InboxTest::id).toList());
  }

  @Test
  void onlyWhatWaitsAndBelongsThereIsThere() {
    CreateRunResponse proposed = scenario.propose(workspace);
    assertEquals(List.of(proposed.getApproval().getApprovalId()), inbox());
    Scenario.Held held = scenario.running(proposed);
    assertEquals(List.of(), inbox());
    // The approval of a question is not beside it.
    Interrupt call = scenario.raise(held, Scenario.toolCall("call", "?")).get(0);
    assertEquals(List.of(call.getInterruptId()), inbox());
    Interrupt other = scenario.raise(held, Scenario.toolCall("call", "else?")).get(0);
    assertEquals(List.of(other.getInterruptId()), inbox());
    scenario.approve(other);
    assertEquals(List.of(), inbox());
    Interrupt open = scenario.raise(held, Scenario.question("open", "?")).get(0);
    assertEquals(List.of(open.getInterruptId()), inbox());
    scenario.complete(held);
    assertEquals(List.of(), inbox());
  }

  @Test
  void anotherWorkspacesItemsAreInItsOwnInboxAndInThatOfAll() {
    String here = scenario.propose(workspace).getApproval().getApprovalId();
    Workspace elsewhere = scenario.workspace();
    wait(1);
    String there = scenario.propose(elsewhere).getApproval().getApprovalId();
    assertEquals(List.of(here), inbox());
    assertEquals(
        List.of(there), list(elsewhere.getWorkspaceId(), 0).stream().map(InboxTest::id).toList());
    assertEquals(List.of(here, there), list("", 0).stream().map(InboxTest::id).toList());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_NOT_FOUND, () -> list("ws_" + "0".repeat(32), 0));
    assertEquals(Map.of("id", "ws_" + "0".repeat(32)), refusal.metadata());
  }

  @Test
  void aPageIsNeitherCutNorRepeatedWhileItemsComeAndGo() {
    Scenario.Held held = scenario.running(scenario.repo(workspace));
    List<Question> questions = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      questions.add(question("q" + i, Risk.forNumber(1 + i % 3)));
    }
    List<Interrupt> raised = scenario.raise(held, questions.toArray(Question[]::new));
    List<String> standing = new ArrayList<>(inbox());
    assertEquals(60, standing.size());
    List<String> seen = new ArrayList<>();
    String token = "";
    int round = 0;
    do {
      ListInboxResponse page = page(workspace.getWorkspaceId(), 7, token);
      page.getItemsList().forEach(item -> seen.add(id(item)));
      token = page.getNextPageToken();
      // Between two pages one that was seen and one that was not go, and a new one comes.
      wait(1);
      String came = scenario.propose(workspace).getApproval().getApprovalId();
      standing.add(came);
      String gone = raised.get(round * 5).getInterruptId();
      scenario.answer(raised.get(round * 5), "done");
      if (!seen.contains(gone)) {
        standing.remove(gone);
      }
      round++;
    } while (!token.isEmpty());
    assertTrue(round > 5, "one page would prove nothing");
    assertEquals(seen.size(), new HashSet<>(seen).size(), "an item came twice");
    List<String> missed = new ArrayList<>(standing);
    missed.removeAll(seen);
    // What came behind the last page cannot have been on it.
    assertTrue(missed.size() <= 1, "missed " + missed);
  }

  @Test
  void aTokenIsOfItsQuery() {
    scenario.propose(workspace);
    scenario.propose(workspace);
    String token = page(workspace.getWorkspaceId(), 1, "").getNextPageToken();
    Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> page("", 1, token));
    Failures.of(
        Reason.REASON_INVALID_PAGE_TOKEN, () -> page(workspace.getWorkspaceId(), 1, "x" + token));
    assertEquals(1, page(workspace.getWorkspaceId(), 500, token).getItemsCount());
  }

  @Test
  void anItemSaysWhatIsAsked() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt raised = scenario.raise(held, Scenario.toolCall("call", "Delete?")).get(0);
    InboxItem item = list(workspace.getWorkspaceId(), 0).get(0);
    assertEquals(raised, item.getInterrupt());
    assertEquals(InterruptKind.INTERRUPT_KIND_APPROVE_TOOL_CALL, item.getInterrupt().getKind());
  }
}
