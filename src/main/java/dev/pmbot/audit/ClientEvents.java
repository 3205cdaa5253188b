package dev.pmbot.audit;

import dev.pmbot.json.JsonProblem;
import dev.pmbot.json.JsonText;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.Violation;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What clients put on the record. They say what happened; the server says who says so, and when.
 */
final class ClientEvents {
  /** The first words of the server's own types. */
  static final Set<String> SERVERS =
      Set.of(
          "access",
          "approval",
          "artifact",
          "audit",
          "changeset",
          "checkpoint",
          "interrupt",
          "repo",
          "retrieval",
          "run",
          "server",
          "workspace");

  private final Audit audit;
  private final RunAccess runs;

  ClientEvents(Audit audit, RunAccess runs) {
    this.audit = audit;
    this.runs = runs;
  }

  /** An event as a client tells it. */
  record Told(String type, @Nullable String nodeId, String payloadJson) {}

  /** Events with what they are all about; what is not named is empty. */
  record Report(
      String workspaceId, String runId, String leaseToken, String threadId, List<Told> events) {}

  /**
   * Puts events on the record; where they stand.
   *
   * @throws Problem INVALID_FIELDS, NOT_FOUND, LEASE_LOST, THREAD_IN_USE, TOO_LARGE
   */
  List<EventRow> append(Tx tx, Report report) {
    check(report.events);
    String workspaceId = report.workspaceId;
    String threadId = report.threadId;
    if (report.runId.isEmpty()) {
      audit.head(tx, workspaceId);
      String runId = threadId.isEmpty() ? null : runs.runOnThread(tx, threadId);
      if (runId != null) {
        throw Problem.threadInUse(threadId, runId);
      }
    } else {
      runs.workspaceOf(tx, report.runId, workspaceId);
      RunAccess.Place place = runs.open(tx, report.runId, report.leaseToken);
      if (!threadId.isEmpty() && !threadId.equals(place.threadId())) {
        throw Problem.invalidField(
            "thread_id",
            place.threadId() == null
                ? "the run has none before it is started"
                : "the run is bound to thread " + place.threadId());
      }
      workspaceId = place.workspaceId();
      threadId = ProtoText.toProto(place.threadId());
    }
    for (Told told : report.events) {
      audit.append(
          tx,
          Event.told(workspaceId, told.type, told.payloadJson)
              .run(ProtoText.fromProto(report.runId))
              .thread(ProtoText.fromProto(threadId))
              .node(told.nodeId));
    }
    return audit.settle(tx);
  }

  private static void check(List<Told> events) {
    List<Violation> violations = new ArrayList<>();
    for (int index = 0; index < events.size(); index++) {
      Told told = events.get(index);
      String first = told.type.substring(0, told.type.indexOf('.'));
      if (SERVERS.contains(first)) {
        violations.add(
            new Violation(
                "events[" + index + "].type",
                "begins with " + first + "., which only the server's own types do"));
      }
      try {
        JsonText.checkObject(told.payloadJson, Fields.LARGEST_JSON);
      } catch (JsonProblem problem) {
        violations.add(
            new Violation(
                "events[" + index + "].payload_json", String.valueOf(problem.getMessage())));
      }
    }
    if (!violations.isEmpty()) {
      throw Problem.invalidFields(violations);
    }
  }
}
