package dev.pmbot.audit;

import com.google.protobuf.TextFormat;
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
import dev.pmbot.wire.ProtoText;
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
  public AuditService(Calls calls, Store store, Audit audit, Feed<EventRow> feed, RunAccess runs) {
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
    EventQuery asked = AuditProtos.fromProto(request.getFilter());
    calls.read(
        observer,
        tx -> {
          EventQuery query = asked.in(admit(tx, asked));
          Paging.Page<AuditEvent> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> EventSearch.look(tx, query, behind, limit),
                  keys -> EventSearch.found(tx, query, keys),
                  event -> EventSearch.key(query, event),
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

  /** Refuses what is about what does not exist; whose log it is about, empty for all. */
  private String admit(Tx tx, EventQuery query) {
    String workspaceId = ProtoText.toProto(query.workspaceId());
    if (query.runId() != null) {
      return runs.workspaceOf(tx, query.runId(), workspaceId);
    }
    return workspaceId.isEmpty() ? "" : audit.head(tx, workspaceId).workspaceId();
  }

  /** The log itself. */
  private final class EventsView implements EventView<EventRow, TailEventsResponse> {
    private final EventFilter filter;
    private final EventQuery query;
    private final boolean fromBeginning;

    EventsView(EventFilter filter, boolean fromBeginning) {
      this.filter = filter;
      this.query = AuditProtos.fromProto(filter);
      this.fromBeginning = fromBeginning;
    }

    @Override
    public String kind() {
      return "events";
    }

    @Override
    public Scope scope() {
      // Both would mean either: of a run, the thread is asked of each event.
      if (query.runId() != null) {
        return new Scope(query.workspaceId(), List.of(query.runId()), List.of());
      }
      return query.threadId() != null
          ? new Scope(query.workspaceId(), List.of(), List.of(query.threadId()))
          : Scope.workspace(query.workspaceId());
    }

    @Override
    public String filter() {
      EventFilter rest = filter.toBuilder().clearWorkspaceId().clearRunId().build();
      return TextFormat.printer().emittingSingleLine(true).printToString(rest);
    }

    @Override
    public void admit(Tx tx) {
      AuditService.this.admit(tx, query);
    }

    @Override
    public boolean fromBeginning() {
      return fromBeginning;
    }

    @Override
    public @Nullable TailEventsResponse transaction(List<EventRow> events, String cursor) {
      EventBatch.Builder batch = EventBatch.newBuilder();
      events.stream()
          .filter(query::takes)
          .forEach(event -> batch.addEvents(AuditProtos.toProto(event)));
      if (batch.getEventsCount() == 0) {
        return null;
      }
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
