package dev.pmbot.interrupt;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.Timestamp;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Filters;
import dev.pmbot.kit.Pages;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptFilter;
import dev.pmbot.v1.ListInterruptsRequest;
import dev.pmbot.v1.ListInterruptsResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Lists of questions, by anything and everything. */
final class InterruptListTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Scenario.Held held = scenario.running(workspace);

  @AfterEach
  void stop() {
    server.close();
  }

  private ListInterruptsResponse page(InterruptFilter filter, int size, String token) {
    return server
        .as(Role.READER)
        .interrupts()
        .listInterrupts(
            ListInterruptsRequest.newBuilder()
                .setFilter(filter)
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  private List<Interrupt> list(InterruptFilter filter, int size) {
    return Pages.all(token -> page(filter, size, token), ListInterruptsResponse::getInterruptsList);
  }

  /** Asks in rounds: what is not named again is superseded, a third of the rest is decided. */
  private void ask(Scenario.Held by) {
    for (int round = 0; round < 3; round++) {
      List<Question> questions = new ArrayList<>();
      for (int kind = 1; kind <= 4; kind++) {
        Question question =
            kind == 4
                ? Scenario.question("q" + round, "?")
                : Scenario.toolCall("c" + kind + round, "?").toBuilder().setKindValue(kind).build();
        questions.add(
            kind == round + 1 ? question.toBuilder().setRisk(Risk.RISK_HIGH).build() : question);
      }
      List<Interrupt> raised = scenario.raise(by, questions.toArray(Question[]::new));
      scenario.approve(raised.get(round));
      if (round > 0) {
        scenario.answer(raised.get(3), "this");
      }
      server.time().stepWall(Duration.ofMinutes(7));
    }
  }

  @Test
  void filtersMayBeCombinedFreely() {
    Scenario.Held other = scenario.running(workspace);
    Scenario.Held elsewhere = scenario.running(scenario.workspace());
    List.of(held, other, elsewhere).forEach(this::ask);
    scenario.complete(held);
    Scenario.Held later =
        scenario.start(scenario.claim(scenario.approved(workspace)), held.threadId());
    ask(later);

    InterruptFilter scope =
        InterruptFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build();
    List<Interrupt> all = list(scope, 500);
    assertEquals(3 * 12, all.size());
    int filters =
        Filters.assertShown(
            scope,
            Map.of(
                "run_id", List.of(held.runId()),
                "thread_id", List.of(held.threadId()),
                "kind", List.of(1, 2, 4),
                "status", List.of(1, 2, 3, 4),
                "risk", List.of(1, 2, 3),
                "created_after", List.of(all.get(30).getCreatedAt()),
                "created_before", List.of(all.get(3).getCreatedAt())),
            all,
            filter -> list(filter, 500));
    assertEquals(2 * 2 * 4 * 5 * 4 * 2 * 2, filters);
    InterruptFilter byRun = InterruptFilter.newBuilder().setRunId(held.runId()).build();
    InterruptFilter byThread = InterruptFilter.newBuilder().setThreadId(held.threadId()).build();
    assertEquals(12, list(byRun, 500).size());
    assertEquals(24, list(byThread, 500).size());
    for (InterruptFilter filter : List.of(scope, byRun, byThread)) {
      assertEquals(list(filter, 500), list(filter, 5));
    }
    assertEquals(List.of(), list(byThread.toBuilder().setThreadId("of nobody").build(), 500));
  }

  @Test
  void whatIsNamedMustBeThereAndTogether() {
    InterruptFilter byRun = InterruptFilter.newBuilder().setRunId(held.runId()).build();
    String other = scenario.workspace().getWorkspaceId();
    assertEquals(
        Map.of("id", held.runId()),
        Failures.of(
                Reason.REASON_NOT_FOUND,
                () -> list(byRun.toBuilder().setWorkspaceId(other).build(), 1))
            .metadata());
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                list(
                    InterruptFilter.newBuilder()
                        .setThreadId("x".repeat(201))
                        .setKindValue(99)
                        .setRiskValue(99)
                        .setStatusValue(99)
                        .setCreatedBefore(Timestamp.newBuilder().setNanos(-1))
                        .build(),
                    1));
    assertEquals(
        Set.of(
            "filter.thread_id",
            "filter.kind",
            "filter.risk",
            "filter.status",
            "filter.created_before"),
        refusal.violations().keySet());
    assertEquals(
        Set.of("filter"),
        Failures.of(
                Reason.REASON_INVALID_FIELDS,
                () -> list(InterruptFilter.newBuilder().setKindValue(1).build(), 1))
            .violations()
            .keySet());
  }
}
