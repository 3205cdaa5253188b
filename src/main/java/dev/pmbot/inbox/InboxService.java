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
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The calls about the inbox. */
public final class InboxService extends InboxServiceGrpc.InboxServiceImplBase {
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
    InboxQuery query = query(request.getFilter());
    calls.read(
        observer,
        tx -> {
          inbox.admit(tx, query);
          Paging.Page<InboxItem> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> inbox.look(tx, query, behind, limit),
                  places -> inbox.at(tx, places),
                  Inbox::place,
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
    feed.follow(observer, new InboxView(query(request.getFilter())), request.getCursor());
  }

  private static InboxQuery query(InboxFilter filter) {
    return new InboxQuery(
        ProtoText.fromProto(filter.getWorkspaceId()),
        ProtoText.fromProto(filter.getRunId()),
        ProtoEnums.fromProto(ItemKind.class, "INBOX_ITEM_KIND_", filter.getKind()),
        ApprovalProtos.fromProto(filter.getRisk()));
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
    private final InboxQuery query;

    InboxView(InboxQuery query) {
      this.query = query;
    }

    @Override
    public String kind() {
      return "inbox";
    }

    @Override
    public Scope scope() {
      return new Scope(
          query.workspaceId(),
          query.runId() == null ? List.of() : List.of(query.runId()),
          List.of());
    }

    @Override
    public String filter() {
      boolean narrower = query.kind() != null || query.risk() != null;
      return narrower ? "|" + query.kind() + "|" + query.risk() : "";
    }

    @Override
    public void admit(Tx tx) {
      inbox.admit(tx, query);
    }

    @Override
    public List<String> snapshot(Tx tx) {
      return inbox.all(tx, query);
    }

    @Override
    public StreamInboxResponse snapshotItem(Tx tx, String key) {
      return message(List.of(entered(inbox.at(tx, key))), "");
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
        case "interrupt.raised" -> change(tx, event, "interrupt_id", this::entered);
        case "interrupt.resolved", "interrupt.closed" ->
            // A decision that was void later had left the inbox before.
            event.fact("decision_void").isEmpty()
                ? change(tx, event, "interrupt_id", item -> left(item, event))
                : null;
        case "approval.requested" ->
            isOfInterrupt(event) ? null : change(tx, event, "approval_id", this::entered);
        case "approval.resolved", "approval.closed" ->
            isOfInterrupt(event)
                ? null
                : change(tx, event, "approval_id", item -> left(item, event));
        default -> null;
      };
    }

    private @Nullable InboxChange change(
        Tx tx, EventRow event, String idFact, Function<Item, InboxChange> how) {
      Item item = inbox.item(tx, event.fact(idFact));
      return query.takes(item) ? how.apply(item) : null;
    }

    private boolean isOfInterrupt(EventRow event) {
      return Inbox.isQuestion(event.fact("subject_id"));
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
