package dev.pmbot.audit;

import dev.pmbot.feed.EventView;
import dev.pmbot.feed.Feed;
import dev.pmbot.feed.LogEnd;
import dev.pmbot.feed.Scope;
import dev.pmbot.store.Store;
import dev.pmbot.store.Tx;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.AppendEventsResponse;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.EventBatch;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.ListEventsRequest;
import dev.pmbot.v1.ListEventsResponse;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.v1.VerifyChainResponse;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import io.grpc.stub.StreamObserver;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The calls about the log. */
public final class AuditService extends AuditServiceGrpc.AuditServiceImplBase {
  private final Calls calls;
  private final Store store;
  private final Audit audit;
  private final ChainVerifier verifier;
  private final Feed<EventRow> feed;
  private final RunAccess runs;
  private final ClientEvents clientEvents;

  /** Over the log and those who follow it. */
  public AuditService(
      Calls calls, Store store, Audit audit, Feed<EventRow> feed, RunAccess runs) {
    this.calls = calls;
    this.store = store;
    this.audit = audit;
    this.verifier = new ChainVerifier(store);
    this.feed = feed;
    this.runs = runs;
    this.clientEvents = new ClientEvents(audit, runs);
  }

  @Override
  public void appendEvents(
      AppendEventsRequest request, StreamObserver<AppendEventsResponse> observer) {
    ClientEvents.Report report = AuditProtos.fromProto(request);
    calls.mutate(request, observer, tx -> AuditProtos.toProto(clientEvents.append(tx, report)));
  }

  @Override
  public void listEvents(ListEventsRequest request, StreamObserver<ListEventsResponse> observer) {
    EventFilter filter = request.getFilter();
    calls.read(
        observer,
        tx -> {
          admit(tx, filter);
          Scope scope = scope(filter);
          Paging.Page<AuditEvent> page =
              Paging.page(
                  request,
                  (behind, limit) ->
                      audit.before(
                          tx,
                          scope,
                          behind == null ? Long.MAX_VALUE : Long.parseLong(behind),
                          limit),
                  row -> Long.toString(row.seq()),
                  AuditProtos::toProto);
          return ListEventsResponse.newBuilder()
              .addAllEvents(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }

  @Override
  public void tailEvents(TailEventsRequest request, StreamObserver<TailEventsResponse> observer) {
    feed.follow(
        observer,
        new EventsView(request.getFilter(), request.getFromBeginning()),
        request.getCursor());
  }

  @Override
  public void verifyChain(
      VerifyChainRequest request, StreamObserver<VerifyChainResponse> observer) {
    Calls.answer(
        observer,
        store
            .read(tx -> audit.head(tx, request.getWorkspaceId()))
            .thenCompose(verifier::verify)
            .thenApply(AuditProtos::toProto));
  }

  private static Scope scope(EventFilter filter) {
    String workspaceId = filter.getWorkspaceId();
    return new Scope(
        workspaceId.isEmpty() ? null : workspaceId,
        filter.getRunId().isEmpty() ? List.of() : List.of(filter.getRunId()),
        List.of());
  }

  private void admit(Tx tx, EventFilter filter) {
    if (!filter.getRunId().isEmpty()) {
      runs.workspaceOf(tx, filter.getRunId(), filter.getWorkspaceId());
    } else if (!filter.getWorkspaceId().isEmpty()) {
      audit.head(tx, filter.getWorkspaceId());
    }
  }

  /** The log itself. */
  private final class EventsView implements EventView<EventRow, TailEventsResponse> {
    private final EventFilter filter;
    private final boolean fromBeginning;

    EventsView(EventFilter filter, boolean fromBeginning) {
      this.filter = filter;
      this.fromBeginning = fromBeginning;
    }

    @Override
    public String kind() {
      return "events";
    }

    @Override
    public Scope scope() {
      return AuditService.scope(filter);
    }

    @Override
    public void admit(Tx tx) {
      AuditService.this.admit(tx, filter);
    }

    @Override
    public boolean fromBeginning() {
      return fromBeginning;
    }

    @Override
    public @Nullable TailEventsResponse transaction(List<EventRow> events, String cursor) {
      EventBatch.Builder batch = EventBatch.newBuilder();
      events.forEach(event -> batch.addEvents(AuditProtos.toProto(event)));
      return TailEventsResponse.newBuilder().setCursor(cursor).setTransaction(batch).build();
    }

    @Override
    public TailEventsResponse synced(String cursor) {
      return TailEventsResponse.newBuilder()
          .setCursor(cursor)
          .setSynced(AuditProtos.synced())
          .build();
    }

    @Override
    public TailEventsResponse heartbeat(String cursor, List<LogEnd> ends) {
      return TailEventsResponse.newBuilder()
          .setCursor(cursor)
          .setHeartbeat(AuditProtos.heartbeat(ends))
          .build();
    }
  }
}
