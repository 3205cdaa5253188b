package dev.pmbot.feed;

import dev.pmbot.v1.AuditEvent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The log as it stands in the end: what every client should have been told a part of. */
final class RecordedLog {
  private static final String RETRIED = "run.retried";
  private static final Set<String> ENDS_AND_RETRIES =
      Set.of("run.completed", "run.failed", "run.cancelled", "run.rejected", RETRIED);

  private final Map<String, List<AuditEvent>> byWorkspace = new TreeMap<>();
  private final Map<AuditEvent, JsonNode> facts = new IdentityHashMap<>();
  private final Map<String, AuditEvent> byTypeAndSubject = new HashMap<>();
  private final Map<String, String> workspaceOfRun = new HashMap<>();
  private final Map<String, List<AuditEvent>> endsAndRetries = new HashMap<>();

  /** Takes up a workspace's whole log; what is wrong with it by itself. */
  List<String> add(String workspaceId, List<AuditEvent> events) {
    List<String> complaints = new ArrayList<>();
    byWorkspace.put(workspaceId, events);
    long transaction = 0;
    for (int index = 0; index < events.size(); index++) {
      AuditEvent event = events.get(index);
      if (event.getSeq() != index + 1) {
        complaints.add("seq " + (index + 1) + " of " + workspaceId + " is " + event.getSeq());
      }
      boolean begins = event.getTxFirstSeq() == event.getSeq();
      if (!begins && event.getTxFirstSeq() != transaction) {
        complaints.add("no transaction of " + workspaceId + " holds " + event);
      }
      transaction = event.getTxFirstSeq();
      JsonNode payload = JsonMapper.shared().readTree(event.getPayloadJson());
      facts.put(event, payload);
      for (String subject : List.of("interrupt_id", "approval_id")) {
        byTypeAndSubject.put(event.getType() + " " + fact(event, subject), event);
      }
      if (event.hasRunId()) {
        workspaceOfRun.put(event.getRunId(), workspaceId);
        if (ENDS_AND_RETRIES.contains(event.getType())) {
          endsAndRetries.computeIfAbsent(event.getRunId(), id -> new ArrayList<>()).add(event);
        }
      }
    }
    return complaints;
  }

  /** The workspaces that have a log. */
  Iterable<String> workspaces() {
    return byWorkspace.keySet();
  }

  /** A workspace's events, oldest first; none, if there is no such workspace. */
  List<AuditEvent> events(String workspaceId) {
    return byWorkspace.getOrDefault(workspaceId, List.of());
  }

  /** How many events there are in all. */
  long size() {
    return byWorkspace.values().stream().mapToLong(List::size).sum();
  }

  /** A fact of an event; empty when it has none of that name. */
  String fact(AuditEvent event, String name) {
    return node(event, name).asString("");
  }

  /** A fact of an event, as it stands. */
  JsonNode node(AuditEvent event, String name) {
    return Objects.requireNonNull(facts.get(event)).path(name);
  }

  /** The event of a type about a question or an approval. */
  Optional<AuditEvent> find(String type, String subject) {
    return Optional.ofNullable(byTypeAndSubject.get(type + " " + subject));
  }

  /** The workspace of a run; empty, if there is no such run. */
  String workspaceOfRun(String runId) {
    return workspaceOfRun.getOrDefault(runId, "");
  }

  /** Whether a run has ended at any time. */
  boolean hasEverEnded(String runId) {
    return endsAndRetries.getOrDefault(runId, List.of()).stream()
        .anyMatch(event -> !event.getType().equals(RETRIED));
  }

  /** Whether a run had ended, and nobody had given it another attempt, at a seq of its log. */
  boolean hasEnded(String runId, long seq) {
    boolean ended = false;
    for (AuditEvent event : endsAndRetries.getOrDefault(runId, List.of())) {
      if (event.getSeq() <= seq) {
        ended = !event.getType().equals(RETRIED);
      }
    }
    return ended;
  }

  /**
   * Whether a run ended, or was given another attempt, somewhere behind a seq and before another.
   */
  boolean endsOrBegins(String runId, long behind, long before) {
    return endsAndRetries.getOrDefault(runId, List.of()).stream()
        .anyMatch(event -> event.getSeq() > behind && event.getSeq() < before);
  }
}
