package dev.pmbot.feed;

import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.Decision;
import dev.pmbot.v1.DecisionItem;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.MethodDescriptor;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What is decided for runs or threads: a fact is a decision, a withdrawal, or the end of an
 * approval.
 *
 * @param taken when clients knew that a decision had been taken
 */
record DecisionsKind(List<String> runIds, List<String> threadIds, Taken taken)
    implements StreamKind<WatchDecisionsRequest, WatchDecisionsResponse> {
  /** When clients knew that decisions had been taken. */
  static final class Taken {
    private final Map<String, Long> at = new ConcurrentHashMap<>();

    void note(String interruptId, long time) {
      at.put(interruptId, time);
    }

    int count() {
      return at.size();
    }
  }

  /** A person decided a question. */
  record Decided(String runId, String interruptId, String externalId, JsonNode decision) {}

  /** Nobody will. */
  record Withdrawn(String interruptId, String closedBy) {}

  /** An approval that belongs to no question ended. */
  record Ended(String approvalId, String status) {}

  @Override
  public Role role() {
    return Role.WORKER;
  }

  @Override
  public MethodDescriptor<WatchDecisionsRequest, WatchDecisionsResponse> method() {
    return InterruptServiceGrpc.getWatchDecisionsMethod();
  }

  @Override
  public WatchDecisionsRequest request(String cursor) {
    return WatchDecisionsRequest.newBuilder()
        .addAllRunIds(runIds)
        .addAllThreadIds(threadIds)
        .setCursor(cursor)
        .build();
  }

  @Override
  public Told told(WatchDecisionsResponse message) {
    return switch (message.getContentCase()) {
      case TRANSACTION ->
          Told.items(
              message.getCursor(),
              message.getTransaction().getItemsList().stream().map(DecisionsKind::fact).toList());
      case SYNCED -> Told.synced(message.getCursor());
      case HEARTBEAT -> Told.heartbeat(message.getCursor(), message.getHeartbeat().getHeadsList());
      case CONTENT_NOT_SET -> throw new AssertionError("a message of nothing: " + message);
    };
  }

  private static Object fact(DecisionItem item) {
    return switch (item.getItemCase()) {
      case DECISION -> {
        Decision decision = item.getDecision();
        yield new Decided(
            decision.getRunId(),
            decision.getInterruptId(),
            decision.getExternalId(),
            JsonMapper.shared().readTree(decision.getDecisionJson()));
      }
      case WITHDRAWAL ->
          new Withdrawn(
              item.getWithdrawal().getInterruptId(),
              lower(item.getWithdrawal().getClosedBy().name(), "CLOSED_BY_"));
      case APPROVAL ->
          new Ended(
              item.getApproval().getApprovalId(),
              lower(item.getApproval().getStatus().name(), "APPROVAL_STATUS_"));
      case ITEM_NOT_SET -> throw new AssertionError("an item of nothing: " + item);
    };
  }

  private static String lower(String name, String prefix) {
    return name.substring(prefix.length()).toLowerCase(Locale.ROOT);
  }

  private boolean follows(AuditEvent event) {
    return runIds.contains(event.getRunId()) || threadIds.contains(event.getThreadId());
  }

  @Override
  public List<Shown> shows(RecordedLog log, AuditEvent event) {
    if (!follows(event)) {
      return List.of();
    }
    String interruptId = log.fact(event, "interrupt_id");
    return switch (event.getType()) {
      case "interrupt.resolved" ->
          List.of(new Shown(decided(log, event), isUselessLater(log, event, interruptId)));
      // Who was told when it was decided is told again; who was not, is told now.
      case "interrupt.due_again" ->
          log.find("interrupt.resolved", interruptId).stream()
              .map(resolved -> new Shown(decided(log, resolved), true))
              .toList();
      case "interrupt.closed" ->
          Shown.always(new Withdrawn(interruptId, log.fact(event, "closed_by")));
      case "approval.resolved", "approval.closed" ->
          log.fact(event, "subject_id").startsWith("intr_")
              ? List.of()
              : Shown.always(new Ended(log.fact(event, "approval_id"), log.fact(event, "status")));
      default -> List.of();
    };
  }

  private static Decided decided(RecordedLog log, AuditEvent event) {
    return new Decided(
        event.getRunId(),
        log.fact(event, "interrupt_id"),
        log.fact(event, "external_id"),
        log.node(event, "decision"));
  }

  /** Whether a decision was taken, or became void, or its run ended, some time behind it. */
  private static boolean isUselessLater(RecordedLog log, AuditEvent event, String interruptId) {
    return takenOrVoid(log, interruptId) < Long.MAX_VALUE
        || log.endsOrBegins(event.getRunId(), event.getSeq(), Long.MAX_VALUE);
  }

  private static long takenOrVoid(RecordedLog log, String interruptId) {
    return log.find("interrupt.acknowledged", interruptId)
        .or(() -> log.find("interrupt.closed", interruptId))
        .map(AuditEvent::getSeq)
        .orElse(Long.MAX_VALUE);
  }

  /** Whether a run asked for it by itself: it is told of whenever a stream begins. */
  private static boolean isMidRun(RecordedLog log, AuditEvent event) {
    return event.getType().equals("approval.resolved")
        && log.fact(event, "subject_id").isEmpty()
        && !log.fact(event, "kind").equals("run_start");
  }

  @Override
  public boolean beginsWithWhatStands() {
    return true;
  }

  @Override
  public String workspaceOf(RecordedLog log, Object fact) {
    if (fact instanceof Ended ended) {
      return log.find("approval.resolved", ended.approvalId)
          .map(AuditEvent::getWorkspaceId)
          .orElse("");
    }
    return fact instanceof Decided decided ? log.workspaceOfRun(decided.runId) : "";
  }

  @Override
  public Optional<String> complaintAboutWhatStands(
      RecordedLog log, String workspaceId, long position, long before, List<Object> facts) {
    Set<Object> must = new HashSet<>();
    Set<Object> may = new HashSet<>();
    for (AuditEvent event : log.events(workspaceId).subList(0, (int) position)) {
      if (!follows(event)) {
        continue;
      }
      String runId = event.getRunId();
      boolean ended = log.hasEnded(runId, position);
      if (event.getType().equals("interrupt.resolved")) {
        Decided decided = decided(log, event);
        long useless = takenOrVoid(log, decided.interruptId);
        if (useless == Long.MAX_VALUE && !log.endsOrBegins(runId, position, useless) && !ended) {
          must.add(decided);
        } else if (useless > position && (!ended || log.endsOrBegins(runId, position, before))) {
          may.add(decided);
        }
      } else if (isMidRun(log, event)) {
        Ended fact = new Ended(log.fact(event, "approval_id"), log.fact(event, "status"));
        if (log.endsOrBegins(runId, position, before)) {
          may.add(fact);
        } else if (!ended) {
          must.add(fact);
        }
      }
    }
    for (Object fact : facts) {
      if (!must.remove(fact) && !may.remove(fact)) {
        return Optional.of("it is not to be handed over at " + position + ", or twice: " + fact);
      }
    }
    return must.isEmpty()
        ? Optional.empty()
        : Optional.of("decided by " + position + ", never taken, and not handed over: " + must);
  }

  @Override
  public Optional<String> complaintAboutOrder(RecordedLog log, List<Object> facts) {
    List<String> interrupts = new ArrayList<>();
    List<String> approvals = new ArrayList<>();
    for (Object fact : facts) {
      if (fact instanceof Decided decided && approvals.isEmpty()) {
        interrupts.add(decided.interruptId);
      } else if (fact instanceof Ended ended) {
        approvals.add(ended.approvalId);
      } else {
        return Optional.of("it does not stand, or behind what follows it: " + fact);
      }
    }
    return isSorted(interrupts) && isSorted(approvals)
        ? Optional.empty()
        : Optional.of("not in the order of ids: " + facts);
  }

  private static boolean isSorted(List<String> ids) {
    return ids.equals(ids.stream().sorted().toList());
  }

  @Override
  public Optional<String> complaintAboutTime(Object fact, long openedAt) {
    if (fact instanceof Decided decided) {
      Long at = taken.at.get(decided.interruptId);
      if (at != null && at < openedAt) {
        return Optional.of("it was taken before the connection was opened: " + fact);
      }
    }
    return Optional.empty();
  }
}
