package dev.pmbot.bench;

import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.ApprovalServiceGrpc;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptDecision;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchDecisionsResponse;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * One question after another: raised by the worker, seen in the operator's stream of the inbox,
 * decided, and received by the worker's stream of decisions.
 */
final class Questions {
  private static final int WARM_UP = 300;
  private static final int COUNT = 1_000;
  private static final String GRAPH = "bench/questions";
  private static final String THREAD = "bench-thread";
  private static final String PAYLOAD =
      "{\"title\":\"May I?\",\"description\":\"a question that is measured\","
          + "\"response_schema\":{\"type\":\"string\"}}";
  private static final String ANSWER = "{\"answer\":\"yes\"}";

  private final Channel worker;
  private final Channel operator;
  private final String workspaceId;

  Questions(ServerProcess server) {
    this.worker = server.channel();
    this.operator = server.channel();
    // One of its own: the other measurements leave a hundred thousand proposals behind.
    this.workspaceId =
        WorkspaceServiceGrpc.newBlockingStub(operator)
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("questions").build())
            .getWorkspace()
            .getWorkspaceId();
  }

  Map<String, Line> measure() throws InterruptedException {
    ClaimedRun claimed = begin();
    String runId = claimed.getRun().getRunId();
    InterruptServiceGrpc.InterruptServiceBlockingStub interrupts =
        InterruptServiceGrpc.newBlockingStub(worker);
    InterruptServiceGrpc.InterruptServiceBlockingStub decides =
        InterruptServiceGrpc.newBlockingStub(operator);
    BlockingQueue<StreamInboxResponse> inbox = new LinkedBlockingQueue<>();
    BlockingQueue<WatchDecisionsResponse> decisions = new LinkedBlockingQueue<>();
    List<Double> seen = new ArrayList<>();
    List<Double> received = new ArrayList<>();
    try (CancellableContext streams = Context.current().withCancellation()) {
      streams.run(
          () -> {
            InboxServiceGrpc.newStub(operator)
                .streamInbox(
                    StreamInboxRequest.newBuilder()
                        .setFilter(InboxFilter.newBuilder().setWorkspaceId(workspaceId))
                        .build(),
                    into(inbox));
            InterruptServiceGrpc.newStub(worker)
                .watchDecisions(
                    WatchDecisionsRequest.newBuilder().addRunIds(runId).build(), into(decisions));
          });
      while (!inbox.take().hasSynced()) {
        // Nothing stands in it yet.
      }
      while (!decisions.take().hasSynced()) {
        // Nothing is decided yet.
      }
      for (int index = 0; index < WARM_UP + COUNT; index++) {
        long begin = System.nanoTime();
        Interrupt raised =
            interrupts
                .raiseInterrupts(
                    RaiseInterruptsRequest.newBuilder()
                        .setRequestId(UUID.randomUUID().toString())
                        .setRunId(runId)
                        .setLeaseToken(claimed.getLeaseToken())
                        .setThreadId(THREAD)
                        .addQuestions(
                            Question.newBuilder()
                                .setExternalId("question-" + index)
                                .setKind(InterruptKind.INTERRUPT_KIND_QUESTION)
                                .setRisk(Risk.RISK_LOW)
                                .setPayloadJson(PAYLOAD))
                        .build())
                .getInterrupts(0);
        while (!inbox.take().toString().contains(raised.getInterruptId())) {
          // The last question leaving the inbox.
        }
        final long visible = System.nanoTime();
        decides.resolveInterrupt(
            ResolveInterruptRequest.newBuilder()
                .setRequestId(UUID.randomUUID().toString())
                .addDecisions(
                    InterruptDecision.newBuilder()
                        .setInterruptId(raised.getInterruptId())
                        .setPayloadHash(raised.getPayloadHash())
                        .setDecisionJson(ANSWER))
                .build());
        while (!decisions.take().hasTransaction()) {
          // A heartbeat.
        }
        long end = System.nanoTime();
        interrupts.acknowledgeDecisions(
            AcknowledgeDecisionsRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(claimed.getLeaseToken())
                .addInterruptIds(raised.getInterruptId())
                .build());
        if (index >= WARM_UP) {
          seen.add((visible - begin) / 1e6);
          received.add((end - visible) / 1e6);
        }
      }
    }
    Map<String, Line> lines = new LinkedHashMap<>();
    lines.put("question raised → seen in StreamInbox", Line.of(seen));
    lines.put("decided → at the worker", Line.of(received));
    return lines;
  }

  private ClaimedRun begin() {
    RunServiceGrpc.RunServiceBlockingStub runs = RunServiceGrpc.newBlockingStub(worker);
    CreateRunResponse created =
        runs.createRun(
            CreateRunRequest.newBuilder()
                .setWorkspaceId(workspaceId)
                .setGoal("ask a thousand questions")
                .setGraphId(GRAPH)
                .setAgentRunSpecJson("{\"execution\":{\"lease_seconds\":3600}}")
                .build());
    ApprovalServiceGrpc.newBlockingStub(operator)
        .resolveApproval(
            ResolveApprovalRequest.newBuilder()
                .setApprovalId(created.getApproval().getApprovalId())
                .setPayloadHash(created.getApproval().getPayloadHash())
                .setStatus(ApprovalStatus.APPROVAL_STATUS_APPROVED)
                .build());
    ClaimedRun claimed =
        runs.claimRuns(
                ClaimRunsRequest.newBuilder().setWorkerId("bench").addGraphIds(GRAPH).build())
            .getClaimedRuns(0);
    runs.startRun(
        StartRunRequest.newBuilder()
            .setRunId(claimed.getRun().getRunId())
            .setLeaseToken(claimed.getLeaseToken())
            .setThreadId(THREAD)
            .build());
    return claimed;
  }

  private static <R> StreamObserver<R> into(BlockingQueue<R> queue) {
    return new StreamObserver<>() {
      @Override
      public void onNext(R message) {
        queue.add(message);
      }

      @Override
      public void onError(Throwable problem) {
        // Cancelled at the end.
      }

      @Override
      public void onCompleted() {
        throw new IllegalStateException("a stream ended by itself");
      }
    };
  }
}
