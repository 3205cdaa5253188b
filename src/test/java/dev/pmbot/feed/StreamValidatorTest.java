package dev.pmbot.feed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.feed.Told.Content;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Logs;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.LogHead;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * The validator must be able to fail: recordings of real streams, each with one thing wrong that a
 * server could do wrong.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init") // Set before the tests.
final class StreamValidatorTest {
  private final RecordedLog log = new RecordedLog();
  private final StreamValidator validator = new StreamValidator(log);
  private final DecisionsKind.Taken taken = new DecisionsKind.Taken();
  private final Map<String, Long> beforeSecond = new TreeMap<>();
  private final Map<String, Long> atTheEnd = new TreeMap<>();
  private final EventsKind all = new EventsKind(EventFilter.getDefaultInstance(), true);
  private EventsKind one;
  private EventsKind fromNow;
  private final InboxKind inbox = new InboxKind("");
  private DecisionsKind decisions;
  private RunKind run;
  private final Map<StreamKind<?, ?>, List<Connection>> recordings = new HashMap<>();
  private String takenInterrupt = "";

  private TestServer server;
  private Scenario scenario;
  private Workspace workspace;
  private Scenario.Held held;

  /** Two connections for each kind: one when half was done, and one behind its last cursor. */
  @BeforeAll
  void record(@TempDir Path folder) {
    server = TestServer.in(folder);
    scenario = new Scenario(server);
    workspace = scenario.workspace();
    Workspace other = scenario.workspace();
    held = scenario.running(workspace);
    one = EventsKind.of(EventFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()), true);
    fromNow = EventsKind.of(EventFilter.newBuilder().setRunId(held.runId()), false);
    decisions = new DecisionsKind(List.of(held.runId()), List.of(), taken);
    run = new RunKind(held.runId());
    List<StreamKind<?, ?>> kinds = kinds();

    List<Interrupt> questions =
        scenario.raise(
            held,
            Scenario.question("q1", "One?"),
            Scenario.toolCall("t1", "Two?"),
            Scenario.question("q2", "Three?"),
            Scenario.toolCall("t2", "Four?"));
    scenario.propose(workspace);
    scenario.propose(other);
    scenario.answer(questions.get(0), "yes");
    scenario.approve(questions.get(1));
    Map<String, Long> first = ends();
    Map<StreamKind<?, ?>, Recording<?>> open = new HashMap<>();
    kinds.forEach(kind -> open.put(kind, open(kind, "")));
    // The first connection sees some more, and ends.
    scenario.answer(questions.get(2), "no");
    scenario.propose(other);
    scenario.pause(held);
    String runId = held.runId();
    Map<StreamKind<?, ?>, Integer> live =
        Map.of(all, 3, one, 2, fromNow, 2, inbox, 2, decisions, 1, run, 1);
    kinds.forEach(kind -> recordings.put(kind, new ArrayList<>()));
    kinds.forEach(
        kind -> {
          List<Told> told =
              told(
                  kind,
                  Objects.requireNonNull(open.get(kind)),
                  Objects.requireNonNull(live.get(kind)));
          recording(kind).add(new Connection("", 1, Map.of(), first, told, Status.CANCELLED));
        });
    // Between the two.
    takenInterrupt = questions.get(0).getInterruptId();
    server
        .as(Role.WORKER)
        .interrupts()
        .acknowledgeDecisions(
            AcknowledgeDecisionsRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(held.leaseToken())
                .addInterruptIds(takenInterrupt)
                .build());
    List<Interrupt> more =
        scenario.raise(held, Scenario.question("q3", "Five?"), Scenario.question("q4", "Six?"));
    scenario.answer(more.get(0), "maybe");
    scenario.reject(scenario.propose(other).getApproval());
    scenario.answer(scenario.raise(held, Scenario.question("q5", "Seven?")).get(0), "as you were");
    scenario.raise(held, Scenario.question("q6", "Eight?"));
    scenario.pause(held);
    scenario.propose(workspace);
    beforeSecond.putAll(ends());
    atTheEnd.putAll(beforeSecond);
    for (StreamKind<?, ?> kind : kinds) {
      List<Told> before = recording(kind).get(0).told();
      String cursor = before.get(before.size() - 1).cursor();
      List<Told> told = told(kind, open(kind, cursor), 0);
      recording(kind)
          .add(new Connection(cursor, 3, beforeSecond, Map.of(), told, Status.CANCELLED));
    }
    Client reader = server.as(Role.OPERATOR);
    for (String id : atTheEnd.keySet()) {
      assertEquals(List.of(), log.add(id, Logs.events(reader, id)));
    }
    taken.note(takenInterrupt, 2);
  }

  private List<Connection> recording(StreamKind<?, ?> kind) {
    return Objects.requireNonNull(recordings.get(kind));
  }

  @AfterAll
  void stop() {
    server.close();
  }

  private Map<String, Long> ends() {
    Map<String, Long> ends = new TreeMap<>();
    for (String id : List.of(workspace.getWorkspaceId(), "system")) {
      ends.put(id, (long) scenario.events(id).size());
    }
    server
        .as(Role.READER)
        .workspaces()
        .listWorkspaces(dev.pmbot.v1.ListWorkspacesRequest.getDefaultInstance())
        .getWorkspacesList()
        .forEach(
            each ->
                ends.put(
                    each.getWorkspaceId(), (long) scenario.events(each.getWorkspaceId()).size()));
    ends.values().removeIf(seq -> seq == 0);
    return ends;
  }

  private <Q, R> Recording<R> open(StreamKind<Q, R> kind, String cursor) {
    Recording<R> recording =
        Recording.of(server.as(kind.role()).channel(), kind.method(), kind.request(cursor));
    recording.awaitMessage("in step", message -> kind.told(message).content() == Content.SYNCED);
    return recording;
  }

  /** What came until it was in step and so many transactions behind. */
  @SuppressWarnings("unchecked")
  private <R> List<Told> told(StreamKind<?, R> kind, Recording<?> recording, int behind) {
    try (Recording<R> open = (Recording<R>) recording) {
      return open
          .await(
              "what follows",
              messages -> {
                int synced = 0;
                while (kind.told(messages.get(synced)).content() != Content.SYNCED) {
                  synced++;
                }
                return messages.size() > synced + behind;
              })
          .stream()
          .map(kind::told)
          .toList();
    }
  }

  private List<String> complaints(StreamKind<?, ?> kind, Consumer<List<Connection>> change) {
    List<Connection> changed = new ArrayList<>();
    for (Connection connection : recording(kind)) {
      changed.add(connection.withTold(new ArrayList<>(connection.told())));
    }
    change.accept(changed);
    return validator.complaints(kind, changed);
  }

  private void assertFound(String what, StreamKind<?, ?> kind, Consumer<List<Connection>> change) {
    List<String> complaints = complaints(kind, change);
    assertTrue(
        complaints.stream().anyMatch(complaint -> complaint.contains(what)),
        () -> "looked for \"" + what + "\" in " + complaints);
  }

  private List<StreamKind<?, ?>> kinds() {
    return List.of(all, one, fromNow, inbox, decisions, run);
  }

  /** The place of a transaction in what was told, behind the opening. */
  private static int transaction(List<Told> told, int number) {
    int found = -1;
    for (int index = 0; index < told.size(); index++) {
      boolean counts =
          told.get(index).content() == Content.ITEMS && !told.get(index).cursor().isEmpty();
      if (counts && ++found == number) {
        return index;
      }
    }
    throw new AssertionError("no transaction " + number + " in " + told);
  }

  private static int synced(List<Told> told) {
    return told.indexOf(
        told.stream().filter(one -> one.content() == Content.SYNCED).findFirst().orElseThrow());
  }

  private static int where(List<Told> told, Predicate<Told> wanted) {
    return told.indexOf(told.stream().filter(wanted).findFirst().orElseThrow());
  }

  private static Told items(Told like, List<Object> facts) {
    return new Told(like.content(), like.cursor(), facts, like.heads());
  }

  @Test
  void whatTheServerReallySaidIsFine() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertEquals(List.of(), complaints(kind, untouched -> {}), kind.toString());
    }
  }

  @Test
  void aTransactionThatIsMissing() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "missed", kind, told -> told.get(1).told().remove(transaction(told.get(1).told(), 0)));
    }
  }

  @Test
  void theLastTransactionsThatAreMissing() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "in step without",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            last.subList(0, last.size() - 1).clear();
          });
    }
  }

  @Test
  void anEventThatIsMissingInItsTransaction() {
    for (StreamKind<?, ?> kind : List.of(all, one, fromNow)) {
      assertFound(
          "it told",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            int index = where(last, message -> message.facts().size() > 1);
            Told message = last.get(index);
            last.set(index, items(message, message.facts().subList(1, message.facts().size())));
          });
    }
  }

  @Test
  void aTransactionThatCameTwice() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "came again",
          kind,
          told -> {
            List<Told> first = told.get(0).told();
            int last = first.size() - 1;
            first.add(first.get(last));
          });
      assertFound(
          "came again",
          kind,
          told -> {
            List<Told> first = told.get(0).told();
            told.get(1).told().add(0, first.get(first.size() - 1));
          });
    }
  }

  @Test
  void anEventThatCameTwiceInItsTransaction() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "it told",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            int index = transaction(last, 0);
            List<Object> facts = new ArrayList<>(last.get(index).facts());
            facts.add(facts.get(0));
            last.set(index, items(last.get(index), facts));
          });
    }
  }

  @Test
  void transactionsInTheWrongOrder() {
    for (StreamKind<?, ?> kind : List.of(one, inbox, fromNow)) {
      assertFound(
          "missed",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            List<Integer> ofOneWorkspace = new ArrayList<>();
            for (int index = 0; index < last.size(); index++) {
              if (last.get(index).toString().contains(workspace.getWorkspaceId())) {
                ofOneWorkspace.add(index);
              }
            }
            Collections.swap(last, ofOneWorkspace.get(0), ofOneWorkspace.get(1));
          });
    }
  }

  @Test
  void eventsInTheWrongOrderWithinTheirTransaction() {
    for (StreamKind<?, ?> kind : List.of(all, one, fromNow, inbox)) {
      assertFound(
          "it told",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            int index = where(last, message -> message.facts().size() > 1);
            List<Object> facts = new ArrayList<>(last.get(index).facts());
            Collections.reverse(facts);
            last.set(index, items(last.get(index), facts));
          });
    }
  }

  @Test
  void aTransactionInTwoMessagesWithACursorEach() {
    for (StreamKind<?, ?> kind : List.of(all, one, fromNow, inbox)) {
      assertFound(
          "it told",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            int index = where(last, message -> message.facts().size() > 1);
            Told whole = last.get(index);
            last.set(index, Told.items("another", whole.facts().subList(0, 1)));
            last.add(index + 1, items(whole, whole.facts().subList(1, whole.facts().size())));
          });
    }
  }

  @Test
  void aTransactionInPartsIsFineIfOnlyTheLastHasACursor() {
    for (StreamKind<?, ?> kind : List.of(all, one, fromNow, inbox)) {
      assertEquals(
          List.of(),
          complaints(
              kind,
              told -> {
                List<Told> last = told.get(1).told();
                int index = where(last, message -> message.facts().size() > 1);
                Told whole = last.get(index);
                last.set(index, Told.items("", whole.facts().subList(0, 1)));
                last.add(index + 1, items(whole, whole.facts().subList(1, whole.facts().size())));
              }));
    }
  }

  @Test
  void twoTransactionsInOneMessage() {
    for (StreamKind<?, ?> kind : List.of(all, one, fromNow, inbox)) {
      assertFound(
          "it told",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            int first = transaction(last, 0);
            int second = transaction(last, 1);
            List<Object> both = new ArrayList<>(last.get(first).facts());
            both.addAll(last.get(second).facts());
            last.set(second, items(last.get(second), both));
            last.remove(first);
          });
    }
  }

  @Test
  void somethingThatNeverHappened() {
    AuditEvent real = log.events(workspace.getWorkspaceId()).get(0);
    AuditEvent changed = real.toBuilder().setPayloadJson("{}").build();
    Map<StreamKind<?, ?>, Object> lies =
        Map.of(
            all,
            changed,
            one,
            changed,
            fromNow,
            real,
            inbox,
            new InboxKind.Entered(workspace.getWorkspaceId(), "appr_0"),
            decisions,
            new DecisionsKind.Ended("appr_0", "approved"),
            run,
            changed);
    lies.forEach(
        (kind, lie) ->
            assertFound(
                "not on the record",
                kind,
                told -> told.get(1).told().add(0, Told.items("another", List.of(lie)))));
  }

  @Test
  void aStreamThatIsInStepTwiceOrNever() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "in step twice",
          kind,
          told -> told.get(1).told().add(told.get(1).told().get(synced(told.get(1).told()))));
      assertFound(
          "never got in step", kind, told -> told.get(1).told().remove(synced(told.get(1).told())));
    }
  }

  @Test
  void aStreamThatIsInStepTooEarly() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "in step without",
          kind,
          told -> {
            List<Told> last = told.get(1).told();
            Told synced = last.remove(synced(last));
            last.add(0, Told.synced("another"));
            last.add(synced);
          });
    }
  }

  @Test
  void aMessageThatShouldHaveACursor() {
    assertFound(
        "no cursor came",
        all,
        told -> {
          List<Told> last = told.get(1).told();
          last.set(synced(last), Told.synced(""));
        });
    assertFound(
        "did not come to its end",
        all,
        told -> {
          List<Told> last = told.get(1).told();
          int index = transaction(last, 0);
          Told left = last.get(index);
          last.subList(index, last.size() - 1).clear();
          last.add(index, Told.items("", left.facts()));
        });
  }

  @Test
  void aPartOfATransactionThatWasHandledBefore() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "again, a part",
          kind,
          told -> {
            List<Told> first = told.get(0).told();
            first.add(Told.items("", first.get(first.size() - 1).facts()));
          });
    }
  }

  @Test
  void aStreamThatShouldBeginWhereTheLogEndsAndBeginsEarlier() {
    AuditEvent old =
        log.events(workspace.getWorkspaceId()).stream()
            .filter(event -> event.getRunId().equals(held.runId()))
            .filter(event -> event.getType().equals("run.started"))
            .findFirst()
            .orElseThrow();
    Map<String, Long> known = Map.of(workspace.getWorkspaceId(), old.getSeq());
    assertFound(
        "older than the stream",
        fromNow,
        told -> {
          Connection first = told.get(0);
          List<Told> messages = new ArrayList<>(first.told());
          messages.add(1, Told.items("another", List.of(old)));
          told.set(0, new Connection("", 1, known, first.knownAfter(), messages, Status.CANCELLED));
        });
  }

  @Test
  void aRefusalThatNobodyDeserved() {
    for (StreamKind<?, ?> kind : kinds()) {
      assertFound(
          "it ended with",
          kind,
          told -> {
            Connection first = told.get(0);
            told.set(
                0,
                new Connection(
                    "", 1, Map.of(), first.knownAfter(), first.told(), Status.OUT_OF_RANGE));
          });
    }
  }

  @Test
  void aHeartbeatThatNamesAnotherHistory() {
    LogHead head =
        LogHead.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).setSeq(3).build();
    assertFound(
        "never ended at",
        all,
        told ->
            told.get(1)
                .told()
                .add(1, Told.heartbeat(told.get(1).told().get(0).cursor(), List.of(head))));
  }

  @Test
  void aStreamThatEndsAlthoughItsRunDoesNot() {
    assertFound(
        "it ended with",
        run,
        told -> {
          Connection first = told.get(0);
          told.set(0, new Connection("", 1, Map.of(), first.knownAfter(), first.told(), Status.OK));
        });
  }

  @Test
  void aRunThatIsNotShownAsItIs() {
    assertFound("not the run as it is", run, told -> told.get(0).told().remove(0));
  }

  // The inbox.

  @Test
  void anInboxThatDoesNotBeginWithWhatWaits() {
    assertFound("what waits at", inbox, told -> told.get(0).told().remove(0));
    Object known =
        recording(inbox).get(1).told().stream()
            .flatMap(message -> message.facts().stream())
            .filter(fact -> fact instanceof InboxKind.Entered)
            .findFirst()
            .orElseThrow();
    assertFound(
        "what waits at", inbox, told -> told.get(0).told().add(0, Told.items("", List.of(known))));
    assertFound(
        "stood before", inbox, told -> told.get(0).told().add(0, told.get(0).told().get(0)));
  }

  @Test
  void anInboxInTheWrongOrder() {
    assertFound("the riskiest first", inbox, told -> Collections.swap(told.get(0).told(), 0, 1));
  }

  @Test
  void anItemThatLeftForAnotherReason() {
    assertFound(
        "not on the record",
        inbox,
        told -> {
          List<Told> last = told.get(1).told();
          int index =
              where(
                  last,
                  message ->
                      message.facts().size() == 1
                          && message.facts().get(0) instanceof InboxKind.Left);
          InboxKind.Left left = (InboxKind.Left) last.get(index).facts().get(0);
          last.set(
              index,
              items(
                  last.get(index),
                  List.of(new InboxKind.Left(left.workspaceId(), left.id(), "superseded"))));
        });
  }

  // Decisions.

  @Test
  void decisionsThatStandAndAreNotHandedOver() {
    assertFound("never taken", decisions, told -> told.get(0).told().remove(1));
    // The one that was taken later may be missing: it may have been taken meanwhile.
    assertEquals(List.of(), complaints(decisions, told -> told.get(0).told().remove(0)));
    assertFound(
        "not in the order of ids", decisions, told -> Collections.swap(told.get(0).told(), 0, 1));
  }

  @Test
  void aDecisionThatWasTakenAndIsHandedOverAgain() {
    Told opening = recording(decisions).get(0).told().get(0);
    assertTrue(opening.facts().toString().contains(takenInterrupt));
    assertFound(
        "taken before the connection",
        decisions,
        told -> told.get(1).told().add(0, Told.items("another", opening.facts())));
    // A fresh beginning is no excuse.
    assertFound(
        "not to be handed over",
        decisions,
        told -> {
          Connection last = told.get(1);
          List<Told> again = new ArrayList<>(List.of(opening));
          again.addAll(told.get(0).told().subList(1, synced(told.get(0).told())));
          again.add(last.told().get(synced(last.told())));
          told.set(1, new Connection("", 3, beforeSecond, atTheEnd, again, Status.CANCELLED));
        });
  }

  @Test
  void aLogWithAHole() {
    List<AuditEvent> events = new ArrayList<>(log.events(workspace.getWorkspaceId()));
    assertEquals(List.of(), new RecordedLog().add(workspace.getWorkspaceId(), events));
    events.remove(3);
    assertFalse(new RecordedLog().add(workspace.getWorkspaceId(), events).isEmpty());
  }
}
