package dev.pmbot.interrupt;

import dev.pmbot.approval.ApprovalProtos;
import dev.pmbot.approval.ApprovalRow;
import dev.pmbot.approval.Approvals;
import dev.pmbot.audit.AuditProtos;
import dev.pmbot.audit.EventRow;
import dev.pmbot.feed.Feed;
import dev.pmbot.feed.LogEnd;
import dev.pmbot.feed.Scope;
import dev.pmbot.feed.View;
import dev.pmbot.store.Tx;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.AcknowledgeDecisionsResponse;
import dev.pmbot.v1.DecisionBatch;
import dev.pmbot.v1.DecisionItem;
import dev.pmbot.v1.GetInterruptRequest;
import dev.pmbot.v1.GetInterruptResponse;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.ListInterruptsRequest;
import dev.pmbot.v1.ListInterruptsResponse;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.RaiseInterruptsResponse;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.ResolveInterruptResponse;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Outcome;
import dev.pmbot.wire.Paging;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The calls about questions. */
public final class InterruptService extends InterruptServiceGrpc.InterruptServiceImplBase {
  private final Calls calls;
  private final Interrupts interrupts;
  private final Approvals approvals;
  private final Feed<EventRow> feed;

  /** Over the questions, and the feed that decisions are followed in. */
  public InterruptService(
      Calls calls, Interrupts interrupts, Approvals approvals, Feed<EventRow> feed) {
    this.calls = calls;
    this.interrupts = interrupts;
    this.approvals = approvals;
    this.feed = feed;
  }

  @Override
  public void raiseInterrupts(
      RaiseInterruptsRequest request, StreamObserver<RaiseInterruptsResponse> observer) {
    List<NewQuestion> questions =
        request.getQuestionsList().stream().map(InterruptProtos::fromProto).toList();
    calls.mutate(
        request,
        observer,
        tx -> {
          RaiseInterruptsResponse.Builder reply = RaiseInterruptsResponse.newBuilder();
          interrupts
              .raise(
                  tx, request.getRunId(), request.getLeaseToken(), request.getThreadId(), questions)
              .forEach(row -> reply.addInterrupts(InterruptProtos.toProto(row)));
          return reply.build();
        });
  }

  @Override
  public void resolveInterrupt(
      ResolveInterruptRequest request, StreamObserver<ResolveInterruptResponse> observer) {
    List<NewDecision> decisions =
        request.getDecisionsList().stream().map(InterruptProtos::fromProto).toList();
    calls.mutate(
        request,
        observer,
        tx -> interrupts.checkAhead(tx, decisions),
        (tx, ahead) -> {
          List<Outcome<InterruptRow>> outcomes = interrupts.resolve(tx, decisions, ahead);
          if (outcomes.size() == 1) {
            outcomes.get(0).get(); // One that is refused is easily overlooked in an answer.
          }
          return ResolveInterruptResponse.newBuilder()
              .addAllResults(outcomes.stream().map(InterruptProtos::result).toList())
              .build();
        });
  }

  @Override
  public void getInterrupt(
      GetInterruptRequest request, StreamObserver<GetInterruptResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetInterruptResponse.newBuilder()
                .setInterrupt(InterruptProtos.toProto(interrupts.get(tx, request.getInterruptId())))
                .build());
  }

  @Override
  public void listInterrupts(
      ListInterruptsRequest request, StreamObserver<ListInterruptsResponse> observer) {
    InterruptQuery query = InterruptProtos.fromProto(request.getFilter());
    calls.read(
        observer,
        tx -> {
          interrupts.admit(tx, query);
          Paging.Page<Interrupt> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> interrupts.look(tx, query, behind, limit),
                  interruptIds -> interrupts.getAll(tx, interruptIds),
                  InterruptRow::interruptId,
                  InterruptProtos::toProto);
          return ListInterruptsResponse.newBuilder()
              .addAllInterrupts(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }

  @Override
  public void acknowledgeDecisions(
      AcknowledgeDecisionsRequest request, StreamObserver<AcknowledgeDecisionsResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx -> {
          AcknowledgeDecisionsResponse.Builder reply = AcknowledgeDecisionsResponse.newBuilder();
          interrupts
              .acknowledge(
                  tx, request.getRunId(), request.getLeaseToken(), request.getInterruptIdsList())
              .forEach(row -> reply.addInterrupts(InterruptProtos.toProto(row)));
          return reply.build();
        });
  }

  @Override
  public void watchDecisions(
      WatchDecisionsRequest request, StreamObserver<WatchDecisionsResponse> observer) {
    feed.follow(observer, new DecisionsView(request), request.getCursor());
  }

  /** What is decided for runs or threads. */
  private final class DecisionsView implements View<EventRow, WatchDecisionsResponse> {
    private final List<String> runIds;
    private final List<String> threadIds;

    DecisionsView(WatchDecisionsRequest request) {
      runIds = request.getRunIdsList();
      threadIds = request.getThreadIdsList();
    }

    @Override
    public String kind() {
      return "decisions";
    }

    @Override
    public Scope scope() {
      return new Scope(null, runIds, threadIds);
    }

    @Override
    public void admit(Tx tx) {
      interrupts.admit(tx, runIds);
    }

    @Override
    public List<String> snapshot(Tx tx) {
      return interrupts.toDeliver(tx, runIds, threadIds);
    }

    @Override
    public @Nullable WatchDecisionsResponse snapshotItem(Tx tx, String key) {
      return message(
          key.startsWith("intr_")
              ? decision(tx, interrupts.get(tx, key))
              : approval(approvals.get(tx, key)),
          "");
    }

    private @Nullable WatchDecisionsResponse message(@Nullable DecisionItem item, String cursor) {
      return item == null ? null : message(List.of(item), cursor);
    }

    private WatchDecisionsResponse message(List<DecisionItem> items, String cursor) {
      return WatchDecisionsResponse.newBuilder()
          .setCursor(cursor)
          .setTransaction(DecisionBatch.newBuilder().addAllItems(items))
          .build();
    }

    @Override
    public @Nullable WatchDecisionsResponse transaction(
        Tx tx, List<EventRow> events, String cursor) {
      List<DecisionItem> items = new ArrayList<>();
      for (EventRow event : events) {
        DecisionItem item =
            switch (event.type()) {
              case "interrupt.resolved", "interrupt.due_again" ->
                  decision(tx, interrupts.get(tx, event.fact("interrupt_id")));
              case "interrupt.closed" -> withdrawal(interrupts.get(tx, event.fact("interrupt_id")));
              case "approval.resolved", "approval.closed" ->
                  approval(approvals.get(tx, event.fact("approval_id")));
              default -> null;
            };
        if (item != null) {
          items.add(item);
        }
      }
      return items.isEmpty() ? null : message(items, cursor);
    }

    private @Nullable DecisionItem decision(Tx tx, InterruptRow row) {
      return interrupts.isToDeliver(tx, row)
          ? DecisionItem.newBuilder().setDecision(InterruptProtos.decision(row)).build()
          : null;
    }

    private DecisionItem withdrawal(InterruptRow row) {
      return DecisionItem.newBuilder().setWithdrawal(InterruptProtos.withdrawal(row)).build();
    }

    private @Nullable DecisionItem approval(ApprovalRow row) {
      return Approvals.isOfInterrupt(row)
          ? null
          : DecisionItem.newBuilder().setApproval(ApprovalProtos.toProto(row)).build();
    }

    @Override
    public WatchDecisionsResponse synced(String cursor) {
      return WatchDecisionsResponse.newBuilder()
          .setCursor(cursor)
          .setSynced(AuditProtos.synced())
          .build();
    }

    @Override
    public WatchDecisionsResponse heartbeat(String cursor, List<LogEnd> ends) {
      return WatchDecisionsResponse.newBuilder()
          .setCursor(cursor)
          .setHeartbeat(AuditProtos.heartbeat(ends))
          .build();
    }
  }
}
