package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.common.util.concurrent.ListenableFuture;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Recording;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.RenewLeaseRequest;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.TailEventsResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server that is stopped for a while, as a debugger or a paused container does it. */
final class StandstillTest {
  /** For so long: {@code -Dpmbot.limits.standstill.seconds=30} for the whole. */
  private static final int STOP_SECONDS = Integer.getInteger("pmbot.limits.standstill.seconds", 6);

  /** Less than that: without the grace it would be over. */
  private static final int LEASE_SECONDS = STOP_SECONDS - 1;

  @TempDir Path folder;
  private ConfinedServer server;
  private Client operator;
  private Client worker;
  private String workspaceId;

  @BeforeEach
  void serve() {
    server = ConfinedServer.start(folder.resolve("data"));
    operator = server.as(Role.OPERATOR);
    worker = server.as(Role.WORKER);
    workspaceId =
        operator
            .workspaces()
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("still").build())
            .getWorkspace()
            .getWorkspaceId();
  }

  @AfterEach
  void stop() {
    server.signal("CONT");
    server.close();
  }

  private CreateRunRequest newRun(String graphId) {
    return CreateRunRequest.newBuilder()
        .setWorkspaceId(workspaceId)
        .setGoal("hold on")
        .setGraphId(graphId)
        .setAgentRunSpecJson("{\"execution\":{\"lease_seconds\":" + LEASE_SECONDS + "}}")
        .build();
  }

  private ClaimedRun running(String graphId) {
    CreateRunResponse proposed = operator.runs().createRun(newRun(graphId));
    operator
        .approvals()
        .resolveApproval(
            ResolveApprovalRequest.newBuilder()
                .setApprovalId(proposed.getApproval().getApprovalId())
                .setPayloadHash(proposed.getApproval().getPayloadHash())
                .setStatus(ApprovalStatus.APPROVAL_STATUS_APPROVED)
                .build());
    ClaimedRun claimed =
        worker
            .runs()
            .claimRuns(ClaimRunsRequest.newBuilder().setWorkerId("w").addGraphIds(graphId).build())
            .getClaimedRuns(0);
    worker
        .runs()
        .startRun(
            StartRunRequest.newBuilder()
                .setRunId(claimed.getRun().getRunId())
                .setLeaseToken(claimed.getLeaseToken())
                .setThreadId("thread-" + graphId)
                .build());
    return claimed;
  }

  private Run read(ClaimedRun claimed) {
    return operator
        .runs()
        .getRun(GetRunRequest.newBuilder().setRunId(claimed.getRun().getRunId()).build())
        .getRun();
  }

  /** Renews a lease as a worker does, as long as it is not told that it is lost. */
  private final class Renewing implements AutoCloseable {
    private final AtomicBoolean over = new AtomicBoolean();
    private final AtomicInteger renewed = new AtomicInteger();
    private final AtomicReference<Throwable> lost = new AtomicReference<>();
    private final Thread thread;

    Renewing(ClaimedRun claimed) {
      thread = new Thread(() -> renew(claimed));
      thread.start();
    }

    private void renew(ClaimedRun claimed) {
      while (!over.get()) {
        try {
          worker
              .runs()
              .withDeadlineAfter(LEASE_SECONDS / 3, TimeUnit.SECONDS)
              .renewLease(
                  RenewLeaseRequest.newBuilder()
                      .setRunId(claimed.getRun().getRunId())
                      .setLeaseToken(claimed.getLeaseToken())
                      .build());
          renewed.incrementAndGet();
          Thread.sleep(500);
        } catch (StatusRuntimeException failure) {
          if (failure.getStatus().getCode() != Status.Code.DEADLINE_EXCEEDED) {
            lost.set(failure);
            return;
          }
        } catch (InterruptedException interrupted) {
          return;
        }
      }
    }

    @Override
    public void close() throws InterruptedException {
      over.set(true);
      thread.join(Await.PATIENCE.toMillis());
    }
  }

  @Test
  void aServerThatStoodStillTakesNoLeaseFromAWorkerThatIsThere() throws Exception {
    ClaimedRun alive = running("alive");
    ClaimedRun gone = running("gone");
    Recording<TailEventsResponse> stream =
        Recording.of(
            operator.channel(),
            AuditServiceGrpc.getTailEventsMethod(),
            TailEventsRequest.newBuilder()
                .setFilter(EventFilter.newBuilder().setWorkspaceId(workspaceId))
                .setFromBeginning(true)
                .build());
    stream.awaitMessage("in step", TailEventsResponse::hasSynced);
    ListenableFuture<CreateRunResponse> waits;
    try (Renewing renewing = new Renewing(alive)) {
      Await.until("the lease is renewed", () -> renewing.renewed.get() > 0);

      server.signal("STOP");
      long begin = System.nanoTime();
      StatusRuntimeException late =
          assertThrows(
              StatusRuntimeException.class,
              () ->
                  operator
                      .runs()
                      .withDeadlineAfter(1, TimeUnit.SECONDS)
                      .getRun(
                          GetRunRequest.newBuilder().setRunId(alive.getRun().getRunId()).build()));
      assertEquals(Status.Code.DEADLINE_EXCEEDED, late.getStatus().getCode());
      waits =
          RunServiceGrpc.newFutureStub(operator.channel())
              .withDeadlineAfter(4 * Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)
              .createRun(newRun("waits"));
      TimeUnit.NANOSECONDS.sleep(
          TimeUnit.SECONDS.toNanos(STOP_SECONDS) - (System.nanoTime() - begin));
      assertFalse(waits.isDone());
      final int before = renewing.renewed.get();
      server.signal("CONT");

      Await.until(
          "the lease is renewed again",
          () -> renewing.lost.get() != null || renewing.renewed.get() > before + 1);
      assertEquals(null, renewing.lost.get());
      assertEquals("waits", Await.value("what came meanwhile", waits).getRun().getGraphId());
      // The lease of a worker that is gone ends all the same.
      Await.until("the other run is back", () -> read(gone).getAttempt() == 2);
      assertEquals(RunStatus.RUN_STATUS_RUNNING, read(alive).getStatus());
      assertEquals(1, read(alive).getAttempt());
      assertEquals(null, renewing.lost.get());
    }
    assertEquals(1, server.logged("the server stood still for").size());

    // The stream that stood all the while has missed nothing.
    CreateRunResponse last = operator.runs().createRun(newRun("last"));
    String lastId = last.getRun().getRunId();
    List<AuditEvent> seen =
        events(
            stream.await(
                "the last event",
                all -> events(all).stream().anyMatch(one -> one.getRunId().equals(lastId))));
    for (int number = 0; number < seen.size(); number++) {
      assertEquals(number + 1, seen.get(number).getSeq());
    }
    assertEquals(
        List.of(gone.getRun().getRunId()),
        seen.stream()
            .filter(event -> event.getType().equals("run.lease_expired"))
            .map(AuditEvent::getRunId)
            .toList());
    stream.close();
  }

  private static List<AuditEvent> events(List<TailEventsResponse> messages) {
    return messages.stream()
        .flatMap(message -> message.getTransaction().getEventsList().stream())
        .toList();
  }
}
