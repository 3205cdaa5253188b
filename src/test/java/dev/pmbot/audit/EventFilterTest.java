package dev.pmbot.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Timestamps;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.ListEventsRequest;
import dev.pmbot.v1.ListEventsResponse;
import dev.pmbot.v1.NewEvent;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A filter takes the same events from a list and from a stream, whatever it asks for. */
final class EventFilterTest {
  private static final Comparator<AuditEvent> OLDEST_FIRST =
      Comparator.comparing(AuditEvent::getSeq);
  private static final Comparator<AuditEvent> BY_TIME =
      Comparator.comparing(AuditEvent::getCreatedAt, Timestamps.comparator())
          .thenComparing(OLDEST_FIRST);

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  private static NewEvent event(String type, String nodeId) {
    return NewEvent.newBuilder().setType(type).setNodeId(nodeId).build();
  }

  private AppendEventsRequest.Builder append() {
    return AppendEventsRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId());
  }

  private EventFilter.Builder ofWorkspace() {
    return EventFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId());
  }

  private ListEventsResponse page(EventFilter filter, int size, String token) {
    return server
        .as(Role.READER)
        .audit()
        .listEvents(
            ListEventsRequest.newBuilder()
                .setFilter(filter)
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  private List<AuditEvent> list(EventFilter filter, int size) {
    List<AuditEvent> events = new ArrayList<>();
    String token = "";
    do {
      ListEventsResponse page = page(filter, size, token);
      events.addAll(page.getEventsList());
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return events;
  }

  private Recording<TailEventsResponse> tail(TailEventsRequest request) {
    return Recording.of(
        server.as(Role.READER).channel(), AuditServiceGrpc.getTailEventsMethod(), request);
  }

  private List<AuditEvent> streamed(EventFilter filter) {
    TailEventsRequest request =
        TailEventsRequest.newBuilder().setFilter(filter).setFromBeginning(true).build();
    try (Recording<TailEventsResponse> stream = tail(request)) {
      return events(
          stream.await("in step", all -> all.stream().anyMatch(TailEventsResponse::hasSynced)));
    }
  }

  private static List<AuditEvent> events(List<TailEventsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getEventsList().stream())
        .toList();
  }

  private static boolean takes(EventFilter filter, AuditEvent event) {
    return (filter.getRunId().isEmpty() || filter.getRunId().equals(event.getRunId()))
        && (filter.getThreadId().isEmpty() || filter.getThreadId().equals(event.getThreadId()))
        && (filter.getNodeId().isEmpty() || filter.getNodeId().equals(event.getNodeId()))
        && event.getType().startsWith(filter.getTypePrefix())
        && (filter.getActor().isEmpty() || filter.getActor().equals(event.getActor()))
        && (!filter.hasCreatedAfter()
            || Timestamps.compare(event.getCreatedAt(), filter.getCreatedAfter()) >= 0)
        && (!filter.hasCreatedBefore()
            || Timestamps.compare(event.getCreatedAt(), filter.getCreatedBefore()) < 0);
  }

  /** Things of all kinds happen, on a clock that is once set back by an hour. */
  private List<Scenario.Held> history() {
    List<Scenario.Held> runs = List.of(scenario.running(workspace), scenario.running(workspace));
    Client worker = server.asWorker("w-9");
    for (int round = 0; round < 6; round++) {
      for (Scenario.Held held : runs) {
        server
            .as(Role.WORKER)
            .audit()
            .appendEvents(
                AppendEventsRequest.newBuilder()
                    .setRunId(held.runId())
                    .setLeaseToken(held.leaseToken())
                    .addEvents(event("tool.called", "agent"))
                    .addEvents(event("tool.ended", "tools"))
                    .build());
      }
      server
          .as(Role.OPERATOR)
          .audit()
          .appendEvents(append().addEvents(event("toolbox.opened", "agent")).build());
      worker
          .audit()
          .appendEvents(
              append()
                  .setThreadId("free")
                  .addEvents(event("model.called", ""))
                  .addEvents(event("tool.called", "agent"))
                  .build());
      server.time().stepWall(round == 3 ? Duration.ofMinutes(-61) : Duration.ofMinutes(20));
    }
    return runs;
  }

  @Test
  void filtersMayBeCombinedFreely() {
    Scenario.Held held = history().get(1);
    List<AuditEvent> all = scenario.events(workspace.getWorkspaceId());
    Timestamp early = all.get(all.size() / 3).getCreatedAt();
    Timestamp late = all.get(all.size() * 2 / 3).getCreatedAt();
    Random random = new Random(5);
    int taken = 0;
    for (int count = 0; count < 250; count++) {
      EventFilter.Builder builder = ofWorkspace();
      if (random.nextInt(3) == 0) {
        builder.setRunId(held.runId());
      }
      if (random.nextInt(3) == 0) {
        builder.setThreadId(List.of(held.threadId(), "free").get(random.nextInt(2)));
      }
      if (random.nextInt(3) == 0) {
        builder.setNodeId(List.of("agent", "tools", "other").get(random.nextInt(3)));
      }
      if (random.nextInt(2) == 0) {
        builder.setTypePrefix(
            List.of("tool", "tool.", "tool.c", "tool.called", "run.", "zoo")
                .get(random.nextInt(6)));
      }
      if (random.nextInt(3) == 0) {
        builder.setActor(
            List.of("local_user", "worker:w-9", "worker:" + Scenario.WORKER_ID, "system")
                .get(random.nextInt(4)));
      }
      if (random.nextInt(3) == 0) {
        builder.setCreatedAfter(random.nextBoolean() ? early : late);
      }
      if (random.nextInt(3) == 0) {
        builder.setCreatedBefore(random.nextBoolean() ? early : late);
      }
      EventFilter filter = builder.build();
      List<AuditEvent> expected =
          all.stream().filter(event -> takes(filter, event)).sorted(OLDEST_FIRST).toList();
      boolean byTime =
          (filter.hasCreatedAfter() || filter.hasCreatedBefore())
              && filter.getRunId().isEmpty()
              && filter.getThreadId().isEmpty();
      assertEquals(
          expected.stream().sorted((byTime ? BY_TIME : OLDEST_FIRST).reversed()).toList(),
          list(filter, 1 + random.nextInt(40)),
          filter::toString);
      assertEquals(expected, streamed(filter), filter::toString);
      taken += expected.isEmpty() ? 0 : 1;
    }
    assertTrue(taken > 100, "hardly any filter took anything: " + taken);
  }

  @Test
  void aBeginningMayBeThatOfManyTypes() {
    AppendEventsRequest.Builder many = append();
    for (int type = 0; type < 40; type++) {
      many.addEvents(event("many.t" + type, ""));
    }
    server.as(Role.WORKER).audit().appendEvents(many.build());
    server.as(Role.WORKER).audit().appendEvents(many.build());
    List<AuditEvent> all = new ArrayList<>(scenario.events(workspace.getWorkspaceId()));
    all.sort(OLDEST_FIRST.reversed());
    // 40 types, 11, one, and none.
    for (String prefix : List.of("many.", "many.t1", "many.t11", "many.t4x")) {
      assertEquals(
          all.stream().filter(event -> event.getType().startsWith(prefix)).toList(),
          list(ofWorkspace().setTypePrefix(prefix).build(), 7),
          prefix);
    }
  }

  @Test
  void aPageEndsWhenItHasLookedAtEnoughAndTheNextGoesOn() {
    server
        .as(Role.OPERATOR)
        .audit()
        .appendEvents(append().addEvents(event("note.taken", "agent")).build());
    AppendEventsRequest.Builder hundred = append();
    for (int count = 0; count < 100; count++) {
      hundred.addEvents(event("tool.called", "agent"));
    }
    for (int count = 0; count < 60; count++) {
      server.as(Role.WORKER).audit().appendEvents(hundred.build());
    }
    EventFilter filter = ofWorkspace().setNodeId("agent").setActor("local_user").build();
    ListEventsResponse first = page(filter, 10, "");
    assertEquals(0, first.getEventsCount());
    ListEventsResponse second = page(filter, 10, first.getNextPageToken());
    assertEquals("", second.getNextPageToken());
    assertEquals(
        List.of("note.taken"), second.getEventsList().stream().map(AuditEvent::getType).toList());
    assertEquals(second.getEventsList(), streamed(filter));
  }

  @Test
  void aCursorGoesOnOnlyWithAllOfItsFilter() {
    history();
    EventFilter filter = ofWorkspace().setTypePrefix("tool.").build();
    String cursor;
    try (Recording<TailEventsResponse> stream =
        tail(TailEventsRequest.newBuilder().setFilter(filter).build())) {
      cursor = stream.awaitMessage("in step", TailEventsResponse::hasSynced).getCursor();
    }
    Timestamp time = Timestamp.newBuilder().setSeconds(1).build();
    for (EventFilter other :
        List.of(
            ofWorkspace().build(),
            ofWorkspace().setTypePrefix("tool").build(),
            filter.toBuilder().setThreadId("free").build(),
            filter.toBuilder().setNodeId("agent").build(),
            filter.toBuilder().setActor("worker").build(),
            filter.toBuilder().setCreatedAfter(time).build(),
            filter.toBuilder().setCreatedBefore(time).build())) {
      try (Recording<TailEventsResponse> stream =
          tail(TailEventsRequest.newBuilder().setFilter(other).setCursor(cursor).build())) {
        assertEquals("CURSOR_OTHER_FILTER", stream.awaitRefusal().reason());
      }
    }
    server
        .as(Role.WORKER)
        .audit()
        .appendEvents(
            append()
                .addEvents(event("model.called", ""))
                .addEvents(event("tool.ended", "late"))
                .build());
    try (Recording<TailEventsResponse> stream =
        tail(TailEventsRequest.newBuilder().setFilter(filter).setCursor(cursor).build())) {
      stream.awaitMessage("in step", TailEventsResponse::hasSynced);
      assertEquals(
          List.of("late"), events(stream.messages()).stream().map(AuditEvent::getNodeId).toList());
      // At the log's end, what is new comes from memory, and is filtered as well.
      server
          .as(Role.WORKER)
          .audit()
          .appendEvents(
              append()
                  .addEvents(event("model.called", ""))
                  .addEvents(event("tool.ended", "later"))
                  .build());
      assertEquals(
          List.of("late", "later"),
          events(stream.await("the second", messages -> events(messages).size() == 2)).stream()
              .map(AuditEvent::getNodeId)
              .toList());
    }
  }

  @Test
  void aTokenGoesOnOnlyWithAllOfItsFilter() {
    history();
    EventFilter filter = ofWorkspace().setTypePrefix("tool.").build();
    String token = page(filter, 1, "").getNextPageToken();
    for (EventFilter other :
        List.of(
            ofWorkspace().build(),
            ofWorkspace().setTypePrefix("tool").build(),
            filter.toBuilder().setActor("worker").build())) {
      Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> page(other, 1, token));
    }
    assertEquals(1, page(filter, 1, token).getEventsCount());
  }

  @Test
  void everythingThatIsWrongWithAFilterIsTold() {
    EventFilter filter =
        EventFilter.newBuilder()
            .setWorkspaceId("system")
            .setThreadId("x".repeat(201))
            .setNodeId("x".repeat(201))
            .setTypePrefix("Run%")
            .setActor("x".repeat(201))
            .setCreatedAfter(Timestamp.newBuilder().setSeconds(Long.MIN_VALUE))
            .setCreatedBefore(Timestamp.newBuilder().setNanos(1_000_000_000))
            .build();
    assertEquals(
        Set.of(
            "filter.thread_id",
            "filter.node_id",
            "filter.type_prefix",
            "filter.actor",
            "filter.created_after",
            "filter.created_before"),
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> page(filter, 1, "")).violations().keySet());
  }
}
