package dev.pmbot.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.AppendedEvent;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.NewEvent;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A client may say what happened; who says so, when and where it stands is the server's word. */
final class AppendEventsTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();

  @AfterEach
  void stop() {
    server.close();
  }

  private static NewEvent event(String type, String payloadJson) {
    return NewEvent.newBuilder().setType(type).setPayloadJson(payloadJson).build();
  }

  private AppendEventsRequest.Builder ofWorkspace() {
    return AppendEventsRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId());
  }

  private static AppendEventsRequest.Builder of(Scenario.Held held) {
    return AppendEventsRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .addEvents(event("tool.called", "{}"));
  }

  private List<AppendedEvent> append(AppendEventsRequest.Builder request) {
    return append(server.as(Role.WORKER), request);
  }

  private static List<AppendedEvent> append(Client client, AppendEventsRequest.Builder request) {
    return client.audit().appendEvents(request.build()).getEventsList();
  }

  private AuditEvent newest() {
    List<AuditEvent> events = scenario.events(workspace.getWorkspaceId());
    return events.get(events.size() - 1);
  }

  private Failures.Refusal refused(Reason reason, AppendEventsRequest.Builder request) {
    List<AuditEvent> before = scenario.events(workspace.getWorkspaceId());
    Failures.Refusal refusal = Failures.of(reason, () -> append(request));
    assertEquals(before, scenario.events(workspace.getWorkspaceId()));
    return refusal;
  }

  @Test
  void severalEventsAreOneTransactionInTheirOrder() {
    Scenario.Held held = scenario.running(workspace);
    server.time().advance(Duration.ofSeconds(3));
    List<AppendedEvent> appended =
        append(
            of(held)
                .clearEvents()
                .addEvents(event("tool.called", "{ \"n\" : 1.50 }").toBuilder().setNodeId("agent"))
                .addEvents(event("tool.ended", ""))
                .addEvents(event("model.called.twice", "{\"a\":null}")));
    List<AuditEvent> events = scenario.events(workspace.getWorkspaceId());
    List<AuditEvent> last = events.subList(events.size() - 3, events.size());
    assertEquals(
        List.of("tool.called", "tool.ended", "model.called.twice"),
        last.stream().map(AuditEvent::getType).toList());
    assertEquals(
        List.of("{ \"n\" : 1.50 }", "{}", "{\"a\":null}"),
        last.stream().map(AuditEvent::getPayloadJson).toList());
    for (int index = 0; index < 3; index++) {
      AuditEvent event = last.get(index);
      assertEquals(appended.get(index).getEventId(), event.getEventId());
      assertEquals(appended.get(index).getSeq(), event.getSeq());
      assertEquals(last.get(0).getSeq(), event.getTxFirstSeq());
      assertEquals(held.runId(), event.getRunId());
      assertEquals(held.threadId(), event.getThreadId());
      assertEquals("worker:" + Scenario.WORKER_ID, event.getActor());
      assertEquals(
          server.time().nowMicros() / 1_000_000, event.getCreatedAt().getSeconds(), "the clock's");
    }
    assertEquals("agent", last.get(0).getNodeId());
    assertFalse(last.get(1).hasNodeId());
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  @Test
  void whoSaysSoIsWhoCalls() {
    append(ofWorkspace().addEvents(event("note.taken", "{}")));
    assertEquals("worker", newest().getActor());
    append(server.asWorker("w-1"), ofWorkspace().addEvents(event("note.taken", "{}")));
    assertEquals("worker:w-1", newest().getActor());
    append(server.as(Role.OPERATOR), ofWorkspace().addEvents(event("note.taken", "{}")));
    assertEquals("local_user", newest().getActor());
    Scenario.Held held = scenario.running(workspace);
    // The lease says more than the worker's own word.
    append(server.asWorker("w-1"), of(held));
    assertEquals("worker:" + Scenario.WORKER_ID, newest().getActor());
    append(server.as(Role.OPERATOR), of(held).clearLeaseToken());
    assertEquals("local_user", newest().getActor());
  }

  @Test
  void secretsAreNotKept() {
    append(ofWorkspace().addEvents(event("note.taken", "{\"api_key\":\"abc\",\"n\":1}")));
    assertFalse(newest().getPayloadJson().contains("abc"), newest().getPayloadJson());
    assertTrue(newest().getPayloadJson().contains("\"n\":1"), newest().getPayloadJson());
  }

  @Test
  void theServersTypesAreItsAlone() {
    TreeSet<String> wrong = new TreeSet<>();
    AppendEventsRequest.Builder request = ofWorkspace().addEvents(event("note.taken", "{}"));
    for (String first : ClientEvents.SERVERS) {
      wrong.add("events[" + request.getEventsCount() + "].type");
      request.addEvents(event(first + ".happened", "{}"));
    }
    assertEquals(wrong, refused(Reason.REASON_INVALID_FIELDS, request).violations().keySet());
    append(ofWorkspace().addEvents(event("runner.started", "{}")));
    assertEquals("runner.started", newest().getType());
  }

  @Test
  void whatTheServerWritesBeginsAsNoClientMay() {
    Scenario.Held held = scenario.running(scenario.repo(workspace));
    scenario.raise(held, Scenario.toolCall("t", "Delete?"));
    scenario.upload(held, "a.log", new byte[1]);
    scenario.complete(held);
    Set<String> types = new TreeSet<>(scenario.eventTypes(workspace.getWorkspaceId()));
    assertTrue(types.size() > 8, types.toString());
    for (String type : types) {
      assertTrue(ClientEvents.SERVERS.contains(type.substring(0, type.indexOf('.'))), type);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "tool",
        "Tool.called",
        "tool.",
        ".called",
        "tool..called",
        "tool called.x",
        "tool.called\n",
        "tööl.called",
        "tool.1",
        "run"
      })
  void aTypeIsWordsWithDotsBetween(String type) {
    assertEquals(
        Set.of("events[0].type"),
        refused(Reason.REASON_INVALID_FIELDS, ofWorkspace().addEvents(event(type, "{}")))
            .violations()
            .keySet());
  }

  @Test
  void factsAreAnObjectAndEverythingWrongIsToldAtOnce() {
    Failures.Refusal refusal =
        refused(
            Reason.REASON_INVALID_FIELDS,
            ofWorkspace()
                .addEvents(event("audit.erased", "[]"))
                .addEvents(event("note.taken", "3")));
    assertEquals(
        Set.of("events[0].type", "events[0].payload_json", "events[1].payload_json"),
        refusal.violations().keySet());
    refused(Reason.REASON_INVALID_FIELDS, ofWorkspace().addEvents(event("note.taken", "{")));
  }

  @Test
  void aHundredAtOnceAndNoMore() {
    AppendEventsRequest.Builder request = ofWorkspace();
    for (int count = 0; count < 100; count++) {
      request.addEvents(event("note.taken", "{}"));
    }
    assertEquals(100, append(request).size());
    request.addEvents(event("note.taken", "{}"));
    assertEquals(
        Set.of("events"), refused(Reason.REASON_INVALID_FIELDS, request).violations().keySet());
    assertEquals(
        Set.of("events"),
        refused(Reason.REASON_INVALID_FIELDS, ofWorkspace()).violations().keySet());
  }

  @Test
  void aRunsEventsTakeItsLeaseUntilItHasEnded() {
    Scenario.Held held = scenario.running(workspace);
    refused(Reason.REASON_LEASE_LOST, of(held).clearLeaseToken());
    refused(Reason.REASON_LEASE_LOST, of(held).setLeaseToken("another"));
    scenario.complete(held);
    refused(Reason.REASON_LEASE_LOST, of(held));
    append(of(held).clearLeaseToken());
    assertEquals("worker", newest().getActor());
    assertEquals(held.threadId(), newest().getThreadId());
  }

  @Test
  void aLeaseGoesWithARun() {
    assertEquals(
        Set.of("request"),
        refused(
                Reason.REASON_INVALID_FIELDS,
                ofWorkspace().setLeaseToken("x").addEvents(event("note.taken", "{}")))
            .violations()
            .keySet());
  }

  @Test
  void aRunIsOfItsWorkspace() {
    Scenario.Held elsewhere = scenario.running(scenario.workspace());
    Failures.Refusal refusal =
        refused(Reason.REASON_NOT_FOUND, of(elsewhere).setWorkspaceId(workspace.getWorkspaceId()));
    assertEquals(Map.of("id", elsewhere.runId()), refusal.metadata());
    refused(Reason.REASON_NOT_FOUND, of(elsewhere).setRunId("run_" + "0".repeat(32)));
    refused(
        Reason.REASON_NOT_FOUND,
        of(elsewhere).clearRunId().clearLeaseToken().setWorkspaceId("ws_" + "0".repeat(32)));
    refused(
        Reason.REASON_INVALID_FIELDS,
        of(elsewhere).clearRunId().clearLeaseToken().setWorkspaceId("system"));
  }

  @Test
  void aThreadIsTheRunsOrNobodys() {
    Scenario.Held held = scenario.running(workspace);
    append(of(held).setThreadId(held.threadId()));
    assertEquals(
        Set.of("thread_id"),
        refused(Reason.REASON_INVALID_FIELDS, of(held).setThreadId("another"))
            .violations()
            .keySet());
    AppendEventsRequest.Builder unnamed =
        ofWorkspace().setThreadId(held.threadId()).addEvents(event("note.taken", "{}"));
    assertEquals(
        held.runId(), refused(Reason.REASON_THREAD_IN_USE, unnamed).metadata().get("run_id"));
    append(unnamed.clone().setThreadId("mine"));
    assertEquals("mine", newest().getThreadId());
    assertFalse(newest().hasRunId());
    scenario.complete(held);
    append(unnamed);
    assertEquals(held.threadId(), newest().getThreadId());
  }

  @Test
  void aRunThatWasNotStartedHasNoThread() {
    var claimed = scenario.claim(scenario.approved(workspace));
    AppendEventsRequest.Builder request =
        AppendEventsRequest.newBuilder()
            .setRunId(claimed.getRun().getRunId())
            .setLeaseToken(claimed.getLeaseToken())
            .addEvents(event("note.taken", "{}"));
    refused(Reason.REASON_INVALID_FIELDS, request.clone().setThreadId("mine"));
    append(request);
    assertFalse(newest().hasThreadId());
  }
}
