package dev.pmbot.run;

import dev.pmbot.audit.AuditProtos;
import dev.pmbot.audit.EventRow;
import dev.pmbot.feed.Feed;
import dev.pmbot.feed.LogEnd;
import dev.pmbot.feed.Scope;
import dev.pmbot.feed.View;
import dev.pmbot.store.Time;
import dev.pmbot.store.Tx;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.CancelRunRequest;
import dev.pmbot.v1.CancelRunResponse;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.CompleteRunRequest;
import dev.pmbot.v1.CompleteRunResponse;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.FailRunRequest;
import dev.pmbot.v1.FailRunResponse;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.GetRunResponse;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.ListRunsResponse;
import dev.pmbot.v1.PauseRunRequest;
import dev.pmbot.v1.PauseRunResponse;
import dev.pmbot.v1.RecordUsageRequest;
import dev.pmbot.v1.RecordUsageResponse;
import dev.pmbot.v1.ReleaseRunRequest;
import dev.pmbot.v1.ReleaseRunResponse;
import dev.pmbot.v1.RenewLeaseRequest;
import dev.pmbot.v1.RenewLeaseResponse;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.RetryRunResponse;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunUpdate;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.StartRunResponse;
import dev.pmbot.v1.WatchRunRequest;
import dev.pmbot.v1.WatchRunResponse;
import dev.pmbot.wire.CallContext;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import io.grpc.Context;
import io.grpc.stub.StreamObserver;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The calls about runs, and the stream of one. */
public final class RunService extends RunServiceGrpc.RunServiceImplBase {
  private final Calls calls;
  private final Claims claims;
  private final Runs runs;
  private final Attempts attempts;
  private final Interventions interventions;
  private final Time time;
  private final Feed<EventRow> feed;
  private final BiFunction<Tx, RunRow, Approval> startGate;

  /**
   * Over the runs, and the feed that one is followed in.
   *
   * @param startGate asks a person whether a new run may start
   */
  public RunService(
      Calls calls,
      Claims claims,
      Time time,
      Feed<EventRow> feed,
      BiFunction<Tx, RunRow, Approval> startGate) {
    this.calls = calls;
    this.claims = claims;
    this.runs = claims.runs();
    this.attempts = claims.attempts();
    this.interventions = claims.interventions();
    this.time = time;
    this.feed = feed;
    this.startGate = startGate;
  }

  @Override
  public void createRun(CreateRunRequest request, StreamObserver<CreateRunResponse> observer) {
    NewRun proposed =
        new NewRun(
            request.getWorkspaceId(),
            ProtoText.fromProto(request.getRepoId()),
            request.getGoal(),
            request.getGraphId(),
            ProtoText.fromProto(request.getThreadId()),
            request.getAgentRunSpecJson().isEmpty() ? "{}" : request.getAgentRunSpecJson());
    calls.mutate(
        request,
        observer,
        tx -> {
          RunRow row = runs.create(tx, proposed);
          return CreateRunResponse.newBuilder()
              .setRun(RunProtos.toProto(row))
              .setApproval(startGate.apply(tx, row))
              .build();
        });
  }

  @Override
  public void getRun(GetRunRequest request, StreamObserver<GetRunResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetRunResponse.newBuilder()
                .setRun(RunProtos.toProto(runs.get(tx, request.getRunId())))
                .build());
  }

  @Override
  public void listRuns(ListRunsRequest request, StreamObserver<ListRunsResponse> observer) {
    RunQuery query = RunProtos.fromProto(request);
    calls.read(
        observer,
        tx -> {
          runs.admit(tx, query);
          Paging.Page<Run> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> runs.look(tx, query, behind, limit),
                  runIds -> runs.getAll(tx, runIds),
                  RunRow::runId,
                  RunProtos::toProto);
          return ListRunsResponse.newBuilder()
              .addAllRuns(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }

  @Override
  public void cancelRun(CancelRunRequest request, StreamObserver<CancelRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            CancelRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        interventions.cancel(tx, request.getRunId(), request.getReason())))
                .build());
  }

  @Override
  public void retryRun(RetryRunRequest request, StreamObserver<RetryRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            RetryRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        interventions.retry(tx, request.getRunId(), request.getVersion())))
                .build());
  }

  @Override
  public void claimRuns(ClaimRunsRequest request, StreamObserver<ClaimRunsResponse> observer) {
    Set<String> graphIds = new LinkedHashSet<>(request.getGraphIdsList());
    String workspaceId = ProtoText.fromProto(request.getWorkspaceId());
    Claims.Order order =
        new Claims.Order(
            request.getWorkerId(), graphIds, Math.max(1, request.getMaxRuns()), workspaceId);
    Context context = Context.current();
    AtomicBoolean repeated = new AtomicBoolean();
    Supplier<CompletableFuture<ClaimRunsResponse>> attempt =
        () -> CallContext.in(context, () -> claim(request, order, repeated));
    long nanos = ProtoTime.nanos(request.getWait());
    if (nanos == 0) {
      Calls.answer(observer, attempt.get());
      return;
    }
    // Registered before the first look: a run that is cleared after it wakes this claim.
    Waiters.Waiter waiter = claims.waiters().register(graphIds, workspaceId);
    context.addListener(ended -> waiter.close(), Runnable::run);
    long deadline = time.monotonicNanos() + nanos;
    CompletableFuture<ClaimRunsResponse> answer =
        claimOrWait(attempt, waiter, deadline, repeated)
            .whenComplete((reply, failure) -> waiter.close())
            .toCompletableFuture();
    Calls.answer(observer, answer);
  }

  /**
   * Looks for work until there is some or the time is up.
   *
   * @param repeated whether the request was answered before: then it has not looked, and there is
   *     nothing to wait for; a wake-up that it had goes to another
   */
  private CompletionStage<ClaimRunsResponse> claimOrWait(
      Supplier<CompletableFuture<ClaimRunsResponse>> attempt,
      Waiters.Waiter waiter,
      long deadline,
      AtomicBoolean repeated) {
    return attempt
        .get()
        .thenCompose(
            reply -> {
              if (repeated.get()) {
                return CompletableFuture.completedFuture(reply);
              }
              waiter.looked();
              long left = deadline - time.monotonicNanos();
              if (reply.getClaimedRunsCount() > 0 || left <= 0) {
                return CompletableFuture.completedFuture(reply);
              }
              return waiter
                  .signal(left)
                  .thenCompose(
                      signalled -> {
                        if (!signalled) {
                          return CompletableFuture.completedFuture(reply);
                        }
                        waiter.again();
                        return claimOrWait(attempt, waiter, deadline, repeated);
                      });
            });
  }

  private CompletableFuture<ClaimRunsResponse> claim(
      ClaimRunsRequest request, Claims.Order order, AtomicBoolean repeated) {
    return calls.carryOut(
        request,
        new byte[0],
        tx -> {
          ClaimRunsResponse.Builder reply = ClaimRunsResponse.newBuilder();
          claims.claim(tx, order).forEach(run -> reply.addClaimedRuns(RunProtos.toProto(run)));
          return reply.build();
        },
        reply -> reply.getClaimedRunsCount() > 0,
        (tx, first) -> {
          repeated.set(true);
          return claimedStill(tx, first);
        });
  }

  private ClaimRunsResponse claimedStill(Tx tx, ClaimRunsResponse first) {
    ClaimRunsResponse.Builder reply = ClaimRunsResponse.newBuilder();
    first
        .getClaimedRunsList()
        .forEach(
            claimed -> {
              Claims.Claimed now =
                  claims.stillClaimed(tx, claimed.getRun().getRunId(), claimed.getLeaseToken());
              if (now != null) {
                reply.addClaimedRuns(RunProtos.toProto(now));
              }
            });
    return reply.build();
  }

  @Override
  public void startRun(StartRunRequest request, StreamObserver<StartRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            StartRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        attempts.start(
                            tx,
                            request.getRunId(),
                            request.getLeaseToken(),
                            request.getThreadId())))
                .build());
  }

  @Override
  public void renewLease(RenewLeaseRequest request, StreamObserver<RenewLeaseResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx -> {
          RunRow row = attempts.renew(tx, request.getRunId(), request.getLeaseToken());
          RenewLeaseResponse.Builder reply =
              RenewLeaseResponse.newBuilder()
                  .setStatus(RunProtos.toProto(row.status()))
                  .setCancelRequested(row.cancelRequestedAt() != null)
                  .setBudget(RunProtos.budgetUse(row));
          if (row.leaseExpiresAt() != null) {
            reply.setLeaseExpiresAt(ProtoTime.toProto(row.leaseExpiresAt()));
          }
          return reply.build();
        });
  }

  @Override
  public void recordUsage(
      RecordUsageRequest request, StreamObserver<RecordUsageResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            RecordUsageResponse.newBuilder()
                .setBudget(
                    RunProtos.budgetUse(
                        attempts.recordUsage(
                            tx,
                            request.getRunId(),
                            request.getLeaseToken(),
                            request.getTokens(),
                            request.getToolCalls(),
                            request.getCostMicros())))
                .build());
  }

  @Override
  public void pauseRun(PauseRunRequest request, StreamObserver<PauseRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            PauseRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        attempts.pause(
                            tx,
                            request.getRunId(),
                            request.getLeaseToken(),
                            request.getReleaseLease())))
                .build());
  }

  @Override
  public void releaseRun(ReleaseRunRequest request, StreamObserver<ReleaseRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            ReleaseRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        attempts.release(
                            tx, request.getRunId(), request.getLeaseToken(), request.getReason())))
                .build());
  }

  @Override
  public void completeRun(
      CompleteRunRequest request, StreamObserver<CompleteRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            CompleteRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        attempts.complete(
                            tx, request.getRunId(), request.getLeaseToken(), request.getSummary())))
                .build());
  }

  @Override
  public void failRun(FailRunRequest request, StreamObserver<FailRunResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            FailRunResponse.newBuilder()
                .setRun(
                    RunProtos.toProto(
                        attempts.fail(
                            tx,
                            request.getRunId(),
                            request.getLeaseToken(),
                            request.getReason(),
                            request.getRetryable())))
                .build());
  }

  @Override
  public void watchRun(WatchRunRequest request, StreamObserver<WatchRunResponse> observer) {
    feed.follow(observer, new RunView(request.getRunId()), request.getCursor());
  }

  /** One run, and what changes it. */
  private final class RunView implements View<EventRow, WatchRunResponse> {
    private static final String CHANGES = "run.";
    private final String runId;

    RunView(String runId) {
      this.runId = runId;
    }

    @Override
    public String kind() {
      return "run";
    }

    @Override
    public Scope scope() {
      return new Scope(null, List.of(runId), List.of());
    }

    @Override
    public void admit(Tx tx) {
      runs.get(tx, runId);
    }

    @Override
    public List<String> snapshot(Tx tx) {
      return List.of(runId);
    }

    @Override
    public WatchRunResponse snapshotItem(Tx tx, String key) {
      return message(tx, List.of(), "");
    }

    @Override
    public @Nullable WatchRunResponse transaction(Tx tx, List<EventRow> events, String cursor) {
      List<EventRow> changes =
          events.stream().filter(event -> event.type().startsWith(CHANGES)).toList();
      return changes.isEmpty() ? null : message(tx, changes, cursor);
    }

    private WatchRunResponse message(Tx tx, List<EventRow> changes, String cursor) {
      RunUpdate.Builder update =
          RunUpdate.newBuilder().setRun(RunProtos.toProto(runs.get(tx, runId)));
      changes.forEach(event -> update.addEvents(AuditProtos.toProto(event)));
      return WatchRunResponse.newBuilder().setCursor(cursor).setUpdate(update).build();
    }

    @Override
    public boolean isOver(Tx tx) {
      return runs.status(tx, runId).isEnded();
    }

    @Override
    public WatchRunResponse synced(String cursor) {
      return WatchRunResponse.newBuilder()
          .setCursor(cursor)
          .setSynced(AuditProtos.synced())
          .build();
    }

    @Override
    public WatchRunResponse heartbeat(String cursor, List<LogEnd> ends) {
      return WatchRunResponse.newBuilder()
          .setCursor(cursor)
          .setHeartbeat(AuditProtos.heartbeat(ends))
          .build();
    }
  }
}
