package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.ListInboxResponse;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.ListRunsResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * The machine's clock is set, an hour forth and an hour back. What leases and back-offs make of it
 * is with those tests.
 */
final class ClockTest {
  private static final Duration HOUR = Duration.ofHours(1);
  private static final List<Duration> STEPS =
      List.of(HOUR, HOUR.negated(), HOUR.negated(), HOUR, Duration.ofSeconds(-1), Duration.ZERO);

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  /** Proposes runs, with steps of the clock between them. */
  private Set<String> proposeWithSteps(int count) {
    Set<String> ids = new HashSet<>();
    for (int number = 0; number < count; number++) {
      ids.add(scenario.propose(workspace).getRun().getRunId());
      server.time().stepWall(STEPS.get(number % STEPS.size()));
    }
    assertEquals(count, ids.size(), "an id was given twice");
    return ids;
  }

  @Test
  void aRequestIdIsKnownAgainAnHourOff() {
    CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
    CreateRunResponse first = server.as(Role.OPERATOR).runs().createRun(request);
    for (Duration step : STEPS) {
      server.time().stepWall(step);
      assertEquals(first, server.as(Role.OPERATOR).runs().createRun(request));
      Failures.of(
          Reason.REASON_REQUEST_ID_REUSED,
          () ->
              server
                  .as(Role.OPERATOR)
                  .runs()
                  .createRun(request.toBuilder().setGoal("another").build()));
    }
    assertEquals(
        1,
        scenario.eventTypes(workspace.getWorkspaceId()).stream()
            .filter("run.created"::equals)
            .count());
  }

  @Test
  void aListShowsEachRunOnceWhateverTheClockDidAndDoes() {
    Set<String> ids = proposeWithSteps(40);
    List<String> seen = new ArrayList<>();
    String token = "";
    int pages = 0;
    do {
      ListRunsResponse page =
          server
              .as(Role.READER)
              .runs()
              .listRuns(
                  ListRunsRequest.newBuilder()
                      .setWorkspaceId(workspace.getWorkspaceId())
                      .setPageSize(7)
                      .setPageToken(token)
                      .build());
      page.getRunsList().stream().map(Run::getRunId).filter(ids::contains).forEach(seen::add);
      token = page.getNextPageToken();
      server.time().stepWall(STEPS.get(pages % STEPS.size()));
      scenario.propose(workspace);
      pages++;
    } while (!token.isEmpty());
    assertEquals(ids, new HashSet<>(seen));
    assertEquals(ids.size(), seen.size());
  }

  @Test
  void theInboxShowsEachQuestionOnceInItsOrder() {
    Set<String> ids = proposeWithSteps(40);
    List<InboxItem> seen = new ArrayList<>();
    String token = "";
    int pages = 0;
    do {
      ListInboxResponse page =
          server
              .as(Role.READER)
              .inbox()
              .listInbox(
                  ListInboxRequest.newBuilder()
                      .setFilter(
                          InboxFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()))
                      .setPageSize(7)
                      .setPageToken(token)
                      .build());
      seen.addAll(page.getItemsList());
      token = page.getNextPageToken();
      server.time().stepWall(STEPS.get(pages % STEPS.size()));
      pages++;
    } while (!token.isEmpty());
    assertEquals(
        ids, new HashSet<>(seen.stream().map(item -> item.getApproval().getRunId()).toList()));
    assertEquals(ids.size(), seen.size());
    for (int number = 1; number < seen.size(); number++) {
      var before = seen.get(number - 1).getApproval().getCreatedAt();
      var after = seen.get(number).getApproval().getCreatedAt();
      assertTrue(
          com.google.protobuf.util.Timestamps.compare(before, after) <= 0,
          "not the oldest first: " + before + after);
    }
  }

  @Test
  void theLogIsInTheOrderOfCommitsAndStreamsFollowIt() {
    EventFilter filter =
        EventFilter.newBuilder().setWorkspaceId(workspace.getWorkspaceId()).build();
    TailEventsRequest fromBeginning =
        TailEventsRequest.newBuilder().setFilter(filter).setFromBeginning(true).build();
    try (Recording<TailEventsResponse> stream =
        Recording.of(
            server.as(Role.READER).channel(),
            AuditServiceGrpc.getTailEventsMethod(),
            fromBeginning)) {
      stream.awaitMessage("in step", TailEventsResponse::hasSynced);
      proposeWithSteps(30);
      List<AuditEvent> listed = scenario.events(filter);
      List<AuditEvent> followed =
          events(stream.await("all", all -> events(all).size() >= listed.size()));
      assertEquals(listed, followed);
      for (int number = 0; number < listed.size(); number++) {
        assertEquals(number + 1, listed.get(number).getSeq());
      }
      // A cursor from before the steps, used behind them.
      String cursor = stream.messages().get(0).getCursor();
      long from = events(stream.messages().subList(0, 1)).size();
      try (Recording<TailEventsResponse> resumed =
          Recording.of(
              server.as(Role.READER).channel(),
              AuditServiceGrpc.getTailEventsMethod(),
              TailEventsRequest.newBuilder().setFilter(filter).setCursor(cursor).build())) {
        List<AuditEvent> rest =
            events(
                resumed.await(
                    "in step", all -> all.stream().anyMatch(TailEventsResponse::hasSynced)));
        assertEquals(listed.subList((int) from, listed.size()), rest);
      }
    }
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  private static List<AuditEvent> events(List<TailEventsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getEventsList().stream())
        .toList();
  }

  @Test
  void aMinuteOfDenialsIsAMinuteWhateverTheClockDoes() {
    CreateWorkspaceRequest denied = CreateWorkspaceRequest.newBuilder().setName("no").build();
    for (Duration step : STEPS) {
      Failures.of(
          Reason.REASON_ROLE_NOT_ALLOWED,
          () -> server.as(Role.READER).workspaces().createWorkspace(denied));
      server.time().stepWall(step);
    }
    Await.until("the first is on the record", () -> denials("access.denied") == 1);
    assertEquals(0, denials("access.denied_again"));
    server.restart();
    assertEquals(1, denials("access.denied"));
    assertEquals(1, denials("access.denied_again"));
  }

  private long denials(String type) {
    return scenario.eventTypes("system").stream().filter(type::equals).count();
  }
}
