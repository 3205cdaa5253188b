package dev.pmbot.inbox;

import dev.pmbot.approval.ApprovalProtos;
import dev.pmbot.approval.ApprovalRow;
import dev.pmbot.approval.ClosedBy;
import dev.pmbot.audit.AuditProtos;
import dev.pmbot.audit.EventRow;
import dev.pmbot.feed.Feed;
import dev.pmbot.feed.LogEnd;
import dev.pmbot.feed.Scope;
import dev.pmbot.feed.View;
import dev.pmbot.interrupt.InterruptProtos;
import dev.pmbot.store.Tx;
import dev.pmbot.v1.InboxBatch;
import dev.pmbot.v1.InboxChange;
import dev.pmbot.v1.InboxDeparture;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxItem;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.ListInboxResponse;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The calls about the inbox. */
public final class InboxService extends InboxServiceGrpc.InboxServiceImplBase {
  // Rows may be a mebibyte each.
  private static final int KEYS_AT_ONCE = 25;

  private final Calls calls;
  private final Inbox inbox;
  private final Feed<EventRow> feed;

  /** Over the inbox, and the feed that it is followed in. */
  public InboxService(Calls calls, Inbox inbox, Feed<EventRow> feed) {
    this.calls = calls;
    this.inbox = inbox;
    this.feed = feed;
  }

  @Override
  public void listInbox(ListInboxRequest request, StreamObserver<ListInboxResponse> observer) {
    String workspaceId = workspaceId(request.getFilter());
    calls.read(
        observer,
        tx -> {
          Paging.Page<InboxItem> page =
              Paging.page(
                  request,
                  (behind, limit) -> inbox.list(tx, workspaceId, behind, limit),
                  Item::key,
                  InboxService::toProto);
          return ListInboxResponse.newBuilder()
              .addAllItems(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }

  @Override
  public void streamInbox(
      StreamInboxRequest request, StreamObserver<StreamInboxResponse> observer) {
    feed.follow(observer, new InboxView(workspaceId(request.getFilter())), request.getCursor());
  }

  private static @Nullable String workspaceId(InboxFilter filter) {
    return filter.getWorkspaceId().isEmpty() ? null : filter.getWorkspaceId();
  }

  private static InboxItem toProto(Item item) {
    if (item instanceof Item.OfInterrupt question) {
      return InboxItem.newBuilder().setInterrupt(InterruptProtos.toProto(question.row())).build();
    }
    ApprovalRow row = ((Item.OfApproval) item).row();
    return InboxItem.newBuilder().setApproval(ApprovalProtos.toProto(row)).build();
  }

  /** What enters and leaves the inbox. */
  private final class InboxView implements View<EventRow, StreamInboxResponse> {
    private final @Nullable String workspaceId;

    InboxView(@Nullable String workspaceId) {
      this.workspaceId = workspaceId;
    }

    @Override
    public String kind() {
      return "inbox";
    }

    @Override
    public Scope scope() {
      return Scope.workspace(workspaceId);
    }

    @Override
    public void admit(Tx tx) {
      inbox.admit(tx, workspaceId);
    }

    @Override
    public List<String> snapshot(Tx tx) {
      List<String> ids = new ArrayList<>();
      String behind = null;
      List<Item> items;
      do {
        items = inbox.list(tx, workspaceId, behind, KEYS_AT_ONCE);
        for (Item item : items) {
          ids.add(item.id());
          behind = item.key();
        }
      } while (items.size() == KEYS_AT_ONCE);
      return ids;
    }

    @Override
    public StreamInboxResponse snapshotItem(Tx tx, String key) {
      return message(List.of(entered(inbox.item(tx, key))), "");
    }

    @Override
    public @Nullable StreamInboxResponse transaction(Tx tx, List<EventRow> events, String cursor) {
      List<InboxChange> changes = new ArrayList<>();
      for (EventRow event : events) {
        InboxChange change = change(tx, event);
        if (change != null) {
          changes.add(change);
        }
      }
      return changes.isEmpty() ? null : message(changes, cursor);
    }

    private @Nullable InboxChange change(Tx tx, EventRow event) {
      return switch (event.type()) {
        case "interrupt.raised" -> entered(inbox.item(tx, event.fact("interrupt_id")));
        case "interrupt.resolved", "interrupt.closed" ->
            // A decision that was void later had left the inbox before.
            event.fact("decision_void").isEmpty()
                ? left(inbox.item(tx, event.fact("interrupt_id")), event)
                : null;
        case "approval.requested" ->
            isOfInterrupt(event) ? null : entered(inbox.item(tx, event.fact("approval_id")));
        case "approval.resolved", "approval.closed" ->
            isOfInterrupt(event) ? null : left(inbox.item(tx, event.fact("approval_id")), event);
        default -> null;
      };
    }

    private boolean isOfInterrupt(EventRow event) {
      return event.fact("subject_id").startsWith("intr_");
    }

    private InboxChange entered(Item item) {
      return InboxChange.newBuilder().setEntered(toProto(item)).build();
    }

    /**
     * What ended it stands in the event: the row of a question that was decided, and whose decision
     * became void before this is sent, says what came after.
     */
    private InboxChange left(Item item, EventRow event) {
      ClosedBy closedBy = ClosedBy.valueOf(event.fact("closed_by").toUpperCase(Locale.ROOT));
      return InboxChange.newBuilder()
          .setLeft(
              InboxDeparture.newBuilder()
                  .setItem(toProto(item))
                  .setClosedBy(ApprovalProtos.toProto(closedBy)))
          .build();
    }

    private StreamInboxResponse message(List<InboxChange> changes, String cursor) {
      return StreamInboxResponse.newBuilder()
          .setCursor(cursor)
          .setTransaction(InboxBatch.newBuilder().addAllChanges(changes))
          .build();
    }

    @Override
    public StreamInboxResponse synced(String cursor) {
      return StreamInboxResponse.newBuilder()
          .setCursor(cursor)
          .setSynced(AuditProtos.synced())
          .build();
    }

    @Override
    public StreamInboxResponse heartbeat(String cursor, List<LogEnd> ends) {
      return StreamInboxResponse.newBuilder()
          .setCursor(cursor)
          .setHeartbeat(AuditProtos.heartbeat(ends))
          .build();
    }
  }
}
