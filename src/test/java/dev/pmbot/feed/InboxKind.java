package dev.pmbot.feed;

import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.InboxChange;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.MethodDescriptor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * The inbox: a fact is that something entered it or left it.
 *
 * @param workspaceId only this workspace's; empty: all
 */
record InboxKind(String workspaceId)
    implements StreamKind<StreamInboxRequest, StreamInboxResponse> {
  /** Something waits for the person. */
  record Entered(String workspaceId, String id) {}

  /** It waits no more. */
  record Left(String workspaceId, String id, String closedBy) {}

  @Override
  public Role role() {
    return Role.READER;
  }

  @Override
  public MethodDescriptor<StreamInboxRequest, StreamInboxResponse> method() {
    return InboxServiceGrpc.getStreamInboxMethod();
  }

  @Override
  public StreamInboxRequest request(String cursor) {
    return StreamInboxRequest.newBuilder()
        .setFilter(InboxFilter.newBuilder().setWorkspaceId(workspaceId))
        .setCursor(cursor)
        .build();
  }

  @Override
  public Told told(StreamInboxResponse message) {
    return switch (message.getContentCase()) {
      case TRANSACTION ->
          Told.items(
              message.getCursor(),
              message.getTransaction().getChangesList().stream().map(InboxKind::fact).toList());
      case SYNCED -> Told.synced(message.getCursor());
      case HEARTBEAT -> Told.heartbeat(message.getCursor(), message.getHeartbeat().getHeadsList());
      case CONTENT_NOT_SET -> throw new AssertionError("a message of nothing: " + message);
    };
  }

  private static Object fact(InboxChange change) {
    if (change.hasEntered()) {
      InboxItem item = change.getEntered();
      return new Entered(workspace(item), id(item));
    }
    InboxItem item = change.getLeft().getItem();
    String closedBy = change.getLeft().getClosedBy().name().substring("CLOSED_BY_".length());
    return new Left(workspace(item), id(item), closedBy.toLowerCase(Locale.ROOT));
  }

  private static String workspace(InboxItem item) {
    return item.hasInterrupt()
        ? item.getInterrupt().getWorkspaceId()
        : item.getApproval().getWorkspaceId();
  }

  private static String id(InboxItem item) {
    return item.hasInterrupt()
        ? item.getInterrupt().getInterruptId()
        : item.getApproval().getApprovalId();
  }

  @Override
  public List<Shown> shows(RecordedLog log, AuditEvent event) {
    String workspace = event.getWorkspaceId();
    if (!workspaceId.isEmpty() && !workspaceId.equals(workspace)) {
      return List.of();
    }
    // A question's approval only sums it up.
    boolean counts = !log.fact(event, "subject_id").startsWith("intr_");
    String closedBy = log.fact(event, "closed_by");
    return switch (event.getType()) {
      case "interrupt.raised" ->
          Shown.always(new Entered(workspace, log.fact(event, "interrupt_id")));
      case "interrupt.resolved", "interrupt.closed" ->
          // A void decision's question had left when it was decided.
          log.node(event, "decision_void").isBoolean()
              ? List.of()
              : Shown.always(new Left(workspace, log.fact(event, "interrupt_id"), closedBy));
      case "approval.requested" ->
          counts ? Shown.always(new Entered(workspace, log.fact(event, "approval_id"))) : List.of();
      case "approval.resolved", "approval.closed" ->
          counts
              ? Shown.always(new Left(workspace, log.fact(event, "approval_id"), closedBy))
              : List.of();
      default -> List.of();
    };
  }

  @Override
  public boolean beginsWithWhatStands() {
    return true;
  }

  @Override
  public String workspaceOf(RecordedLog log, Object fact) {
    return fact instanceof Entered entered ? entered.workspaceId : ((Left) fact).workspaceId;
  }

  @Override
  public Optional<String> complaintAboutWhatStands(
      RecordedLog log, String workspace, long position, long before, List<Object> facts) {
    Set<String> waiting = new TreeSet<>();
    for (AuditEvent event : log.events(workspace).subList(0, (int) position)) {
      for (Shown shown : shows(log, event)) {
        if (shown.fact() instanceof Entered entered) {
          waiting.add(entered.id);
        } else {
          waiting.remove(((Left) shown.fact()).id);
        }
      }
    }
    Set<String> told = new TreeSet<>();
    for (Object fact : facts) {
      if (!(fact instanceof Entered entered) || !told.add(entered.id)) {
        return Optional.of("it does not stand, or stood before: " + fact);
      }
    }
    return told.equals(waiting)
        ? Optional.empty()
        : Optional.of("what waits at " + position + " is " + waiting + ", not " + told);
  }

  @Override
  public Optional<String> complaintAboutOrder(RecordedLog log, List<Object> facts) {
    List<String> riskiestFirst = List.of("high", "medium", "low");
    Comparator<AuditEvent> order =
        Comparator.comparing((AuditEvent event) -> riskiestFirst.indexOf(log.fact(event, "risk")))
            .thenComparing(event -> event.getCreatedAt().getSeconds())
            .thenComparing(event -> event.getCreatedAt().getNanos());
    List<AuditEvent> asked = new ArrayList<>();
    for (Object fact : facts) {
      String id = fact instanceof Entered entered ? entered.id : "";
      log.find("interrupt.raised", id)
          .or(() -> log.find("approval.requested", id))
          .ifPresent(asked::add);
    }
    for (int index = 1; index < asked.size(); index++) {
      if (order.compare(asked.get(index - 1), asked.get(index)) > 0) {
        return Optional.of(
            "the riskiest first, then the oldest: not "
                + facts.get(index - 1)
                + " before "
                + facts.get(index));
      }
    }
    return Optional.empty();
  }
}
