package dev.pmbot.feed;

import com.google.common.collect.Interner;
import com.google.common.collect.Interners;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.MethodDescriptor;
import java.util.List;

/**
 * The log itself: a fact is an event.
 *
 * @param fromBeginning whether it begins at the log's beginning
 */
record EventsKind(EventFilter filter, boolean fromBeginning)
    implements StreamKind<TailEventsRequest, TailEventsResponse> {
  // Hundreds of clients are told of the same event: it is kept once.
  private static final Interner<Object> EVENTS = Interners.newWeakInterner();

  static EventsKind of(EventFilter.Builder filter, boolean fromBeginning) {
    return new EventsKind(filter.build(), fromBeginning);
  }

  @Override
  public Role role() {
    return Role.READER;
  }

  @Override
  public MethodDescriptor<TailEventsRequest, TailEventsResponse> method() {
    return AuditServiceGrpc.getTailEventsMethod();
  }

  @Override
  public TailEventsRequest request(String cursor) {
    return TailEventsRequest.newBuilder()
        .setFilter(filter)
        .setCursor(cursor)
        .setFromBeginning(fromBeginning && cursor.isEmpty())
        .build();
  }

  @Override
  public Told told(TailEventsResponse message) {
    return switch (message.getContentCase()) {
      case TRANSACTION ->
          Told.items(
              message.getCursor(),
              message.getTransaction().getEventsList().stream()
                  .map(event -> EVENTS.intern(event))
                  .toList());
      case SYNCED -> Told.synced(message.getCursor());
      case HEARTBEAT -> Told.heartbeat(message.getCursor(), message.getHeartbeat().getHeadsList());
      case CONTENT_NOT_SET -> throw new AssertionError("a message of nothing: " + message);
    };
  }

  @Override
  public List<Shown> shows(RecordedLog log, AuditEvent event) {
    boolean follows =
        isAny(filter.getWorkspaceId(), event.getWorkspaceId())
            && isAny(filter.getRunId(), event.getRunId())
            && isAny(filter.getThreadId(), event.getThreadId())
            && isAny(filter.getNodeId(), event.getNodeId())
            && isAny(filter.getActor(), event.getActor())
            && event.getType().startsWith(filter.getTypePrefix());
    return follows ? Shown.always(event) : List.of();
  }

  private static boolean isAny(String wanted, String is) {
    return wanted.isEmpty() || wanted.equals(is);
  }
}
