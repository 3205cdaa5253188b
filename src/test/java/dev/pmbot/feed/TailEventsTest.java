package dev.pmbot.feed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Cuts;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.LogHead;
import dev.pmbot.v1.NewEvent;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a subscriber may rely on, found out by clients that record what they were told: ordered,
 * unique, reliable, atomic, resumable, bookmarkable.
 */
final class TailEventsTest {
  private static final int LARGE_EVENTS = 20;
  @TempDir Path folder;
  private TestServer server;
  private Scenario scenario;

  @BeforeEach
  void start() {
    server = TestServer.in(folder);
    scenario = new Scenario(server);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static EventFilter of(Workspace workspace) {
    return EventFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build();
  }

  private static TailEventsRequest from(EventFilter filter, String cursor) {
    return TailEventsRequest.newBuilder()
        .setFilter(filter)
        .setCursor(cursor)
        .setFromBeginning(cursor.isEmpty())
        .build();
  }

  private Recording<TailEventsResponse> tail(TailEventsRequest request) {
    return Recording.of(
        server.as(Role.READER).channel(), AuditServiceGrpc.getTailEventsMethod(), request);
  }

  private Recording<TailEventsResponse> tailNow(EventFilter filter) {
    Recording<TailEventsResponse> stream =
        tail(TailEventsRequest.newBuilder().setFilter(filter).build());
    stream.awaitMessage("in step", TailEventsResponse::hasSynced);
    return stream;
  }

  private static List<AuditEvent> events(List<TailEventsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getEventsList().stream())
        .toList();
  }

  /** Everything of the log behind a cursor. */
  private List<TailEventsResponse> rest(EventFilter filter, String cursor) {
    try (Recording<TailEventsResponse> stream = tail(from(filter, cursor))) {
      List<TailEventsResponse> all =
          stream.await("in step", messages -> messages.stream().anyMatch(m -> m.hasSynced()));
      return all.stream().filter(TailEventsResponse::hasTransaction).toList();
    }
  }

  /** The events of each workspace are exactly those of its log, in order, transactions whole. */
  private void assertIsTheWholeLog(List<TailEventsResponse> messages) {
    Map<String, List<AuditEvent>> byWorkspace = new HashMap<>();
    for (AuditEvent event : events(messages)) {
      byWorkspace.computeIfAbsent(event.getWorkspaceId(), id -> new ArrayList<>()).add(event);
    }
    Map<String, List<AuditEvent>> transactions = new HashMap<>();
    byWorkspace.forEach(
        (workspaceId, events) -> {
          List<AuditEvent> log = scenario.events(workspaceId);
          assertEquals(log, events);
          log.forEach(
              event ->
                  transactions
                      .computeIfAbsent(transactionOf(event), key -> new ArrayList<>())
                      .add(event));
        });
    for (TailEventsResponse message : messages) {
      List<AuditEvent> events = message.getTransaction().getEventsList();
      if (!events.isEmpty()) {
        assertEquals(
            transactions.get(transactionOf(events.get(0))),
            events,
            "a message holds the events of exactly one transaction");
      }
    }
  }

  private static String transactionOf(AuditEvent event) {
    return event.getWorkspaceId() + " " + event.getTxFirstSeq();
  }

  /** Work of all kinds in a workspace, on a thread of its own. */
  private Thread writer(Workspace workspace, int rounds, AtomicInteger done) {
    Thread thread =
        new Thread(
            () -> {
              for (int round = 0; round < rounds; round++) {
                Scenario.Held held = scenario.running(workspace);
                var questions =
                    scenario.raise(
                        held, Scenario.question("q1", "One?"), Scenario.toolCall("t1", "Two?"));
                scenario.answer(questions.get(0), "yes");
                scenario.approve(questions.get(1));
                scenario.complete(held);
                scenario.reject(scenario.propose(workspace).getApproval());
              }
              done.incrementAndGet();
            });
    thread.start();
    return thread;
  }

  @Test
  void streamsThatAreCutAndResumedWhileOthersWriteMissAndRepeatNothing() throws Exception {
    server.as(Role.WORKER);
    server.as(Role.READER);
    Workspace one = scenario.workspace();
    Workspace two = scenario.workspace();
    List<EventFilter> filters = List.of(EventFilter.getDefaultInstance(), of(one), of(two));
    AtomicInteger done = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    threads.add(writer(one, 12, done));
    threads.add(writer(two, 12, done));
    threads.add(writer(one, 12, done));
    List<Cuts<TailEventsResponse>> clients = new ArrayList<>();
    for (int index = 0; index < 6; index++) {
      EventFilter filter = filters.get(index % filters.size());
      Random random = new Random(index);
      Cuts<TailEventsResponse> client =
          new Cuts<>(
              server.as(Role.READER).channel(),
              AuditServiceGrpc.getTailEventsMethod(),
              TailEventsResponse::getCursor,
              TailEventsResponse::hasSynced);
      clients.add(client);
      Thread thread =
          new Thread(
              () -> {
                client.follow(cursor -> from(filter, cursor), random, () -> done.get() >= 3);
                // What was still under way when the writers ended.
                int[] further = {0};
                client.follow(
                    cursor -> from(filter, cursor),
                    random,
                    () ->
                        further[0]++ > 2
                            && client.handled().get(client.handled().size() - 1).hasSynced());
                done.addAndGet(100);
              });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) {
      thread.join(4 * Await.PATIENCE.toMillis());
      assertFalse(thread.isAlive(), "a client or writer is stuck");
    }
    assertEquals(603, done.get(), "a client or writer failed");
    for (int index = 0; index < clients.size(); index++) {
      List<TailEventsResponse> handled = clients.get(index).handled();
      assertIsTheWholeLog(handled);
      long expected =
          index % 3 == 0
              ? scenario.events(one.getWorkspaceId()).size()
                  + scenario.events(two.getWorkspaceId()).size()
              : scenario.events((index % 3 == 1 ? one : two).getWorkspaceId()).size();
      assertEquals(
          expected,
          events(handled).stream()
              .filter(event -> !event.getWorkspaceId().equals("system"))
              .count());
      assertTrue(clients.get(index).connections() > 3, "it was never cut");
      assertTrue(
          clients.get(index).syncedPerConnection().stream().allMatch(count -> count <= 1),
          "a stream was in step twice");
    }
  }

  @Test
  void everyCursorResumesExactlyBehindItsMessage() {
    Workspace one = scenario.workspace();
    Workspace two = scenario.workspace();
    AtomicInteger done = new AtomicInteger();
    Thread first = writer(one, 2, done);
    Thread second = writer(two, 2, done);
    Await.until(
        "both have written", () -> done.get() == 2 && !first.isAlive() && !second.isAlive());
    for (EventFilter filter : List.of(EventFilter.getDefaultInstance(), of(one))) {
      List<TailEventsResponse> all = rest(filter, "");
      assertIsTheWholeLog(all);
      for (int index = 0; index < all.size(); index++) {
        assertFalse(all.get(index).getCursor().isEmpty());
        assertEquals(
            all.subList(index + 1, all.size()).stream().map(m -> m.getTransaction()).toList(),
            rest(filter, all.get(index).getCursor()).stream()
                .map(m -> m.getTransaction())
                .toList());
      }
    }
  }

  @Test
  void aStreamOfOneRunShowsOnlyItAndResumesToo() {
    Workspace workspace = scenario.workspace();
    Scenario.Held held = scenario.running(workspace);
    Scenario.Held other = scenario.running(workspace);
    scenario.raise(held, Scenario.question("q1", "One?"));
    scenario.complete(other);
    scenario.complete(held);
    EventFilter filter = EventFilter.newBuilder().setRunId(held.runId()).build();
    List<TailEventsResponse> all = rest(filter, "");
    assertEquals(scenario.events(filter), events(all));
    assertTrue(events(all).stream().allMatch(event -> event.getRunId().equals(held.runId())));
    for (int index = 0; index < all.size(); index++) {
      assertEquals(
          events(all.subList(index + 1, all.size())),
          events(rest(filter, all.get(index).getCursor())));
    }
  }

  @Test
  void aStreamIsInStepOnceAndThenFollows() {
    Workspace workspace = scenario.workspace();
    try (Recording<TailEventsResponse> stream = tailNow(of(workspace))) {
      assertEquals(1, stream.messages().size(), "nothing old comes without being asked for");
      scenario.propose(workspace);
      scenario.propose(workspace);
      List<TailEventsResponse> all =
          stream.await("two transactions", messages -> events(messages).size() == 4);
      assertEquals(1, all.stream().filter(TailEventsResponse::hasSynced).count());
      assertEquals(3, all.size());
      String cursor = all.get(0).getCursor();
      assertEquals(events(all), events(rest(of(workspace), cursor)));
    }
  }

  @Test
  void aStreamWithoutAWorkspaceFollowsFutureOnesToo() {
    scenario.workspace();
    try (Recording<TailEventsResponse> stream = tailNow(EventFilter.getDefaultInstance())) {
      Workspace future = scenario.workspace();
      TailEventsResponse created =
          stream.awaitMessage(
              "the new workspace",
              message ->
                  events(List.of(message)).stream()
                      .anyMatch(event -> event.getWorkspaceId().equals(future.getWorkspaceId())));
      assertEquals("workspace.created", created.getTransaction().getEvents(0).getType());
      String old = stream.messages().get(0).getCursor();
      assertEquals(
          scenario.events(future.getWorkspaceId()),
          events(rest(EventFilter.getDefaultInstance(), old)));
    }
  }

  @Test
  void aQuietStreamSaysEveryFifteenSecondsWhereTheLogEnds() {
    Workspace one = scenario.workspace();
    Workspace two = scenario.workspace();
    scenario.propose(one);
    try (Recording<TailEventsResponse> stream = tailNow(EventFilter.getDefaultInstance())) {
      server.time().advance(Duration.ofSeconds(15));
      TailEventsResponse first =
          stream.awaitMessage("a heartbeat", TailEventsResponse::hasHeartbeat);
      Map<String, LogHead> heads =
          first.getHeartbeat().getHeadsList().stream()
              .collect(Collectors.toMap(LogHead::getWorkspaceId, head -> head));
      for (Workspace workspace : List.of(one, two)) {
        List<AuditEvent> log = scenario.events(workspace.getWorkspaceId());
        AuditEvent last = log.get(log.size() - 1);
        LogHead head = heads.get(workspace.getWorkspaceId());
        assertEquals(
            LogHead.newBuilder()
                .setWorkspaceId(last.getWorkspaceId())
                .setSeq(last.getSeq())
                .setHash(last.getHash())
                .build(),
            head);
      }
      assertEquals(List.of(), rest(EventFilter.getDefaultInstance(), first.getCursor()));

      scenario.propose(two);
      stream.await("the proposal", messages -> !events(messages).isEmpty());
      server.time().advance(Duration.ofSeconds(15));
      List<TailEventsResponse> all =
          stream.await(
              "another heartbeat",
              messages -> messages.stream().filter(m -> m.hasHeartbeat()).count() == 2);
      // In step, heartbeat, proposal, heartbeat: on a clock that stands there is no third.
      assertEquals(4, all.size());
      TailEventsResponse last = all.get(3);
      assertTrue(last.hasHeartbeat());
      assertEquals(List.of(), rest(EventFilter.getDefaultInstance(), last.getCursor()));
      assertEquals(2, events(rest(EventFilter.getDefaultInstance(), first.getCursor())).size());
    }
  }

  private void append(Workspace workspace, String type, int count, String payloadJson) {
    AppendEventsRequest.Builder request =
        AppendEventsRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId());
    for (int index = 0; index < count; index++) {
      request.addEvents(NewEvent.newBuilder().setType(type).setPayloadJson(payloadJson));
    }
    server.as(Role.WORKER).audit().appendEvents(request.build());
  }

  @Test
  void aLongWayThroughWhatIsNotShownIsNotLost() {
    Workspace workspace = scenario.workspace();
    String large = "{\"text\":\"" + "x".repeat(700 << 10) + "\"}";
    // More than a connection ever takes ahead of its reader.
    for (int count = 0; count < LARGE_EVENTS; count++) {
      append(workspace, "shown.large", 1, large);
    }
    for (int count = 0; count < 10; count++) {
      append(workspace, "hidden.small", 100, "{}");
    }
    EventFilter filter = of(workspace).toBuilder().setTypePrefix("shown.").build();
    try (Recording<TailEventsResponse> witness = tailNow(of(scenario.workspace()));
        Recording<TailEventsResponse> stream =
            Recording.notReading(
                server.as(Role.READER).channel(),
                AuditServiceGrpc.getTailEventsMethod(),
                from(filter, ""))) {
      stream.request(1);
      stream.await("the first", messages -> messages.size() == 1);
      // It waits for its client. When another has had two heartbeats, this one's is due.
      for (int beats = 1; beats <= 2; beats++) {
        int expected = beats;
        server.time().advance(Duration.ofSeconds(16));
        witness.await(
            "a heartbeat",
            messages -> messages.stream().filter(m -> m.hasHeartbeat()).count() == expected);
      }
      stream.request(100);
      TailEventsResponse synced = stream.awaitMessage("in step", TailEventsResponse::hasSynced);
      List<TailEventsResponse> messages = stream.messages();
      List<String> expected = new ArrayList<>(Collections.nCopies(LARGE_EVENTS, "TRANSACTION"));
      expected.addAll(List.of("HEARTBEAT", "SYNCED"));
      assertEquals(
          expected, messages.stream().map(message -> message.getContentCase().name()).toList());
      String onTheWay = messages.get(LARGE_EVENTS).getCursor();
      assertNotEquals(messages.get(LARGE_EVENTS - 1).getCursor(), onTheWay);
      assertNotEquals(synced.getCursor(), onTheWay);
      append(workspace, "shown.late", 1, "{}");
      assertEquals(
          List.of("shown.late"),
          events(rest(filter, onTheWay)).stream().map(AuditEvent::getType).toList());
    }
  }

  @Test
  void theHeartbeatOfANarrowStreamKeepsItsCursorFresh() {
    Workspace one = scenario.workspace();
    Workspace two = scenario.workspace();
    Scenario.Held held = scenario.running(one);
    EventFilter filter = EventFilter.newBuilder().setRunId(held.runId()).build();
    try (Recording<TailEventsResponse> stream = tailNow(filter)) {
      scenario.propose(one);
      scenario.propose(two);
      server.time().advance(Duration.ofSeconds(15));
      TailEventsResponse heartbeat =
          stream.awaitMessage("a heartbeat", TailEventsResponse::hasHeartbeat);
      assertEquals(List.of(), rest(filter, heartbeat.getCursor()));
      scenario.complete(held);
      assertEquals(
          List.of("run.completed"),
          events(rest(filter, heartbeat.getCursor())).stream().map(e -> e.getType()).toList());
    }
  }

  private Failures.Refusal refusal(TailEventsRequest request) {
    try (Recording<TailEventsResponse> stream = tail(request)) {
      return stream.awaitRefusal();
    }
  }

  @Test
  void aCursorOfAnotherFilterIsRefusedWithOneThatWorks() {
    Workspace one = scenario.workspace();
    Workspace two = scenario.workspace();
    String cursor = rest(of(one), "").get(0).getCursor();
    for (EventFilter other : List.of(of(two), EventFilter.getDefaultInstance())) {
      Failures.Refusal refusal = refusal(from(other, cursor));
      assertEquals(Status.Code.OUT_OF_RANGE, refusal.code());
      assertEquals("CURSOR_OTHER_FILTER", refusal.reason());
      String earliest = String.valueOf(refusal.metadata().get("earliest"));
      assertEquals(rest(other, ""), rest(other, earliest));
    }
    try (var inbox =
        Recording.of(
            server.as(Role.READER).channel(),
            InboxServiceGrpc.getStreamInboxMethod(),
            StreamInboxRequest.newBuilder().setCursor(cursor).build())) {
      assertEquals("CURSOR_OTHER_FILTER", inbox.awaitRefusal().reason());
    }
  }

  @Test
  void aCursorOfAnotherDatabaseIsRefusedWithOneThatWorks() {
    String cursor;
    try (TestServer another = TestServer.in(folder.resolve("another"))) {
      new Scenario(another).workspace();
      try (Recording<TailEventsResponse> stream =
          Recording.of(
              another.as(Role.READER).channel(),
              AuditServiceGrpc.getTailEventsMethod(),
              TailEventsRequest.getDefaultInstance())) {
        cursor = stream.awaitMessage("in step", m -> m.hasSynced()).getCursor();
      }
    }
    scenario.workspace();
    Failures.Refusal refusal = refusal(from(EventFilter.getDefaultInstance(), cursor));
    assertEquals(Status.Code.OUT_OF_RANGE, refusal.code());
    assertEquals("CURSOR_OTHER_DATABASE", refusal.reason());
    String earliest = String.valueOf(refusal.metadata().get("earliest"));
    assertEquals(
        rest(EventFilter.getDefaultInstance(), ""),
        rest(EventFilter.getDefaultInstance(), earliest));
  }

  @Test
  void aDamagedCursorIsRefused() {
    Workspace workspace = scenario.workspace();
    String cursor = rest(of(workspace), "").get(0).getCursor();
    byte[] bytes = Base64.getUrlDecoder().decode(cursor);
    List<String> damaged = new ArrayList<>(List.of("x", "%", "AAAA", cursor + cursor));
    for (int index = 0; index < bytes.length; index++) {
      byte[] changed = bytes.clone();
      changed[index] ^= 4;
      damaged.add(Base64.getUrlEncoder().withoutPadding().encodeToString(changed));
    }
    for (String text : damaged) {
      Failures.Refusal refusal = refusal(from(of(workspace), text));
      assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code(), text);
      assertEquals("INVALID_CURSOR", refusal.reason(), text);
    }
  }

  @Test
  void aCursorThatPointsIntoATransactionIsRefused() {
    Workspace workspace = scenario.workspace();
    scenario.propose(workspace);
    Cursor end = Cursor.decode(rest(of(workspace), "").get(1).getCursor());
    AuditEvent first = scenario.events(workspace.getWorkspaceId()).get(1);
    Cursor.Position within =
        new Cursor.Position(first.getSeq(), first.getHash().asReadOnlyByteBuffer().getLong());
    String cursor =
        new Cursor(end.incarnation(), end.filter(), Map.of(workspace.getWorkspaceId(), within))
            .encode();
    Failures.Refusal refusal = refusal(from(of(workspace), cursor));
    assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code());
    assertEquals("INVALID_CURSOR", refusal.reason());
  }

  @Test
  void aCursorIsRefusedOnceAnOldCopyOfTheDatabaseWasPutBack() {
    Workspace workspace = scenario.workspace();
    scenario.propose(workspace);
    Path copy = folder.resolve("copy.sqlite3");
    server.restart(data -> Files.copy(server.database(), copy));
    scenario.propose(workspace);
    List<TailEventsResponse> all = rest(of(workspace), "");
    String seen = all.get(all.size() - 1).getCursor();
    final String older = all.get(all.size() - 2).getCursor();
    server.restart(
        data -> Files.copy(copy, server.database(), StandardCopyOption.REPLACE_EXISTING));

    Failures.Refusal ahead = refusal(from(of(workspace), seen));
    assertEquals(Status.Code.OUT_OF_RANGE, ahead.code());
    assertEquals("CURSOR_HISTORY_CHANGED", ahead.reason());
    assertEquals(workspace.getWorkspaceId(), ahead.metadata().get("workspace_id"));
    assertEquals("5", ahead.metadata().get("seq"));
    String earliest = String.valueOf(ahead.metadata().get("earliest"));
    assertEquals(rest(of(workspace), ""), rest(of(workspace), earliest));

    scenario.propose(workspace);
    assertEquals(5, scenario.events(workspace.getWorkspaceId()).size());
    assertEquals("CURSOR_HISTORY_CHANGED", refusal(from(of(workspace), seen)).reason());
    // What both histories share can be resumed.
    assertEquals(2, events(rest(of(workspace), older)).size());
  }

  @Test
  void aClientThatDoesNotReadGetsEverythingOnceItDoes() {
    Workspace workspace = scenario.workspace();
    int runs = 1500;
    try (Recording<TailEventsResponse> stream =
        Recording.notReading(
            server.as(Role.READER).channel(),
            AuditServiceGrpc.getTailEventsMethod(),
            from(of(workspace), ""))) {
      Await.until("the stream stands", stream::hasHeaders);
      String goal = "g".repeat(4000);
      for (int count = 0; count < runs; count++) {
        server.as(Role.OPERATOR).runs().createRun(scenario.newRun(workspace).setGoal(goal).build());
      }
      assertEquals(List.of(), stream.messages());
      // Others are served meanwhile.
      assertEquals(runs + 1, rest(of(workspace), "").size());
      stream.request(1);
      assertEquals(
          "workspace.created",
          stream.await("one", m -> m.size() == 1).get(0).getTransaction().getEvents(0).getType());
      stream.request(Integer.MAX_VALUE);
      // One for each transaction, and the one that says that the stream is in step.
      List<TailEventsResponse> all =
          stream.await("everything", messages -> messages.size() == runs + 2);
      assertEquals(scenario.events(workspace.getWorkspaceId()), events(all));
    }
  }

  @Test
  void theStopOfAServerTellsStreamsToComeAgain() {
    Workspace workspace = scenario.workspace();
    Recording<TailEventsResponse> stream = tailNow(of(workspace));
    scenario.propose(workspace);
    List<TailEventsResponse> seen =
        stream.await("the proposal", messages -> !events(messages).isEmpty());
    server.stop();
    Failures.Refusal refusal = stream.awaitRefusal();
    assertEquals(Status.Code.UNAVAILABLE, refusal.code());
    assertEquals("SHUTTING_DOWN", refusal.reason());
    assertTrue(refusal.retryAfter().isPresent());
    server.restart(untouched -> {});
    scenario.propose(workspace);
    List<AuditEvent> log = scenario.events(workspace.getWorkspaceId());
    assertEquals(
        log.subList(log.size() - 2, log.size()),
        events(rest(of(workspace), seen.get(seen.size() - 1).getCursor())));
  }

  @Test
  void aStreamAboutWhatDoesNotExistIsRefused() {
    EventFilter nobody = EventFilter.newBuilder().setWorkspaceId("ws_" + "0".repeat(32)).build();
    assertEquals("NOT_FOUND", refusal(from(nobody, "")).reason());
    EventFilter noRun = EventFilter.newBuilder().setRunId("run_" + "0".repeat(32)).build();
    assertEquals("NOT_FOUND", refusal(from(noRun, "")).reason());
  }

  @Test
  void theThreadOfTheStreamsEndsWithTheServerWhateverItsStreamsWereAt() {
    Workspace workspace = scenario.workspace();
    Recording<TailEventsResponse> followed = tailNow(of(workspace));
    followed.awaitMessage("in step", TailEventsResponse::hasSynced);
    Recording<TailEventsResponse> unread =
        Recording.notReading(
            server.as(Role.READER).channel(),
            AuditServiceGrpc.getTailEventsMethod(),
            from(of(workspace), ""));
    Await.until("the stream stands", unread::hasHeaders);
    server.stop();
    assertEquals(Status.Code.UNAVAILABLE, followed.awaitEnd().getCode());
    Await.until(
        "the thread ends",
        () ->
            Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().equals("pmbot-streams")));
  }

  @Test
  void aVeryLargeTransactionComesInPartsOfWhichTheLastCarriesTheCursor() {
    Workspace workspace = scenario.workspace();
    Scenario.Held held = scenario.running(workspace);
    List<Question> questions = new ArrayList<>();
    for (int number = 0; number < 5; number++) {
      questions.add(Scenario.question("q" + number, number + "x".repeat(700_000)));
    }
    scenario.raise(held, questions.toArray(Question[]::new));
    scenario.complete(held);
    List<TailEventsResponse> all = rest(of(workspace), "");
    List<AuditEvent> log = scenario.events(workspace.getWorkspaceId());
    assertEquals(log, events(all));
    List<TailEventsResponse> large =
        all.stream()
            .filter(
                message ->
                    message.getTransaction().getEvents(0).getType().equals("interrupt.raised"))
            .toList();
    assertEquals(5, large.size());
    for (int index = 0; index < large.size(); index++) {
      assertTrue(large.get(index).getSerializedSize() < 2 << 20);
      assertEquals(index < large.size() - 1, large.get(index).getCursor().isEmpty());
    }
    assertEquals(
        List.of("run.completed"),
        events(rest(of(workspace), large.get(4).getCursor())).stream()
            .map(AuditEvent::getType)
            .filter(type -> type.startsWith("run."))
            .toList());
  }
}
