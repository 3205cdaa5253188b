package dev.pmbot.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** However a run ends, nobody is asked any more on its behalf; only a changeset may outlive it. */
final class EndingsTest {
  private static final Duration TERM = Duration.ofSeconds(60);

  @SuppressWarnings("NullAway.Init") // Set before all tests.
  private static TestServer server;

  @SuppressWarnings("NullAway.Init") // Set before all tests.
  private static Scenario scenario;

  @BeforeAll
  static void serve() {
    server = TestServer.start();
    scenario = new Scenario(server);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static Worker worker() {
    return new Worker(server.as(Role.WORKER));
  }

  private static void pass(Duration time) {
    server.time().advance(time);
  }

  private static Scenario.Held running() {
    Workspace workspace = scenario.workspace();
    return scenario.running(
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setRepoId(scenario.repo(workspace).getRepoId())
                    .setAgentRunSpecJson(
                        "{\"execution\":{\"budget\":{\"max_total_tokens\":100},\"max_attempts\":1}}")
                    .build()));
  }

  /** Goes on over its budget until it is told so, and then. */
  private static void overspend(Scenario.Held held) {
    worker().useTokens(held, 101);
    for (int third = 0; third < 2; third++) {
      pass(TERM.dividedBy(3));
      worker().renew(held);
    }
    pass(TERM.dividedBy(3));
    Failures.of(Reason.REASON_BUDGET_EXCEEDED, () -> worker().renew(held));
    pass(TERM);
  }

  private record Ending(RunStatus status, Consumer<Scenario.Held> how) {}

  private static Map<String, Ending> endings() {
    Map<String, Ending> endings = new LinkedHashMap<>();
    endings.put("completed", new Ending(RunStatus.RUN_STATUS_COMPLETED, scenario::complete));
    endings.put(
        "failed for good",
        new Ending(RunStatus.RUN_STATUS_FAILED, held -> worker().fail(held, false)));
    endings.put(
        "failed in its last attempt",
        new Ending(RunStatus.RUN_STATUS_FAILED, held -> worker().fail(held, true)));
    endings.put(
        "its worker died in its last attempt",
        new Ending(RunStatus.RUN_STATUS_FAILED, held -> pass(TERM)));
    endings.put(
        "over its budget for too long",
        new Ending(RunStatus.RUN_STATUS_FAILED, EndingsTest::overspend));
    endings.put(
        "cancelled, and released",
        new Ending(
            RunStatus.RUN_STATUS_CANCELLED,
            held -> {
              scenario.cancel(held.run());
              worker().release(held.runId(), held.leaseToken(), "told to");
            }));
    endings.put(
        "cancelled, and its worker died",
        new Ending(
            RunStatus.RUN_STATUS_CANCELLED,
            held -> {
              scenario.cancel(held.run());
              pass(TERM);
            }));
    endings.put(
        "cancelled while blocked, with nobody there",
        new Ending(
            RunStatus.RUN_STATUS_CANCELLED,
            held -> {
              worker().pause(held.runId(), held.leaseToken(), true);
              scenario.cancel(held.run());
            }));
    endings.put(
        "cancelled while blocked, and its worker died",
        new Ending(
            RunStatus.RUN_STATUS_CANCELLED,
            held -> {
              scenario.pause(held);
              scenario.cancel(held.run());
              pass(TERM);
            }));
    return endings;
  }

  @TestFactory
  Stream<DynamicTest> everyEndingClosesWhatIsOpen() {
    return endings().entrySet().stream()
        .map(
            ending ->
                DynamicTest.dynamicTest(
                    ending.getKey(), () -> closesWhatIsOpen(ending.getValue())));
  }

  private static void closesWhatIsOpen(Ending ending) {
    Scenario.Held held = running();
    Approval changeset = Proposals.propose(server, scenario, held).getApproval();
    List<Interrupt> raised =
        scenario.raise(
            held,
            Scenario.question("q", "Which?"),
            Scenario.toolCall("t", "Delete?"),
            Scenario.question("d", "And?"));
    Interrupt answered = scenario.answer(raised.get(2), "this");
    Approval asked =
        scenario.ask(held, ApprovalKind.APPROVAL_KIND_PUBLISH, "{\"title\":\"Publish?\"}");

    ending.how().accept(held);
    Run run = held.run();
    Await.until("the run has ended", () -> scenario.read(run).getStatus() == ending.status());

    for (Interrupt open : raised.subList(0, 2)) {
      Interrupt closed = scenario.read(open);
      assertEquals(InterruptStatus.INTERRUPT_STATUS_REJECTED, closed.getStatus());
      assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, closed.getClosedBy());
      assertEquals("system", closed.getActor());
      assertEquals("", closed.getDecisionJson());
      Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.answer(open, "late"));
    }
    for (Approval open : List.of(scenario.approval(raised.get(1)), asked)) {
      Approval closed = scenario.read(open);
      assertEquals(ApprovalStatus.APPROVAL_STATUS_REJECTED, closed.getStatus());
      assertEquals(ClosedBy.CLOSED_BY_RUN_ENDED, closed.getClosedBy());
      assertEquals("system", closed.getActor());
      Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.approve(open));
    }
    // What was decided stays what it was.
    assertEquals(answered, scenario.read(answered));
    assertEquals(List.of(InboxItem.newBuilder().setApproval(changeset).build()), inbox(run));
    assertEquals(ApprovalStatus.APPROVAL_STATUS_APPROVED, scenario.approve(changeset).getStatus());
    assertEquals(List.of(), inbox(run));
    assertClosedInTheTransactionThatEndedIt(run, ending);
  }

  private static List<InboxItem> inbox(Run run) {
    return server
        .as(Role.READER)
        .inbox()
        .listInbox(
            ListInboxRequest.newBuilder()
                .setFilter(InboxFilter.newBuilder().setRunId(run.getRunId()))
                .build())
        .getItemsList();
  }

  private static void assertClosedInTheTransactionThatEndedIt(Run run, Ending ending) {
    List<AuditEvent> events =
        scenario.events(
            EventFilter.newBuilder()
                .setWorkspaceId(run.getWorkspaceId())
                .setRunId(run.getRunId())
                .build());
    String type =
        "run." + ending.status().name().substring("RUN_STATUS_".length()).toLowerCase(Locale.ROOT);
    AuditEvent end =
        events.stream().filter(event -> event.getType().equals(type)).findFirst().orElseThrow();
    List<AuditEvent> closings =
        events.stream().filter(event -> event.getType().endsWith(".closed")).toList();
    assertEquals(
        List.of("approval.closed", "approval.closed", "interrupt.closed", "interrupt.closed"),
        closings.stream().map(AuditEvent::getType).sorted().toList());
    for (AuditEvent closing : closings) {
      assertEquals(end.getTxFirstSeq(), closing.getTxFirstSeq());
    }
  }
}
