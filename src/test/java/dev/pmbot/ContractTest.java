package dev.pmbot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Duration;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import dev.pmbot.access.Roles;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.CancelRunRequest;
import dev.pmbot.v1.Changeset;
import dev.pmbot.v1.ChangesetFilter;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CompleteRunRequest;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.FailRunRequest;
import dev.pmbot.v1.GetApprovalRequest;
import dev.pmbot.v1.GetArtifactRequest;
import dev.pmbot.v1.GetChangesetRequest;
import dev.pmbot.v1.GetInterruptRequest;
import dev.pmbot.v1.GetRepoRequest;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.GetWorkspaceRequest;
import dev.pmbot.v1.InboxFilter;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptFilter;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.ListChangesetsRequest;
import dev.pmbot.v1.ListEventsRequest;
import dev.pmbot.v1.ListInboxRequest;
import dev.pmbot.v1.ListInterruptsRequest;
import dev.pmbot.v1.ListReposRequest;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.MarkChangesetAppliedRequest;
import dev.pmbot.v1.NewEvent;
import dev.pmbot.v1.PauseRunRequest;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RecordUsageRequest;
import dev.pmbot.v1.RegisterArtifactRequest;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.ReleaseRunRequest;
import dev.pmbot.v1.RenewLeaseRequest;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.TailEventsRequest;
import dev.pmbot.v1.UpdateRepoRequest;
import dev.pmbot.v1.UpdateWorkspaceRequest;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.VerifyArtifactRequest;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.v1.WatchDecisionsRequest;
import dev.pmbot.v1.WatchRunRequest;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Walks every call of a running server, as the server itself lists them, and holds each to what all
 * of them promise: its role, its checks, its events, and that a retry is safe. A call that is not
 * in the table here fails the test.
 */
final class ContractTest {
  private static final String PACKAGE = "pmbot.v1.";
  private static final String COMMIT = "c0ffee0123456789c0ffee0123456789c0ffee01";

  /** An id of the right form that nothing has. */
  private static final String NOTHING = "0".repeat(32);

  private static TestServer server;
  private static Scenario scenario;

  /** What the server serves. */
  private static Map<String, MethodDescriptor<?, ?>> methods;

  /** What the documentation says of it. */
  private static Map<String, Documented> documented;

  /**
   * A call with what it needs.
   *
   * @param workspaceId whose log to look at; none when the call makes the workspace
   */
  private record Prepared(String workspaceId, List<Message> messages) {
    static Prepared of(String workspaceId, Message... messages) {
      return new Prepared(workspaceId, List.of(messages));
    }

    /** The same call under a request id. */
    Prepared withRequestId(String requestId) {
      List<Message> changed = new ArrayList<>(messages);
      changed.set(0, named(changed.get(0), requestId));
      return new Prepared(workspaceId, changed);
    }

    private static Message named(Message message, String requestId) {
      if (message instanceof UploadArtifactRequest upload) {
        return upload.toBuilder()
            .setHeader(upload.getHeader().toBuilder().setRequestId(requestId))
            .build();
      }
      FieldDescriptor field = message.getDescriptorForType().findFieldByName("request_id");
      return message.toBuilder().setField(field, requestId).build();
    }
  }

  /** One way of making a call, and the events that it appends, in their order. */
  private record Case(
      String method, String situation, List<String> events, Function<World, Prepared> request) {}

  /** A call: what is wrong with an empty request, and the ways of making it. */
  private record Rpc(String method, Set<String> emptyRequestLacks, List<Case> cases) {
    Rpc when(String situation, List<String> events, Function<World, Prepared> request) {
      cases.add(new Case(method, situation, events, request));
      return this;
    }
  }

  private static final Map<String, Rpc> TABLE = new LinkedHashMap<>();

  private static Rpc rpc(String method, String... emptyRequestLacks) {
    Rpc rpc = new Rpc(method, Set.of(emptyRequestLacks), new ArrayList<>());
    assertEquals(null, TABLE.put(method, rpc), method);
    return rpc;
  }

  private static void read(
      String method, Function<World, Message> request, String... emptyRequestLacks) {
    rpc(method, emptyRequestLacks)
        .when(
            "asked",
            List.of(),
            world -> Prepared.of(world.workspace.getWorkspaceId(), request.apply(world)));
  }

  static {
    rpc("WorkspaceService/CreateWorkspace", "name")
        .when(
            "new",
            List.of("workspace.created"),
            world ->
                Prepared.of(
                    "",
                    CreateWorkspaceRequest.newBuilder()
                        .setName(Scenario.unique("contract"))
                        .build()));
    rpc("WorkspaceService/UpdateWorkspace", "request", "workspace_id", "version")
        .when(
            "another name",
            List.of("workspace.updated"),
            world ->
                world.prepared(
                    updated(world.workspace).setName(Scenario.unique("contract")).build()))
        .when(
            "as it is",
            List.of(),
            world ->
                world.prepared(
                    updated(world.workspace).setName(world.workspace.getName()).build()));
    read(
        "WorkspaceService/GetWorkspace",
        world ->
            GetWorkspaceRequest.newBuilder()
                .setWorkspaceId(world.workspace.getWorkspaceId())
                .build(),
        "workspace_id");
    read("WorkspaceService/ListWorkspaces", world -> ListWorkspacesRequest.getDefaultInstance());

    rpc("RepoService/RegisterRepo", "workspace_id", "full_name")
        .when(
            "new",
            List.of("repo.registered"),
            world ->
                world.prepared(
                    RegisterRepoRequest.newBuilder()
                        .setWorkspaceId(world.workspace.getWorkspaceId())
                        .setFullName("octo/contract")
                        .build()));
    rpc("RepoService/UpdateRepo", "request", "repo_id", "version")
        .when(
            "another branch",
            List.of("repo.updated"),
            world -> world.prepared(updated(world.repo()).setDefaultBranch("trunk").build()))
        .when(
            "as it is",
            List.of(),
            world -> world.prepared(updated(world.repo()).setDefaultBranch("main").build()));
    read(
        "RepoService/GetRepo",
        world -> GetRepoRequest.newBuilder().setRepoId(world.repo().getRepoId()).build(),
        "repo_id");
    read(
        "RepoService/ListRepos",
        world ->
            ListReposRequest.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()).build(),
        "workspace_id");

    rpc("RunService/CreateRun", "workspace_id", "goal", "graph_id")
        .when(
            "new",
            List.of("run.created", "approval.requested"),
            world -> world.prepared(scenario.newRun(world.workspace).build()));
    read(
        "RunService/GetRun",
        world -> GetRunRequest.newBuilder().setRunId(world.proposed().getRun().getRunId()).build(),
        "run_id");
    read(
        "RunService/ListRuns",
        world ->
            ListRunsRequest.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()).build(),
        "workspace_id");
    read(
        "RunService/WatchRun",
        world ->
            WatchRunRequest.newBuilder().setRunId(world.proposed().getRun().getRunId()).build(),
        "run_id");
    rpc("RunService/CancelRun", "run_id")
        .when(
            "proposed",
            List.of("run.cancelled", "approval.closed"),
            world -> world.prepared(cancel(world.proposed().getRun())))
        .when(
            "approved", List.of("run.cancelled"), world -> world.prepared(cancel(world.approved())))
        .when(
            "blocked, and its worker has let go",
            List.of("run.cancelled", "interrupt.closed", "approval.closed"),
            world -> {
              Scenario.Held held = world.running();
              scenario.raise(held, Scenario.toolCall("t", "Delete?"));
              server.as(Role.WORKER).runs().pauseRun(pause(held).setReleaseLease(true).build());
              return world.prepared(cancel(held.run()));
            })
        .when(
            "held by a worker",
            List.of("run.cancel_requested"),
            world -> world.prepared(cancel(world.running().run())))
        .when(
            "asked for before",
            List.of(),
            world -> world.prepared(cancel(world.cancelRequested().run())));
    rpc("RunService/RetryRun", "run_id")
        .when(
            "failed",
            List.of("run.retried"),
            world -> {
              Scenario.Held held = world.running();
              Run failed = server.as(Role.WORKER).runs().failRun(fail(held).build()).getRun();
              return world.prepared(
                  RetryRunRequest.newBuilder()
                      .setRunId(failed.getRunId())
                      .setVersion(failed.getVersion())
                      .build());
            })
        .when(
            "failed with an answer that was not taken",
            List.of("run.retried", "interrupt.due_again"),
            world -> {
              Scenario.Held held = world.running();
              scenario.answer(
                  scenario.raise(held, Scenario.question("q", "Which?")).get(0), "this");
              server.as(Role.WORKER).runs().failRun(fail(held).build());
              return world.prepared(RetryRunRequest.newBuilder().setRunId(held.runId()).build());
            });
    rpc("RunService/ClaimRuns", "worker_id", "graph_ids")
        .when(
            "one approved run",
            List.of("run.claimed"),
            world -> world.prepared(world.claim(world.approved().getGraphId()).build()))
        .when(
            "several approved runs",
            List.of("run.claimed", "run.claimed"),
            world -> {
              String first = world.approved().getGraphId();
              String second = world.approved().getGraphId();
              return world.prepared(world.claim(first).addGraphIds(second).setMaxRuns(100).build());
            });
    rpc("RunService/StartRun", "run_id", "lease_token", "thread_id")
        .when(
            "claimed",
            List.of("run.started"),
            world -> {
              ClaimedRun claimed = scenario.claim(world.approved());
              return world.prepared(
                  StartRunRequest.newBuilder()
                      .setRunId(claimed.getRun().getRunId())
                      .setLeaseToken(claimed.getLeaseToken())
                      .setThreadId(Scenario.unique("thread"))
                      .build());
            })
        .when(
            "started already",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              return world.prepared(
                  StartRunRequest.newBuilder()
                      .setRunId(held.runId())
                      .setLeaseToken(held.leaseToken())
                      .setThreadId(held.threadId())
                      .build());
            });
    rpc("RunService/RenewLease", "run_id", "lease_token")
        .when(
            "held",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              return world.prepared(
                  RenewLeaseRequest.newBuilder()
                      .setRunId(held.runId())
                      .setLeaseToken(held.leaseToken())
                      .build());
            });
    tested("RunService/RenewLease")
        .when(
            "its running time crosses the limit",
            List.of("run.budget_exceeded"),
            world -> {
              Scenario.Held held = world.running("{\"max_wall_seconds\":1}");
              server.time().advance(java.time.Duration.ofSeconds(2));
              return world.prepared(
                  RenewLeaseRequest.newBuilder()
                      .setRunId(held.runId())
                      .setLeaseToken(held.leaseToken())
                      .build());
            });
    rpc("RunService/RecordUsage", "run_id", "lease_token")
        .when(
            "within the budget",
            List.of("run.usage_recorded"),
            world -> world.prepared(usage(world.running("{\"max_total_tokens\":100}"), 100)))
        .when(
            "crossing a limit",
            List.of("run.usage_recorded", "run.budget_exceeded"),
            world -> world.prepared(usage(world.running("{\"max_total_tokens\":100}"), 101)))
        .when(
            "nothing was used",
            List.of(),
            world -> world.prepared(usage(world.running("{\"max_total_tokens\":100}"), 0)));
    rpc("RunService/PauseRun", "run_id", "lease_token")
        .when(
            "a question is pending",
            List.of("run.blocked"),
            world -> {
              Scenario.Held held = world.running();
              scenario.raise(held, Scenario.question("q", "Which?"));
              return world.prepared(pause(held).build());
            })
        .when(
            "all was decided",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              scenario.answer(
                  scenario.raise(held, Scenario.question("q", "Which?")).get(0), "this");
              return world.prepared(pause(held).build());
            })
        .when(
            "all was decided, and the lease is let go",
            List.of("run.released"),
            world -> world.prepared(pause(world.running()).setReleaseLease(true).build()))
        .when(
            "a cancel was asked for, and the lease is let go",
            List.of("run.cancelled"),
            world -> world.prepared(pause(world.cancelRequested()).setReleaseLease(true).build()))
        .when(
            "over budget for too long, and the lease is let go",
            List.of("run.failed"),
            world -> world.prepared(pause(world.overBudget()).setReleaseLease(true).build()));
    rpc("RunService/ReleaseRun", "run_id", "lease_token")
        .when("running", List.of("run.released"), world -> world.prepared(release(world.running())))
        .when(
            "a cancel was asked for",
            List.of("run.cancelled"),
            world -> world.prepared(release(world.cancelRequested())))
        .when(
            "over budget for too long",
            List.of("run.failed"),
            world -> world.prepared(release(world.overBudget())));
    rpc("RunService/CompleteRun", "run_id", "lease_token")
        .when(
            "nothing is open",
            List.of("run.completed"),
            world -> world.prepared(complete(world.running())))
        .when(
            "a question is open",
            List.of("run.completed", "interrupt.closed", "approval.closed"),
            world -> {
              Scenario.Held held = world.running();
              scenario.raise(held, Scenario.toolCall("t", "Delete?"));
              return world.prepared(complete(held));
            });
    rpc("RunService/FailRun", "run_id", "lease_token", "reason")
        .when(
            "it may be tried again",
            List.of("run.retry_scheduled"),
            world -> world.prepared(fail(world.running()).setRetryable(true).build()))
        .when(
            "it may be tried again, but a cancel was asked for",
            List.of("run.cancelled"),
            world -> world.prepared(fail(world.cancelRequested()).setRetryable(true).build()))
        .when(
            "it may not",
            List.of("run.failed", "interrupt.closed", "approval.closed"),
            world -> {
              Scenario.Held held = world.running();
              scenario.raise(held, Scenario.toolCall("t", "Delete?"));
              return world.prepared(fail(held).build());
            });

    rpc("ApprovalService/RequestApproval", "run_id", "lease_token", "kind", "payload_json")
        .when("new", List.of("approval.requested"), world -> world.prepared(ask(world.running())))
        .when(
            "the same is pending",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              server.as(Role.WORKER).approvals().requestApproval(ask(held));
              return world.prepared(ask(held));
            });
    rpc("ApprovalService/ResolveApproval", "approval_id", "status", "payload_hash")
        .when(
            "a run may start",
            List.of("approval.resolved", "run.approved"),
            world -> world.prepared(resolve(world.proposed().getApproval(), true)))
        .when(
            "a run may not start",
            List.of("approval.resolved", "run.rejected"),
            world -> world.prepared(resolve(world.proposed().getApproval(), false)))
        .when(
            "more may be spent",
            List.of("approval.resolved", "interrupt.resolved", "run.budget_extended"),
            world -> {
              Scenario.Held held = world.running("{\"max_total_tokens\":100}");
              Interrupt raised = scenario.raise(held, moreTokens()).get(0);
              return world.prepared(
                  resolve(
                      Approval.newBuilder()
                          .setApprovalId(raised.getApprovalId())
                          .setPayloadHash(raised.getPayloadHash())
                          .build(),
                      true));
            })
        .when(
            "a changeset may be applied",
            List.of("approval.resolved", "changeset.approved"),
            world -> world.prepared(resolve(world.changeset().getApproval(), true)))
        .when(
            "a changeset may not be applied",
            List.of("approval.resolved", "changeset.rejected"),
            world -> world.prepared(resolve(world.changeset().getApproval(), false)))
        .when(
            "asked for mid-run, the last that a blocked run waits for",
            List.of("approval.resolved", "run.resumed"),
            world -> {
              Scenario.Held held = world.running();
              Approval asked = scenario.askToSpend(held, "Spend?");
              scenario.pause(held);
              return world.prepared(resolve(asked, false));
            })
        .when(
            "the last question of a blocked run",
            List.of("approval.resolved", "interrupt.resolved", "run.resumed"),
            world -> {
              Scenario.Held held = world.running();
              Interrupt raised = scenario.raise(held, Scenario.toolCall("t", "Delete?")).get(0);
              scenario.pause(held);
              return world.prepared(
                  resolve(
                      Approval.newBuilder()
                          .setApprovalId(raised.getApprovalId())
                          .setPayloadHash(raised.getPayloadHash())
                          .build(),
                      true));
            });
    read(
        "ApprovalService/GetApproval",
        world ->
            GetApprovalRequest.newBuilder()
                .setApprovalId(world.proposed().getApproval().getApprovalId())
                .build(),
        "approval_id");
    read(
        "ApprovalService/ListApprovals",
        world ->
            ListApprovalsRequest.newBuilder()
                .setFilter(
                    ApprovalFilter.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()))
                .build(),
        "filter");

    rpc("InterruptService/RaiseInterrupts", "run_id", "lease_token", "thread_id", "questions")
        .when(
            "a question and a tool call",
            List.of("interrupt.raised", "approval.requested", "interrupt.raised"),
            world ->
                world.prepared(
                    raise(
                        world.running(),
                        Scenario.question("q", "Which?"),
                        Scenario.toolCall("t", "Delete?"))))
        .when(
            "the same again",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              scenario.raise(held, Scenario.question("q", "Which?"));
              return world.prepared(raise(held, Scenario.question("q", "Which?")));
            })
        .when(
            "something else",
            List.of("interrupt.closed", "approval.closed", "interrupt.raised"),
            world -> {
              Scenario.Held held = world.running();
              scenario.raise(held, Scenario.toolCall("t", "Delete?"));
              return world.prepared(raise(held, Scenario.question("q", "Which?")));
            })
        .when(
            "only what was answered, by a blocked run",
            List.of("interrupt.closed", "run.resumed"),
            world -> {
              Scenario.Held held = world.running();
              List<Interrupt> raised =
                  scenario.raise(
                      held, Scenario.question("q", "Which?"), Scenario.question("r", "And?"));
              scenario.pause(held);
              scenario.answer(raised.get(0), "this");
              return world.prepared(raise(held, Scenario.question("q", "Which?")));
            });
    rpc("InterruptService/ResolveInterrupt", "decisions")
        .when(
            "a question of a run that goes on",
            List.of("interrupt.resolved"),
            world -> world.prepared(resolve(world.question(), "{\"answer\":42}")))
        .when(
            "the last question of a blocked run",
            List.of("approval.resolved", "interrupt.resolved", "run.resumed"),
            world -> {
              Scenario.Held held = world.running();
              Interrupt raised = scenario.raise(held, Scenario.toolCall("t", "Delete?")).get(0);
              scenario.pause(held);
              return world.prepared(
                  resolve(raised, "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"reject\"}]}"));
            });
    tested("InterruptService/ResolveInterrupt")
        .when(
            "more may be spent",
            List.of("approval.resolved", "interrupt.resolved", "run.budget_extended"),
            world -> {
              Scenario.Held held = world.running("{\"max_total_tokens\":100}");
              return world.prepared(
                  resolve(
                      scenario.raise(held, moreTokens()).get(0),
                      "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"approve\"}]}"));
            });
    read(
        "InterruptService/GetInterrupt",
        world ->
            GetInterruptRequest.newBuilder()
                .setInterruptId(world.question().getInterruptId())
                .build(),
        "interrupt_id");
    read(
        "InterruptService/ListInterrupts",
        world ->
            ListInterruptsRequest.newBuilder()
                .setFilter(
                    InterruptFilter.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()))
                .build(),
        "filter");
    read(
        "InterruptService/WatchDecisions",
        world ->
            WatchDecisionsRequest.newBuilder()
                .addRunIds(world.proposed().getRun().getRunId())
                .build(),
        "request");
    rpc("InterruptService/AcknowledgeDecisions", "run_id", "lease_token", "interrupt_ids")
        .when(
            "decided",
            List.of("interrupt.acknowledged"),
            world -> {
              Scenario.Held held = world.running();
              Interrupt raised = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
              scenario.answer(raised, "this");
              return world.prepared(acknowledge(held, raised));
            })
        .when(
            "acknowledged before",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              Interrupt raised = scenario.raise(held, Scenario.question("q", "Which?")).get(0);
              scenario.answer(raised, "this");
              server.as(Role.WORKER).interrupts().acknowledgeDecisions(acknowledge(held, raised));
              return world.prepared(acknowledge(held, raised));
            });

    read(
        "InboxService/ListInbox",
        world ->
            ListInboxRequest.newBuilder()
                .setFilter(
                    InboxFilter.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()))
                .build());
    read(
        "InboxService/StreamInbox",
        world ->
            StreamInboxRequest.newBuilder()
                .setFilter(
                    InboxFilter.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()))
                .build());

    rpc("ArtifactService/UploadArtifact", "part")
        .when(
            "new",
            List.of("artifact.stored"),
            world -> world.prepared(upload(world.running(), "a.log", "content")))
        .when(
            "the same again",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              scenario.upload(held, "a.log", bytes("content"));
              return world.prepared(upload(held, "a.log", "content"));
            });
    rpc("ArtifactService/RegisterArtifact", "run_id", "kind", "uri")
        .when(
            "a file",
            List.of("artifact.registered"),
            world -> {
              Scenario.Held held = world.running();
              scenario.upload(held, "a.log", bytes("content"));
              String uri = "artifacts/" + held.runId() + "/b.log";
              write(uri, "content");
              return world.prepared(register(held, uri).build());
            })
        .when(
            "elsewhere",
            List.of("artifact.registered"),
            world -> world.prepared(elsewhere(world.running())))
        .when(
            "the same again",
            List.of(),
            world -> {
              Scenario.Held held = world.running();
              server.as(Role.WORKER).artifacts().registerArtifact(elsewhere(held));
              return world.prepared(elsewhere(held));
            });
    read(
        "ArtifactService/GetArtifact",
        world ->
            GetArtifactRequest.newBuilder().setArtifactId(world.artifact().getArtifactId()).build(),
        "artifact_id");
    read(
        "ArtifactService/ListArtifacts",
        world ->
            ListArtifactsRequest.newBuilder()
                .setRunId(world.proposed().getRun().getRunId())
                .build(),
        "request");
    read(
        "ArtifactService/DownloadArtifact",
        world ->
            DownloadArtifactRequest.newBuilder()
                .setArtifactId(world.artifact().getArtifactId())
                .build(),
        "artifact_id");

    read(
        "ArtifactService/VerifyArtifact",
        world ->
            VerifyArtifactRequest.newBuilder()
                .setArtifactId(world.artifact().getArtifactId())
                .build(),
        "artifact_id");

    rpc("ChangesetService/ProposeChangeset", "run_id", "lease_token", "bundle_json")
        .when(
            "new",
            List.of("changeset.proposed", "approval.requested"),
            world -> world.prepared(world.changesetRequest(world.running(), "{}")));
    read(
        "ChangesetService/GetChangeset",
        world ->
            GetChangesetRequest.newBuilder()
                .setChangesetId(world.changeset().getChangeset().getChangesetId())
                .build(),
        "changeset_id");
    read(
        "ChangesetService/ListChangesets",
        world ->
            ListChangesetsRequest.newBuilder()
                .setFilter(ChangesetFilter.newBuilder().setRepoId(world.repo().getRepoId()))
                .build(),
        "filter");
    rpc("ChangesetService/MarkChangesetApplied", "changeset_id", "applied_commit_sha")
        .when(
            "approved",
            List.of("changeset.applied"),
            world -> {
              ProposeChangesetResponse proposed = world.changeset();
              scenario.approve(proposed.getApproval());
              return world.prepared(applied(proposed.getChangeset()));
            })
        .when(
            "applied before as the same commit",
            List.of(),
            world -> {
              ProposeChangesetResponse proposed = world.changeset();
              scenario.approve(proposed.getApproval());
              server
                  .as(Role.WORKER)
                  .changesets()
                  .markChangesetApplied(applied(proposed.getChangeset()));
              return world.prepared(applied(proposed.getChangeset()));
            });

    rpc("AuditService/AppendEvents", "request", "events")
        .when(
            "about a run that it holds",
            List.of("tool.called", "tool.called"),
            world -> {
              Scenario.Held held = world.running();
              NewEvent event = NewEvent.newBuilder().setType("tool.called").build();
              return world.prepared(
                  AppendEventsRequest.newBuilder()
                      .setRunId(held.runId())
                      .setLeaseToken(held.leaseToken())
                      .addEvents(event)
                      .addEvents(event)
                      .build());
            });
    read(
        "AuditService/ListEvents",
        world ->
            ListEventsRequest.newBuilder()
                .setFilter(
                    EventFilter.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()))
                .build(),
        "filter",
        "request");
    read(
        "AuditService/TailEvents",
        world ->
            TailEventsRequest.newBuilder()
                .setFilter(
                    EventFilter.newBuilder().setWorkspaceId(world.workspace.getWorkspaceId()))
                .build());
    read(
        "AuditService/VerifyChain",
        world ->
            VerifyChainRequest.newBuilder()
                .setWorkspaceId(world.workspace.getWorkspaceId())
                .build(),
        "workspace_id");
    read("ServerService/GetServerInfo", world -> GetServerInfoRequest.getDefaultInstance());
  }

  /** A workspace of its own for each call, with what the call needs in it. */
  private static final class World {
    final Workspace workspace = scenario.workspace();
    private final Map<String, Object> made = new TreeMap<>();

    Prepared prepared(Message... messages) {
      return Prepared.of(workspace.getWorkspaceId(), messages);
    }

    Prepared prepared(List<Message> messages) {
      return new Prepared(workspace.getWorkspaceId(), messages);
    }

    Repo repo() {
      return (Repo) made.computeIfAbsent("repo", name -> scenario.repo(workspace));
    }

    CreateRunResponse proposed() {
      return scenario.propose(repo());
    }

    Run approved() {
      return scenario.approved(proposed());
    }

    Scenario.Held running() {
      return scenario.running(repo());
    }

    Scenario.Held running(String budget) {
      return scenario.running(
          server
              .as(Role.OPERATOR)
              .runs()
              .createRun(
                  scenario
                      .newRun(workspace)
                      .setAgentRunSpecJson("{\"execution\":{\"budget\":" + budget + "}}")
                      .build()));
    }

    /** It was told so a whole term of its lease ago, and has asked nobody. */
    Scenario.Held overBudget() {
      Scenario.Held held = running("{\"max_total_tokens\":100}");
      server.as(Role.WORKER).runs().recordUsage(usage(held, 101));
      for (int third = 0; third < 3; third++) {
        server
            .as(Role.WORKER)
            .runs()
            .renewLease(
                RenewLeaseRequest.newBuilder()
                    .setRunId(held.runId())
                    .setLeaseToken(held.leaseToken())
                    .build());
        server.time().advance(java.time.Duration.ofSeconds(20));
      }
      return held;
    }

    Scenario.Held cancelRequested() {
      Scenario.Held held = running();
      server.as(Role.OPERATOR).runs().cancelRun(cancel(held.run()));
      return held;
    }

    Interrupt question() {
      return scenario.raise(running(), Scenario.question("q", "Which?")).get(0);
    }

    Artifact artifact() {
      return scenario.upload(running(), "a.log", bytes("content"));
    }

    ClaimRunsRequest.Builder claim(String graphId) {
      return ClaimRunsRequest.newBuilder().setWorkerId("contract").addGraphIds(graphId);
    }

    /** A request whose patch is stored already. */
    ProposeChangesetRequest changesetRequest(Scenario.Held held, String context) {
      byte[] patch = bytes("--- a\n+++ b\n");
      Artifact stored = scenario.upload(held, "a.patch", patch);
      String bundle =
          "{\"base_commit\":\"%s\",\"context\":%s,\"files\":[{\"change\":\"modified\",\"path\":\"a\"}],"
                  .formatted(COMMIT, context)
              + "\"patch_artifact_id\":\"%s\",\"patch_sha256\":\"%s\",\"title\":\"Tidy\"}"
                  .formatted(stored.getArtifactId(), sha256(patch));
      return ProposeChangesetRequest.newBuilder()
          .setRunId(held.runId())
          .setLeaseToken(held.leaseToken())
          .setBundleJson(bundle)
          .build();
    }

    ProposeChangesetResponse changeset() {
      return server
          .as(Role.WORKER)
          .changesets()
          .proposeChangeset(changesetRequest(running(), "{}"));
    }
  }

  private static UpdateWorkspaceRequest.Builder updated(Workspace workspace) {
    return UpdateWorkspaceRequest.newBuilder()
        .setWorkspaceId(workspace.getWorkspaceId())
        .setVersion(workspace.getVersion());
  }

  private static UpdateRepoRequest.Builder updated(Repo repo) {
    return UpdateRepoRequest.newBuilder().setRepoId(repo.getRepoId()).setVersion(repo.getVersion());
  }

  private static PauseRunRequest.Builder pause(Scenario.Held held) {
    return PauseRunRequest.newBuilder().setRunId(held.runId()).setLeaseToken(held.leaseToken());
  }

  private static RecordUsageRequest usage(Scenario.Held held, long tokens) {
    return RecordUsageRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setTokens(tokens)
        .build();
  }

  /** A question whose yes gives the run 1,000 tokens. */
  private static Question moreTokens() {
    return Scenario.spend("s", "{\"budget\":{\"max_total_tokens\":1000}}");
  }

  private static CancelRunRequest cancel(Run run) {
    return CancelRunRequest.newBuilder().setRunId(run.getRunId()).build();
  }

  private static ReleaseRunRequest release(Scenario.Held held) {
    return ReleaseRunRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .build();
  }

  private static CompleteRunRequest complete(Scenario.Held held) {
    return CompleteRunRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .build();
  }

  private static FailRunRequest.Builder fail(Scenario.Held held) {
    return FailRunRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setReason("the network is down");
  }

  private static RequestApprovalRequest ask(Scenario.Held held) {
    return RequestApprovalRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setKind(ApprovalKind.APPROVAL_KIND_PUBLISH)
        .setPayloadJson("{\"title\":\"Publish?\"}")
        .build();
  }

  private static ResolveApprovalRequest resolve(Approval approval, boolean yes) {
    return ResolveApprovalRequest.newBuilder()
        .setApprovalId(approval.getApprovalId())
        .setPayloadHash(approval.getPayloadHash())
        .setStatus(
            yes ? ApprovalStatus.APPROVAL_STATUS_APPROVED : ApprovalStatus.APPROVAL_STATUS_REJECTED)
        .build();
  }

  private static ResolveInterruptRequest resolve(Interrupt interrupt, String decisionJson) {
    return ResolveInterruptRequest.newBuilder()
        .addDecisions(Scenario.decision(interrupt, decisionJson))
        .build();
  }

  private static RaiseInterruptsRequest raise(Scenario.Held held, Question... questions) {
    return RaiseInterruptsRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setThreadId(held.threadId())
        .addAllQuestions(List.of(questions))
        .build();
  }

  private static AcknowledgeDecisionsRequest acknowledge(Scenario.Held held, Interrupt interrupt) {
    return AcknowledgeDecisionsRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .addInterruptIds(interrupt.getInterruptId())
        .build();
  }

  private static List<Message> upload(Scenario.Held held, String name, String content) {
    return List.of(
        UploadArtifactRequest.newBuilder()
            .setHeader(
                ArtifactHeader.newBuilder()
                    .setRunId(held.runId())
                    .setLeaseToken(held.leaseToken())
                    .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                    .setName(name))
            .build(),
        UploadArtifactRequest.newBuilder().setChunk(ByteString.copyFromUtf8(content)).build());
  }

  private static RegisterArtifactRequest.Builder register(Scenario.Held held, String uri) {
    return RegisterArtifactRequest.newBuilder()
        .setRunId(held.runId())
        .setLeaseToken(held.leaseToken())
        .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
        .setUri(uri);
  }

  private static RegisterArtifactRequest elsewhere(Scenario.Held held) {
    return register(held, "s3://bucket/key")
        .setHash(sha256(bytes("content")))
        .setSizeBytes(7)
        .build();
  }

  /** A file as a worker on this machine leaves it. */
  private static void write(String uri, String content) {
    try {
      Files.writeString(server.dataDirectory().resolve(uri), content);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static MarkChangesetAppliedRequest applied(Changeset changeset) {
    return MarkChangesetAppliedRequest.newBuilder()
        .setChangesetId(changeset.getChangesetId())
        .setAppliedCommitSha(COMMIT)
        .build();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  @BeforeAll
  static void serve() {
    server = TestServer.start();
    scenario = new Scenario(server);
    methods = readMethods();
    documented = readDocumentation();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  // What the server itself says that it serves.

  private static Map<String, MethodDescriptor<?, ?>> readMethods() {
    Map<String, MethodDescriptor<?, ?>> methods = new TreeMap<>();
    for (String service : services()) {
      if (service.startsWith(PACKAGE)) {
        for (MethodDescriptor<?, ?> method : descriptor(service).getMethods()) {
          methods.put(method.getFullMethodName().substring(PACKAGE.length()), method);
        }
      }
    }
    return methods;
  }

  private static ServiceDescriptor descriptor(String service) {
    String type = "dev.pmbot.v1." + service.substring(PACKAGE.length()) + "Grpc";
    try {
      return (ServiceDescriptor) Class.forName(type).getMethod("getServiceDescriptor").invoke(null);
    } catch (ReflectiveOperationException unknown) {
      throw new AssertionError("the server has a service that this test cannot call", unknown);
    }
  }

  private static List<String> services() {
    CompletableFuture<List<String>> names = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> asking =
        ServerReflectionGrpc.newStub(server.connect())
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ServerReflectionResponse answer) {
                    names.complete(
                        answer.getListServicesResponse().getServiceList().stream()
                            .map(service -> service.getName())
                            .toList());
                  }

                  @Override
                  public void onError(Throwable failure) {
                    names.completeExceptionally(failure);
                  }

                  @Override
                  public void onCompleted() {
                    names.completeExceptionally(new AssertionError("no list of services came"));
                  }
                });
    asking.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    List<String> found = Await.value("the list of services", names);
    asking.onCompleted();
    return found;
  }

  // Making a call.

  /** Answers come as they travel, so that "the same answer" means the same bytes. */
  private static final MethodDescriptor.Marshaller<byte[]> AS_IT_TRAVELS =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
          return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException failure) {
            throw new UncheckedIOException(failure);
          }
        }
      };

  private static byte[] call(Client client, MethodDescriptor<?, ?> method, Prepared prepared) {
    return call(client, method, prepared.messages());
  }

  /** The answer, or the first of a stream. */
  private static byte[] call(
      Client client, MethodDescriptor<?, ?> method, List<? extends Message> messages) {
    MethodDescriptor<byte[], byte[]> raw = method.toBuilder(AS_IT_TRAVELS, AS_IT_TRAVELS).build();
    CompletableFuture<byte[]> answer = new CompletableFuture<>();
    ClientCall<byte[], byte[]> call =
        client.channel().newCall(raw, CallOptions.DEFAULT.withDeadlineAfter(Await.PATIENCE));
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(byte[] message) {
            answer.complete(message);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            answer.completeExceptionally(new StatusRuntimeException(status, trailers));
          }
        },
        new Metadata());
    call.request(1);
    messages.forEach(message -> call.sendMessage(message.toByteArray()));
    call.halfClose();
    try {
      return answer.get();
    } catch (java.util.concurrent.ExecutionException refused) {
      throw (StatusRuntimeException) refused.getCause();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new AssertionError(interrupted);
    } finally {
      if (method.getType() == MethodType.SERVER_STREAMING) {
        call.cancel("the test has seen the first message", null);
      }
    }
  }

  private static Rpc tested(String method) {
    return Objects.requireNonNull(TABLE.get(method), method);
  }

  private static String rpcOf(DynamicTest test) {
    return test.getDisplayName().replaceAll(":.*", "");
  }

  private static Client least(String method) {
    return server.as(documented(method).role());
  }

  private static MethodDescriptor<?, ?> method(String name) {
    return Objects.requireNonNull(methods.get(name), name);
  }

  private static boolean isMutation(MethodDescriptor<?, ?> method) {
    return requestType(method).findFieldByName("request_id") != null
        || method.getFullMethodName().endsWith("/UploadArtifact");
  }

  private static com.google.protobuf.Descriptors.Descriptor requestType(
      MethodDescriptor<?, ?> method) {
    return prototype(method).getDescriptorForType();
  }

  private static Message prototype(MethodDescriptor<?, ?> method) {
    return (Message)
        ((MethodDescriptor.PrototypeMarshaller<?>) method.getRequestMarshaller())
            .getMessagePrototype();
  }

  // The tests.

  @Test
  void theTableHasEveryCallThatTheServerServes() {
    assertEquals(methods.keySet(), new TreeSet<>(TABLE.keySet()));
    Set<String> besides = new TreeSet<>(services());
    besides.removeIf(service -> service.startsWith(PACKAGE));
    assertEquals(
        Set.of(
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection"),
        besides);
  }

  @Test
  void everyMutationTakesARequestId() {
    Set<String> appendNothing = new TreeSet<>();
    methods.forEach(
        (name, method) -> {
          boolean appends = tested(name).cases().stream().anyMatch(one -> !one.events().isEmpty());
          if (appends) {
            assertTrue(isMutation(method), name);
          } else if (isMutation(method)) {
            appendNothing.add(name);
          }
        });
    assertEquals(Set.of(), appendNothing);
  }

  /** One line of the documentation's table. */
  private record Documented(Role role, Set<String> events) {}

  private static Documented documented(String method) {
    return Objects.requireNonNull(documented.get(method), method);
  }

  private static Map<String, Documented> readDocumentation() {
    Pattern line = Pattern.compile("\\| (\\w+/\\w+) \\| (\\w+) \\| (.*) \\|");
    Pattern event = Pattern.compile("`([a-z_]+\\.[a-z_]+)`");
    Map<String, Documented> lines = new TreeMap<>();
    try {
      for (String text : Files.readAllLines(Path.of("src/docs/rpcs.md"))) {
        Matcher found = line.matcher(text);
        if (found.matches()) {
          Set<String> events = new TreeSet<>();
          Matcher named = event.matcher(found.group(3));
          while (named.find()) {
            events.add(named.group(1));
          }
          assertEquals(events.isEmpty(), found.group(3).startsWith("none: "), text);
          Role role = Role.valueOf(found.group(2).toUpperCase(Locale.ROOT));
          assertEquals(null, lines.put(found.group(1), new Documented(role, events)), text);
        }
      }
    } catch (IOException missing) {
      throw new UncheckedIOException(missing);
    }
    return lines;
  }

  @Test
  void theDocumentationHasEveryCallWithItsRoleAndItsEvents() {
    assertEquals(methods.keySet(), documented.keySet());
    documented.forEach(
        (name, line) -> {
          assertEquals(Roles.required(PACKAGE + name), line.role(), name);
          Set<String> events = new TreeSet<>();
          // Each of these lists is held to what is observed by the tests below.
          tested(name).cases().forEach(one -> events.addAll(one.events()));
          assertEquals(events, line.events(), name);
        });
  }

  private static Stream<DynamicTest> forEachCase(java.util.function.Consumer<Case> test) {
    return TABLE.values().stream()
        .flatMap(rpc -> rpc.cases().stream())
        .map(
            one ->
                DynamicTest.dynamicTest(
                    one.method() + ": " + one.situation(), () -> test.accept(one)));
  }

  @TestFactory
  Stream<DynamicTest> eachCallAppendsItsEventsAndNoOthers() {
    return forEachCase(
        one -> {
          Prepared prepared = one.request().apply(new World());
          List<String> before = eventTypes(prepared);
          byte[] answer = call(least(one.method()), method(one.method()), prepared);
          Prepared after = in(prepared, answer);
          List<String> events = eventTypes(after);
          assertEquals(before, events.subList(0, before.size()));
          assertEquals(one.events(), events.subList(before.size(), events.size()));
          assertTrue(scenario.verify(after.workspaceId()).getValid());
        });
  }

  @TestFactory
  Stream<DynamicTest> aRetryIsAnsweredWithTheSameBytesAndChangesNothing() {
    return forEachCase(ContractTest::retry).filter(test -> isMutation(method(rpcOf(test))));
  }

  private static void retry(Case one) {
    String requestId = Scenario.requestId();
    Client client = least(one.method());
    MethodDescriptor<?, ?> method = method(one.method());
    Prepared prepared = one.request().apply(new World()).withRequestId(requestId);
    List<String> before = eventTypes(prepared);
    byte[] first = call(client, method, prepared);
    Prepared after = in(prepared, first);
    int appended = eventTypes(after).size() - before.size();
    assertEquals(one.events().size(), appended);
    // A time that was taken anew would show.
    server.time().advance(java.time.Duration.ofSeconds(1));
    assertArrayEquals(first, call(client, method, prepared));
    assertArrayEquals(first, call(client, method, prepared));
    assertEquals(before.size() + appended, eventTypes(after).size());

    Failures.Refusal refusal =
        Failures.of(Reason.REASON_REQUEST_ID_REUSED, () -> somethingElse(one.method(), requestId));
    assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code());
    assertEquals(method.getFullMethodName(), refusal.metadata().get("method"));
  }

  /** Another request under the same id, by the same principal. */
  private static void somethingElse(String method, String requestId) {
    if (documented(method).role() == Role.OPERATOR) {
      server
          .as(Role.OPERATOR)
          .workspaces()
          .createWorkspace(
              CreateWorkspaceRequest.newBuilder()
                  .setRequestId(requestId)
                  .setName(Scenario.unique("reused"))
                  .build());
    } else {
      server
          .as(Role.WORKER)
          .runs()
          .createRun(scenario.newRun(scenario.workspace()).setRequestId(requestId).build());
    }
  }

  /** The same, in the workspace that the call has just made. */
  private static Prepared in(Prepared prepared, byte[] answer) {
    if (!prepared.workspaceId().isEmpty()) {
      return prepared;
    }
    try {
      String made =
          dev.pmbot.v1.CreateWorkspaceResponse.parseFrom(answer).getWorkspace().getWorkspaceId();
      return new Prepared(made, prepared.messages());
    } catch (com.google.protobuf.InvalidProtocolBufferException damaged) {
      throw new AssertionError(damaged);
    }
  }

  private static List<String> eventTypes(Prepared prepared) {
    return prepared.workspaceId().isEmpty()
        ? List.of()
        : scenario.eventTypes(prepared.workspaceId());
  }

  @TestFactory
  Stream<DynamicTest> aRetryOfALargeRequestIsAnsweredWithTheSameBytes() {
    String large = "{\"filler\":\"" + "x".repeat(300_000) + "\"}";
    String payload = "{\"context\":" + large + ",\"title\":\"Which?\"}";
    Map<String, Function<World, Message>> requests = new TreeMap<>();
    requests.put(
        "WorkspaceService/CreateWorkspace",
        world ->
            CreateWorkspaceRequest.newBuilder()
                .setName(Scenario.unique("large"))
                .setSettingsJson(large)
                .build());
    requests.put(
        "WorkspaceService/UpdateWorkspace",
        world -> updated(world.workspace).setSettingsJson(large).build());
    requests.put(
        "RunService/CreateRun",
        world -> scenario.newRun(world.workspace).setAgentRunSpecJson(large).build());
    requests.put(
        "RunService/ClaimRuns",
        world -> {
          CreateRunRequest proposed =
              scenario.newRun(world.workspace).setAgentRunSpecJson(large).build();
          scenario.approve(server.as(Role.WORKER).runs().createRun(proposed).getApproval());
          return world.claim(proposed.getGraphId()).build();
        });
    requests.put(
        "ApprovalService/RequestApproval",
        world -> ask(world.running()).toBuilder().setPayloadJson(payload).build());
    requests.put(
        "InterruptService/RaiseInterrupts",
        world ->
            raise(
                world.running(),
                Scenario.question("q", "Which?").toBuilder().setPayloadJson(payload).build(),
                Scenario.question("r", "Which?").toBuilder().setPayloadJson(payload).build()));
    requests.put(
        "ArtifactService/RegisterArtifact",
        world -> elsewhere(world.running()).toBuilder().setMetadataJson(large).build());
    requests.put(
        "ChangesetService/ProposeChangeset",
        world -> world.changesetRequest(world.running(), large));
    return requests.entrySet().stream()
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.getKey(),
                    () -> {
                      MethodDescriptor<?, ?> method = method(entry.getKey());
                      Client client = least(entry.getKey());
                      List<Message> messages =
                          Prepared.of("", entry.getValue().apply(new World()))
                              .withRequestId(Scenario.requestId())
                              .messages();
                      byte[] first = call(client, method, messages);
                      assertTrue(first.length > 300_000, "not large: " + first.length);
                      assertArrayEquals(first, call(client, method, messages));
                    }));
  }

  @TestFactory
  Stream<DynamicTest> aLesserRoleIsRefusedAndLeavesNoTrace() {
    return forEachCase(
            one -> {
              Role required = documented(one.method()).role();
              Prepared prepared = one.request().apply(new World());
              List<String> before = eventTypes(prepared);
              Role lesser = Role.values()[required.ordinal() - 1];
              Failures.Refusal refusal =
                  Failures.of(
                      Reason.REASON_ROLE_NOT_ALLOWED,
                      () -> call(server.as(lesser), method(one.method()), prepared));
              assertEquals(Status.Code.PERMISSION_DENIED, refusal.code());
              assertEquals(
                  Map.of(
                      "role",
                      lesser.name().toLowerCase(Locale.ROOT),
                      "required",
                      required.name().toLowerCase(Locale.ROOT)),
                  refusal.metadata());
              assertEquals(before, eventTypes(prepared));
            })
        .filter(test -> documented(rpcOf(test)).role() != Role.READER);
  }

  @TestFactory
  Stream<DynamicTest> anEmptyRequestIsToldEverythingThatItLacks() {
    return TABLE.values().stream()
        .map(
            rpc ->
                DynamicTest.dynamicTest(
                    rpc.method(),
                    () -> {
                      MethodDescriptor<?, ?> method = method(rpc.method());
                      List<Message> empty = List.of(prototype(method));
                      Client client = least(rpc.method());
                      if (rpc.emptyRequestLacks().isEmpty()) {
                        assertNotEquals(0, call(client, method, empty).length);
                        return;
                      }
                      Failures.Refusal refusal =
                          Failures.of(
                              Reason.REASON_INVALID_FIELDS, () -> call(client, method, empty));
                      assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code());
                      assertEquals(rpc.emptyRequestLacks(), refusal.violations().keySet());
                    }));
  }

  @TestFactory
  Stream<DynamicTest> aRequestOfGarbageIsToldEveryFieldThatIsWrong() {
    return TABLE.values().stream()
        .filter(rpc -> !rpc.method().equals("ServerService/GetServerInfo")) // It has no fields.
        .map(
            rpc ->
                DynamicTest.dynamicTest(
                    rpc.method(),
                    () -> {
                      MethodDescriptor<?, ?> method = method(rpc.method());
                      Set<String> wrong = new TreeSet<>();
                      Message garbage = garbage(prototype(method), "", wrong);
                      Failures.Refusal refusal =
                          Failures.of(
                              Reason.REASON_INVALID_FIELDS,
                              () -> call(least(rpc.method()), method, List.of(garbage)));
                      Set<String> missed = new HashSet<>(wrong);
                      missed.removeAll(refusal.violations().keySet());
                      assertEquals(Set.of(), missed, refusal.toString());
                      wrong.forEach(
                          field ->
                              assertTrue(
                                  refusal.message().contains(field + ": "), refusal.message()));
                    }));
  }

  /** Messages that are wrong as a whole. */
  private static final Map<Descriptor, Message> GARBAGE =
      Map.of(
          Duration.getDescriptor(), Duration.newBuilder().setSeconds(-1).build(),
          Timestamp.getDescriptor(), Timestamp.newBuilder().setNanos(-1).build());

  /** A message in which every field that can be wrong is wrong. */
  private static Message garbage(Message prototype, String prefix, Set<String> wrong) {
    Message.Builder builder = prototype.newBuilderForType();
    for (FieldDescriptor field : prototype.getDescriptorForType().getFields()) {
      if (field.getContainingOneof() != null && field.getContainingOneof().getFieldCount() > 1) {
        if (field.getIndex() > 0) {
          continue; // One of them can be set; the first is.
        }
      }
      String path = prefix + field.getName();
      Object value =
          switch (field.getJavaType()) {
            case STRING -> "!\0";
            case INT, LONG ->
                field.getJavaType() == FieldDescriptor.JavaType.INT
                    ? (Object) (-1)
                    : (Object) (-1L);
            case ENUM -> field.getEnumType().findValueByNumberCreatingIfUnknown(99);
            case MESSAGE ->
                GARBAGE.containsKey(field.getMessageType())
                    ? GARBAGE.get(field.getMessageType())
                    : garbage(
                        builder.newBuilderForField(field).buildPartial(),
                        path + (field.isRepeated() ? "[0]." : "."),
                        wrong);
            case BOOLEAN, BYTE_STRING, FLOAT, DOUBLE -> null;
          };
      if (value == null) {
        continue;
      }
      if (field.isRepeated()) {
        builder.addRepeatedField(field, value);
      } else {
        builder.setField(field, value);
      }
      boolean leaf =
          field.getJavaType() != FieldDescriptor.JavaType.MESSAGE
              || GARBAGE.containsKey(field.getMessageType());
      if (leaf) {
        wrong.add(field.isRepeated() ? path + "[0]" : path);
      }
    }
    return builder.build();
  }

  @TestFactory
  Stream<DynamicTest> whatDoesNotExistIsNotFound() {
    Map<String, String> prefixes =
        Map.of(
            "workspace_id", "ws_",
            "repo_id", "repo_",
            "run_id", "run_",
            "approval_id", "appr_",
            "interrupt_id", "intr_",
            "artifact_id", "art_",
            "changeset_id", "cs_");
    return forEachCase(
            one -> {
              Prepared prepared = one.request().apply(new World());
              Message first = prepared.messages().get(0);
              Message nowhere = elsewhere(first, prefixes);
              assertNotEquals(first, nowhere, "names nothing");
              List<Message> messages = new ArrayList<>(prepared.messages());
              messages.set(0, nowhere);
              List<String> before = eventTypes(prepared);
              Failures.Refusal refusal =
                  Failures.of(
                      Reason.REASON_NOT_FOUND,
                      () -> call(least(one.method()), method(one.method()), messages));
              assertEquals(Status.Code.NOT_FOUND, refusal.code());
              assertTrue(
                  refusal.metadata().getOrDefault("id", "").endsWith("_" + NOTHING),
                  refusal.toString());
              assertEquals(before, eventTypes(prepared));
            })
        .filter(
            test -> {
              String name = rpcOf(test);
              return !Set.of(
                      "WorkspaceService/CreateWorkspace",
                      "WorkspaceService/ListWorkspaces",
                      "RunService/ClaimRuns",
                      "ServerService/GetServerInfo")
                  .contains(name);
            });
  }

  /** The message with the first id that it names replaced by one that nothing has. */
  private static Message elsewhere(Message message, Map<String, String> prefixes) {
    Message.Builder builder = message.toBuilder();
    for (Map.Entry<FieldDescriptor, Object> entry : message.getAllFields().entrySet()) {
      FieldDescriptor field = entry.getKey();
      String prefix = prefixes.get(field.getName());
      if (prefix != null) {
        return builder.setField(field, prefix + NOTHING).build();
      }
      if (field.getName().equals("run_ids")) {
        return builder.setRepeatedField(field, 0, "run_" + NOTHING).build();
      }
      if (field.getName().equals("decisions")) {
        Message only = (Message) message.getRepeatedField(field, 0);
        return builder.setRepeatedField(field, 0, elsewhere(only, prefixes)).build();
      }
      if (!field.isRepeated() && field.getJavaType() == FieldDescriptor.JavaType.MESSAGE) {
        Message nested = (Message) entry.getValue();
        Message changed = elsewhere(nested, prefixes);
        if (!changed.equals(nested)) {
          return builder.setField(field, changed).build();
        }
      }
    }
    return message;
  }
}
