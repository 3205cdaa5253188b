package dev.pmbot.feed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Cuts;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.ClosedBy;
import dev.pmbot.v1.Decision;
import dev.pmbot.v1.DecisionItem;
import dev.pmbot.v1.InboxChange;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.ListInboxResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is promised of the log holds of every view of it: the inbox, and what was decided. */
final class OtherStreamsTest {
  @TempDir Path folder;
  private TestServer server;
  private Scenario scenario;
  private Workspace workspace;

  @BeforeEach
  void start() {
    server = TestServer.in(folder);
    scenario = new Scenario(server);
    workspace = scenario.workspace();
    server.as(Role.WORKER);
    server.as(Role.READER);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static String id(InboxItem item) {
    return item.hasInterrupt()
        ? item.getInterrupt().getInterruptId()
        : item.getApproval().getApprovalId();
  }

  private Recording<StreamInboxResponse> inbox(String cursor) {
    return Recording.of(
        server.as(Role.READER).channel(),
        InboxServiceGrpc.getStreamInboxMethod(),
        StreamInboxRequest.newBuilder().setCursor(cursor).build());
  }

  private Recording<WatchDecisionsResponse> decisions(WatchDecisionsRequest request) {
    return Recording.of(
        server.as(Role.WORKER).channel(), InterruptServiceGrpc.getWatchDecisionsMethod(), request);
  }

  private static WatchDecisionsRequest ofRun(Scenario.Held held, String cursor) {
    return WatchDecisionsRequest.newBuilder().addRunIds(held.runId()).setCursor(cursor).build();
  }

  private static List<InboxChange> changes(List<StreamInboxResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getChangesList().stream())
        .toList();
  }

  private static List<DecisionItem> items(List<WatchDecisionsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getItemsList().stream())
        .toList();
  }

  private Set<String> waiting() {
    Set<String> items = new TreeSet<>();
    String token = "";
    do {
      ListInboxResponse page =
          server
              .as(Role.READER)
              .inbox()
              .listInbox(
                  ListInboxRequest.newBuilder().setPageSize(500).setPageToken(token).build());
      page.getItemsList().forEach(item -> items.add(id(item)));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return items;
  }

  /** What a client's inbox holds that has applied these changes. */
  private static Set<String> applied(List<InboxChange> changes) {
    Set<String> items = new TreeSet<>();
    for (InboxChange change : changes) {
      if (change.hasEntered()) {
        assertTrue(items.add(id(change.getEntered())), () -> "it entered twice: " + change);
      } else {
        assertTrue(
            items.remove(id(change.getLeft().getItem())), () -> "it was not there: " + change);
      }
    }
    return items;
  }

  private Thread writer(int rounds, AtomicBoolean done) {
    Thread thread =
        new Thread(
            () -> {
              for (int round = 0; round < rounds; round++) {
                scenario.propose(workspace);
                Scenario.Held held = scenario.running(workspace);
                List<Interrupt> raised =
                    scenario.raise(
                        held, Scenario.question("q1", "One?"), Scenario.toolCall("t1", "Two?"));
                scenario.approve(raised.get(1));
                scenario.complete(held);
              }
              done.set(true);
            });
    thread.start();
    return thread;
  }

  @Test
  void anInboxThatIsCutAndResumedWhileOthersWriteIsTheInboxAsItIs() throws InterruptedException {
    scenario.propose(workspace);
    scenario.propose(workspace);
    AtomicBoolean done = new AtomicBoolean();
    Thread writer = writer(15, done);
    Cuts<StreamInboxResponse> client =
        new Cuts<>(
            server.as(Role.READER).channel(),
            InboxServiceGrpc.getStreamInboxMethod(),
            StreamInboxResponse::getCursor,
            StreamInboxResponse::hasSynced);
    client.follow(
        cursor -> StreamInboxRequest.newBuilder().setCursor(cursor).build(),
        new Random(3),
        done::get);
    writer.join();
    int[] further = {0};
    client.follow(
        cursor -> StreamInboxRequest.newBuilder().setCursor(cursor).build(),
        new Random(4),
        () -> further[0]++ > 2 && client.handled().get(client.handled().size() - 1).hasSynced());
    assertEquals(waiting(), applied(changes(client.handled())));
    assertTrue(client.connections() > 3);
  }

  @Test
  void anInboxBeginsWithWhatWaitsIsInStepOnceAndFollows() {
    scenario.propose(workspace);
    Scenario.Held held = scenario.running(workspace);
    Interrupt question = scenario.raise(held, Scenario.question("q1", "One?")).get(0);
    try (Recording<StreamInboxResponse> stream = inbox("")) {
      List<StreamInboxResponse> begin =
          stream.await("in step", all -> all.stream().anyMatch(StreamInboxResponse::hasSynced));
      assertEquals(3, begin.size());
      assertEquals(waiting(), applied(changes(begin)));
      assertEquals("", begin.get(0).getCursor());
      assertFalse(begin.get(2).getCursor().isEmpty());
      scenario.answer(question, "this");
      StreamInboxResponse left =
          stream.awaitMessage(
              "it left",
              message ->
                  message.getTransaction().getChangesList().stream().anyMatch(c -> c.hasLeft()));
      assertEquals(
          ClosedBy.CLOSED_BY_DECISION, left.getTransaction().getChanges(0).getLeft().getClosedBy());
      assertEquals(1, stream.messages().stream().filter(StreamInboxResponse::hasSynced).count());
    }
  }

  @Test
  void anAnswerThatLooksLikeTheServersOwnWordsLeavesTheInboxAsEveryOtherDoes() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt question = scenario.raise(held, Scenario.question("q1", "One?")).get(0);
    try (Recording<StreamInboxResponse> stream = inbox("")) {
      stream.awaitMessage("in step", StreamInboxResponse::hasSynced);
      scenario.resolve(question, "{\"answer\":{\"decision_void\":true}}");
      scenario.propose(workspace);
      List<StreamInboxResponse> all =
          stream.await(
              "the proposal behind it",
              messages ->
                  changes(messages).stream().anyMatch(change -> change.getEntered().hasApproval()));
      assertEquals(waiting(), applied(changes(all)));
    }
  }

  @Test
  void whatLeftByADecisionLeftByItAlsoWhenItIsToldAfterTheDecisionBecameVoid() {
    Scenario.Held held = scenario.running(workspace);
    Interrupt question = scenario.raise(held, Scenario.question("q1", "One?")).get(0);
    String cursor;
    try (Recording<StreamInboxResponse> stream = inbox("")) {
      cursor = stream.awaitMessage("in step", StreamInboxResponse::hasSynced).getCursor();
    }
    scenario.answer(question, "this");
    scenario.raise(held, Scenario.question("q1", "Something else?"));
    try (Recording<StreamInboxResponse> stream = inbox(cursor)) {
      List<InboxChange> all =
          changes(
              stream.await("in step", messages -> messages.stream().anyMatch(m -> m.hasSynced())));
      assertEquals(2, all.size(), all.toString());
      assertEquals(question.getInterruptId(), id(all.get(0).getLeft().getItem()));
      assertEquals(ClosedBy.CLOSED_BY_DECISION, all.get(0).getLeft().getClosedBy());
      assertTrue(all.get(1).hasEntered());
    }
  }

  @Test
  void aTransactionThatShowsVeryMuchComesInParts() {
    Scenario.Held held = scenario.running(workspace);
    String cursor;
    try (Recording<StreamInboxResponse> stream = inbox("")) {
      cursor = stream.awaitMessage("in step", StreamInboxResponse::hasSynced).getCursor();
    }
    // Each round closes what the last one asked: as much again in the same transaction.
    for (int round = 0; round < 2; round++) {
      List<Question> questions = new ArrayList<>();
      for (int number = 0; number < 4; number++) {
        questions.add(
            Scenario.question(round + "q" + number, "t").toBuilder()
                .setPayloadJson("{\"title\":\"t\",\"context\":\"" + "x".repeat(900_000) + "\"}")
                .build());
      }
      scenario.raise(held, questions.toArray(Question[]::new));
    }
    try (Recording<StreamInboxResponse> stream = inbox(cursor)) {
      List<StreamInboxResponse> all =
          stream.await("in step", messages -> messages.stream().anyMatch(m -> m.hasSynced()));
      assertEquals(waiting(), applied(changes(all)));
      assertEquals(12, changes(all).size());
      for (StreamInboxResponse message : all) {
        assertTrue(
            message.getSerializedSize() < 2 << 20,
            () -> "a message of " + message.getSerializedSize() + " bytes");
      }
      List<String> cursors =
          all.stream().map(StreamInboxResponse::getCursor).filter(c -> !c.isEmpty()).toList();
      assertEquals(3, cursors.size(), "one for each transaction, and one in step");
    }
  }

  @Test
  void aWorkerThatIsCutAndResumedGetsEachDecisionOnce() throws InterruptedException {
    Scenario.Held held = scenario.running(workspace);
    AtomicBoolean done = new AtomicBoolean();
    Set<String> decided = new TreeSet<>();
    Thread writer =
        new Thread(
            () -> {
              for (int round = 0; round < 40; round++) {
                Interrupt question =
                    scenario.raise(held, Scenario.question("q" + round, "One?")).get(0);
                scenario.answer(question, "answer " + round);
                decided.add(question.getInterruptId());
              }
              done.set(true);
            });
    writer.start();
    Cuts<WatchDecisionsResponse> client =
        new Cuts<>(
            server.as(Role.WORKER).channel(),
            InterruptServiceGrpc.getWatchDecisionsMethod(),
            WatchDecisionsResponse::getCursor,
            WatchDecisionsResponse::hasSynced);
    client.follow(cursor -> ofRun(held, cursor), new Random(5), done::get);
    writer.join();
    int[] further = {0};
    client.follow(
        cursor -> ofRun(held, cursor),
        new Random(6),
        () -> further[0]++ > 2 && client.handled().get(client.handled().size() - 1).hasSynced());
    List<Decision> got =
        items(client.handled()).stream()
            .filter(DecisionItem::hasDecision)
            .map(DecisionItem::getDecision)
            .toList();
    List<String> ids = got.stream().map(Decision::getInterruptId).toList();
    assertEquals(decided.size(), new HashSet<>(ids).size(), "a decision was missed");
    assertEquals(ids.size(), new HashSet<>(ids).size(), "a decision came twice");
    assertEquals(decided, new TreeSet<>(ids));
    for (int index = 0; index < got.size(); index++) {
      assertEquals("q" + index, got.get(index).getExternalId());
      assertEquals("{\"answer\":\"answer " + index + "\"}", got.get(index).getDecisionJson());
    }
  }

  @Test
  void decisionsComeAgainUntilTheyAreAcknowledged() {
    Scenario.Held held = scenario.running(workspace);
    List<Interrupt> raised =
        scenario.raise(held, Scenario.question("q1", "One?"), Scenario.question("q2", "Two?"));
    raised.forEach(question -> scenario.answer(question, "yes"));
    for (int time = 0; time < 2; time++) {
      assertEquals(List.of("q1", "q2"), snapshot(held));
    }
    server
        .as(Role.WORKER)
        .interrupts()
        .acknowledgeDecisions(
            AcknowledgeDecisionsRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .addInterruptIds(raised.get(0).getInterruptId())
                .build());
    assertEquals(List.of("q2"), snapshot(held));
    server.restart();
    assertEquals(List.of("q2"), snapshot(held));
  }

  private List<String> snapshot(Scenario.Held held) {
    try (Recording<WatchDecisionsResponse> stream = decisions(ofRun(held, ""))) {
      return items(stream.await("in step", all -> all.stream().anyMatch(m -> m.hasSynced())))
          .stream()
          .map(item -> item.getDecision().getExternalId())
          .toList();
    }
  }

  @Test
  void decisionsOfAThreadComeToItsWorkerAndNoOther() {
    Scenario.Held one = scenario.running(workspace);
    Scenario.Held two = scenario.running(workspace);
    WatchDecisionsRequest request =
        WatchDecisionsRequest.newBuilder().addThreadIds(one.threadId()).build();
    try (Recording<WatchDecisionsResponse> stream = decisions(request)) {
      stream.awaitMessage("in step", WatchDecisionsResponse::hasSynced);
      Interrupt others = scenario.raise(two, Scenario.question("q2", "Two?")).get(0);
      Interrupt own = scenario.raise(one, Scenario.question("q1", "One?")).get(0);
      scenario.answer(others, "not for you");
      scenario.answer(own, "for you");
      stream.awaitMessage("a decision", message -> message.getTransaction().getItemsCount() > 0);
      assertEquals(
          List.of("q1"),
          items(stream.messages()).stream()
              .map(item -> item.getDecision().getExternalId())
              .toList());
    }
  }

  @Test
  void quietStreamsOfEveryKindHaveAHeartbeat() {
    Scenario.Held held = scenario.running(workspace);
    try (Recording<StreamInboxResponse> inbox = inbox("");
        Recording<WatchDecisionsResponse> decisions = decisions(ofRun(held, ""))) {
      inbox.awaitMessage("in step", StreamInboxResponse::hasSynced);
      decisions.awaitMessage("in step", WatchDecisionsResponse::hasSynced);
      server.time().advance(Duration.ofSeconds(15));
      long end = scenario.events(workspace.getWorkspaceId()).size();
      assertEquals(
          end,
          decisions
              .awaitMessage("a heartbeat", WatchDecisionsResponse::hasHeartbeat)
              .getHeartbeat()
              .getHeads(0)
              .getSeq());
      String cursor =
          inbox.awaitMessage("a heartbeat", StreamInboxResponse::hasHeartbeat).getCursor();
      try (Recording<StreamInboxResponse> resumed = inbox(cursor)) {
        resumed.awaitMessage("in step", StreamInboxResponse::hasSynced);
        assertEquals(List.of(), changes(resumed.messages()));
      }
    }
  }

  @Test
  void theStopOfAServerTellsStreamsOfEveryKindToComeAgain() {
    Scenario.Held held = scenario.running(workspace);
    Recording<StreamInboxResponse> inbox = inbox("");
    Recording<WatchDecisionsResponse> decisions = decisions(ofRun(held, ""));
    inbox.awaitMessage("in step", StreamInboxResponse::hasSynced);
    decisions.awaitMessage("in step", WatchDecisionsResponse::hasSynced);
    server.stop();
    for (Failures.Refusal refusal : List.of(inbox.awaitRefusal(), decisions.awaitRefusal())) {
      assertEquals(Status.Code.UNAVAILABLE, refusal.code());
      assertEquals("SHUTTING_DOWN", refusal.reason());
    }
    server.restart(untouched -> {});
  }

  private String inStep(Recording<WatchDecisionsResponse> stream) {
    try (stream) {
      return stream.awaitMessage("in step", WatchDecisionsResponse::hasSynced).getCursor();
    }
  }

  private String inStepInbox() {
    try (Recording<StreamInboxResponse> stream = inbox("")) {
      return stream.awaitMessage("in step", StreamInboxResponse::hasSynced).getCursor();
    }
  }

  /** Both kinds are refused for a reason, with a cursor that works. */
  private void assertRefused(
      Scenario.Held held, String reason, String ofInbox, String ofDecisions) {
    try (Recording<StreamInboxResponse> stream = inbox(ofInbox)) {
      Failures.Refusal refusal = stream.awaitRefusal();
      assertEquals(Status.Code.OUT_OF_RANGE, refusal.code());
      assertEquals(reason, refusal.reason());
      String earliest = String.valueOf(refusal.metadata().get("earliest"));
      try (Recording<StreamInboxResponse> again = inbox(earliest)) {
        again.awaitMessage("in step", StreamInboxResponse::hasSynced);
        assertEquals(waiting(), applied(changes(again.messages())));
      }
    }
    try (Recording<WatchDecisionsResponse> stream = decisions(ofRun(held, ofDecisions))) {
      Failures.Refusal refusal = stream.awaitRefusal();
      assertEquals(Status.Code.OUT_OF_RANGE, refusal.code());
      assertEquals(reason, refusal.reason());
      String earliest = String.valueOf(refusal.metadata().get("earliest"));
      try (Recording<WatchDecisionsResponse> again = decisions(ofRun(held, earliest))) {
        again.awaitMessage("in step", WatchDecisionsResponse::hasSynced);
        assertEquals(
            snapshot(held),
            items(again.messages()).stream()
                .filter(DecisionItem::hasDecision)
                .map(item -> item.getDecision().getExternalId())
                .toList());
      }
    }
  }

  @Test
  void aCursorThatCannotBeResumedIsRefusedWithOneThatWorks() {
    Scenario.Held held = scenario.running(workspace);
    List<Interrupt> questions =
        scenario.raise(held, Scenario.question("q1", "One?"), Scenario.question("q2", "Two?"));
    scenario.answer(questions.get(0), "yes");
    // Of another kind, and of another run.
    assertRefused(held, "CURSOR_OTHER_FILTER", inStep(decisions(ofRun(held, ""))), inStepInbox());
    Scenario.Held other = scenario.running(workspace);
    assertRefused(
        held,
        "CURSOR_OTHER_FILTER",
        inStep(decisions(ofRun(other, ""))),
        inStep(decisions(ofRun(other, ""))));
    // Of another database.
    try (TestServer another = TestServer.in(folder.resolve("another"))) {
      new Scenario(another).workspace();
      try (Recording<StreamInboxResponse> stream =
          Recording.of(
              another.as(Role.READER).channel(),
              InboxServiceGrpc.getStreamInboxMethod(),
              StreamInboxRequest.getDefaultInstance())) {
        String cursor = stream.awaitMessage("in step", StreamInboxResponse::hasSynced).getCursor();
        assertRefused(held, "CURSOR_OTHER_DATABASE", cursor, cursor);
      }
    }
    // Of a history that is no longer the one it saw.
    Path copy = folder.resolve("copy.sqlite3");
    server.restart(data -> Files.copy(server.database(), copy));
    scenario.answer(questions.get(1), "no");
    String ofInbox = inStepInbox();
    String ofDecisions = inStep(decisions(ofRun(held, "")));
    server.restart(
        data -> Files.copy(copy, server.database(), StandardCopyOption.REPLACE_EXISTING));
    assertRefused(held, "CURSOR_HISTORY_CHANGED", ofInbox, ofDecisions);
    scenario.answer(questions.get(1), "another answer");
    assertRefused(held, "CURSOR_HISTORY_CHANGED", ofInbox, ofDecisions);
  }

  @Test
  void anInboxOfOneWorkspaceShowsNothingOfOthers() {
    Workspace other = scenario.workspace();
    StreamInboxRequest request =
        StreamInboxRequest.newBuilder()
            .setFilter(InboxFilter.newBuilder().setWorkspaceId(other.getWorkspaceId()))
            .build();
    scenario.propose(workspace);
    try (Recording<StreamInboxResponse> stream =
        Recording.of(
            server.as(Role.READER).channel(), InboxServiceGrpc.getStreamInboxMethod(), request)) {
      stream.awaitMessage("in step", StreamInboxResponse::hasSynced);
      scenario.propose(workspace);
      String expected = scenario.propose(other).getApproval().getApprovalId();
      stream.await("a change", messages -> !changes(messages).isEmpty());
      assertEquals(
          List.of(expected),
          changes(stream.messages()).stream().map(change -> id(change.getEntered())).toList());
    }
  }
}
