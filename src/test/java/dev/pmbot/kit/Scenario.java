package dev.pmbot.kit;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CancelRunRequest;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CompleteRunRequest;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.GetApprovalRequest;
import dev.pmbot.v1.GetInterruptRequest;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptDecision;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.PauseRunRequest;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.UploadArtifactResponse;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.v1.VerifyChainResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Short words for what leads up to what a test is about: everything goes through the API, the
 * operator's part as the operator and the worker's as a worker. Each run has a graph of its own, so
 * that a claim gets the run that is meant.
 */
public final class Scenario {
  /** What a worker of these scenarios is called. */
  public static final String WORKER_ID = "worker-1";

  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final TestServer server;

  /** On a server. */
  public Scenario(TestServer server) {
    this.server = server;
  }

  /** A run that a worker holds. */
  public record Held(Run run, String leaseToken) {
    /** The run's id. */
    public String runId() {
      return run.getRunId();
    }

    /** The run's thread. */
    public String threadId() {
      return run.getThreadId();
    }

    /** The run's workspace. */
    public String workspaceId() {
      return run.getWorkspaceId();
    }
  }

  private Client operator() {
    return server.as(Role.OPERATOR);
  }

  private Client worker() {
    return server.as(Role.WORKER);
  }

  /** A name that no other call here gives. */
  public static String unique(String prefix) {
    return prefix + "-" + NUMBER.incrementAndGet();
  }

  /** A fresh request id. */
  public static String requestId() {
    return UUID.randomUUID().toString();
  }

  /** A new workspace. */
  public Workspace workspace() {
    return workspace(unique("workspace"));
  }

  /** A new workspace of a name. */
  public Workspace workspace(String name) {
    return operator()
        .workspaces()
        .createWorkspace(CreateWorkspaceRequest.newBuilder().setName(name).build())
        .getWorkspace();
  }

  /** A new repo in a workspace. */
  public Repo repo(Workspace workspace) {
    return repo(workspace, "octo/" + unique("repo"));
  }

  /** A new repo of a name in a workspace. */
  public Repo repo(Workspace workspace, String fullName) {
    return operator()
        .repos()
        .registerRepo(
            RegisterRepoRequest.newBuilder()
                .setWorkspaceId(workspace.getWorkspaceId())
                .setFullName(fullName)
                .build())
        .getRepo();
  }

  /** A request for a run without a repo, of a graph of its own; change it as the test needs. */
  public CreateRunRequest.Builder newRun(Workspace workspace) {
    return CreateRunRequest.newBuilder()
        .setWorkspaceId(workspace.getWorkspaceId())
        .setGoal("tidy the imports")
        .setGraphId(unique("graph/v"));
  }

  /** A proposed run without a repo, and its pending approval. */
  public CreateRunResponse propose(Workspace workspace) {
    return operator().runs().createRun(newRun(workspace).build());
  }

  /** A proposed run about a repo, and its pending approval. */
  public CreateRunResponse propose(Repo repo) {
    return operator()
        .runs()
        .createRun(
            CreateRunRequest.newBuilder()
                .setWorkspaceId(repo.getWorkspaceId())
                .setRepoId(repo.getRepoId())
                .setGoal("tidy the imports")
                .setGraphId(unique("graph/v"))
                .build());
  }

  /** The person says yes. */
  public Approval approve(Approval approval) {
    return resolve(approval, ApprovalStatus.APPROVAL_STATUS_APPROVED);
  }

  /** The person says no. */
  public Approval reject(Approval approval) {
    return resolve(approval, ApprovalStatus.APPROVAL_STATUS_REJECTED);
  }

  private Approval resolve(Approval approval, ApprovalStatus status) {
    return operator()
        .approvals()
        .resolveApproval(
            ResolveApprovalRequest.newBuilder()
                .setApprovalId(approval.getApprovalId())
                .setPayloadHash(approval.getPayloadHash())
                .setStatus(status)
                .build())
        .getApproval();
  }

  /** The run as it is now. */
  public Run read(Run run) {
    return operator()
        .runs()
        .getRun(GetRunRequest.newBuilder().setRunId(run.getRunId()).build())
        .getRun();
  }

  /** An approved run without a repo, which nobody has claimed. */
  public Run approved(Workspace workspace) {
    return approved(propose(workspace));
  }

  /** The proposed run, approved. */
  public Run approved(CreateRunResponse proposed) {
    approve(proposed.getApproval());
    return read(proposed.getRun());
  }

  /** Claims an approved run, which must be the only claimable one of its graph and workspace. */
  public ClaimedRun claim(Run run) {
    ClaimRunsResponse claimed =
        worker()
            .runs()
            .claimRuns(
                ClaimRunsRequest.newBuilder()
                    .setWorkerId(WORKER_ID)
                    .addGraphIds(run.getGraphId())
                    .setWorkspaceId(run.getWorkspaceId())
                    .build());
    if (claimed.getClaimedRunsCount() != 1
        || !claimed.getClaimedRuns(0).getRun().getRunId().equals(run.getRunId())) {
      throw new AssertionError("not the run that was meant, or none: " + claimed);
    }
    return claimed.getClaimedRuns(0);
  }

  /** Starts a claimed run on a thread. */
  public Held start(ClaimedRun claimed, String threadId) {
    Run run =
        worker()
            .runs()
            .startRun(
                StartRunRequest.newBuilder()
                    .setRunId(claimed.getRun().getRunId())
                    .setLeaseToken(claimed.getLeaseToken())
                    .setThreadId(threadId)
                    .build())
            .getRun();
    return new Held(run, claimed.getLeaseToken());
  }

  /** A running run without a repo, on a thread of its own, held by a worker. */
  public Held running(Workspace workspace) {
    return running(propose(workspace));
  }

  /** A running run about a repo, on a thread of its own, held by a worker. */
  public Held running(Repo repo) {
    return running(propose(repo));
  }

  /** The proposed run, approved, claimed and started on a thread of its own. */
  public Held running(CreateRunResponse proposed) {
    return start(claim(approved(proposed)), unique("thread"));
  }

  /** The person wants the run ended. */
  public Run cancel(Run run) {
    return operator()
        .runs()
        .cancelRun(CancelRunRequest.newBuilder().setRunId(run.getRunId()).build())
        .getRun();
  }

  /** A question with a title, of kind {@code question}. */
  public static Question question(String externalId, String title) {
    return Question.newBuilder()
        .setExternalId(externalId)
        .setKind(InterruptKind.INTERRUPT_KIND_QUESTION)
        .setPayloadJson("{\"title\":\"" + title + "\"}")
        .build();
  }

  /** A tool call that wants a yes: one action {@code a1}, which may be answered in every way. */
  public static Question toolCall(String externalId, String title) {
    return Question.newBuilder()
        .setExternalId(externalId)
        .setKind(InterruptKind.INTERRUPT_KIND_APPROVE_TOOL_CALL)
        .setPayloadJson(
            "{\"actions\":[{\"allow\":[\"approve\",\"edit\",\"reject\",\"respond\"],"
                + "\"args\":{\"path\":\"a.txt\"},\"id\":\"a1\",\"name\":\"delete_file\"}],"
                + "\"title\":\""
                + title
                + "\"}")
        .build();
  }

  /** Spending that wants a yes: one action {@code a1} with these arguments, or a no or an edit. */
  public static Question spend(String externalId, String args) {
    return Question.newBuilder()
        .setExternalId(externalId)
        .setKind(InterruptKind.INTERRUPT_KIND_APPROVE_SPEND)
        .setPayloadJson(
            "{\"actions\":[{\"allow\":[\"approve\",\"edit\",\"reject\"],\"args\":"
                + args
                + ",\"id\":\"a1\",\"name\":\"spend\"}],\"title\":\"May I spend more?\"}")
        .build();
  }

  /** Raises everything that the graph stopped at. */
  public List<Interrupt> raise(Held held, Question... questions) {
    return worker()
        .interrupts()
        .raiseInterrupts(
            RaiseInterruptsRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setThreadId(held.threadId())
                .addAllQuestions(List.of(questions))
                .build())
        .getInterruptsList();
  }

  /** Asks for a yes in the middle of a run. */
  public Approval ask(Held held, ApprovalKind kind, String payloadJson) {
    return worker()
        .approvals()
        .requestApproval(
            RequestApprovalRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setKind(kind)
                .setPayloadJson(payloadJson)
                .build())
        .getApproval();
  }

  /** Asks whether something may be spent. */
  public Approval askToSpend(Held held, String title) {
    return ask(held, ApprovalKind.APPROVAL_KIND_SPEND, "{\"title\":\"" + title + "\"}");
  }

  /** Says that the graph has stopped, and keeps the lease. */
  public Run pause(Held held) {
    return worker()
        .runs()
        .pauseRun(
            PauseRunRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .build())
        .getRun();
  }

  /** What a person decides about a question. */
  public static InterruptDecision decision(Interrupt interrupt, String decisionJson) {
    return InterruptDecision.newBuilder()
        .setInterruptId(interrupt.getInterruptId())
        .setPayloadHash(interrupt.getPayloadHash())
        .setDecisionJson(decisionJson)
        .build();
  }

  /** The person decides; the question as it is then. */
  public Interrupt resolve(Interrupt interrupt, String decisionJson) {
    operator()
        .interrupts()
        .resolveInterrupt(
            ResolveInterruptRequest.newBuilder()
                .addDecisions(decision(interrupt, decisionJson))
                .build());
    return read(interrupt);
  }

  /** The approval as it is now. */
  public Approval read(Approval approval) {
    return approval(approval.getApprovalId());
  }

  /** The approval that a question carries, as it is now. */
  public Approval approval(Interrupt interrupt) {
    return approval(interrupt.getApprovalId());
  }

  private Approval approval(String approvalId) {
    return operator()
        .approvals()
        .getApproval(GetApprovalRequest.newBuilder().setApprovalId(approvalId).build())
        .getApproval();
  }

  /** The question as it is now. */
  public Interrupt read(Interrupt interrupt) {
    return operator()
        .interrupts()
        .getInterrupt(
            GetInterruptRequest.newBuilder().setInterruptId(interrupt.getInterruptId()).build())
        .getInterrupt();
  }

  /** The person answers a {@code question} with a text. */
  public Interrupt answer(Interrupt interrupt, String text) {
    return resolve(interrupt, "{\"answer\":\"" + text + "\"}");
  }

  /** The person approves the one action of a {@link #toolCall}. */
  public Interrupt approve(Interrupt interrupt) {
    return resolve(interrupt, "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"approve\"}]}");
  }

  /** Ends a run well. */
  public Run complete(Held held) {
    return worker()
        .runs()
        .completeRun(
            CompleteRunRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .build())
        .getRun();
  }

  /** Stores a file as an artifact of kind {@code log}. */
  public Artifact upload(Held held, String name, byte[] content) {
    CompletableFuture<Artifact> stored = new CompletableFuture<>();
    StreamObserver<UploadArtifactRequest> upload =
        ArtifactServiceGrpc.newStub(worker().channel())
            .uploadArtifact(
                new StreamObserver<>() {
                  @Override
                  public void onNext(UploadArtifactResponse response) {
                    stored.complete(response.getArtifact());
                  }

                  @Override
                  public void onError(Throwable failure) {
                    stored.completeExceptionally(failure);
                  }

                  @Override
                  public void onCompleted() {
                    stored.completeExceptionally(new AssertionError("no answer came"));
                  }
                });
    upload.onNext(
        UploadArtifactRequest.newBuilder()
            .setHeader(
                ArtifactHeader.newBuilder()
                    .setRunId(held.runId())
                    .setLeaseToken(held.leaseToken())
                    .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                    .setName(name))
            .build());
    int largest = 1 << 20;
    for (int from = 0; from < content.length; from += largest) {
      int count = Math.min(largest, content.length - from);
      upload.onNext(
          UploadArtifactRequest.newBuilder()
              .setChunk(ByteString.copyFrom(content, from, count))
              .build());
    }
    upload.onCompleted();
    return Await.value("the upload of " + name, stored);
  }

  /** All events of a workspace, {@code system} among them, oldest first. */
  public List<AuditEvent> events(String workspaceId) {
    return events(EventFilter.newBuilder().setWorkspaceId(workspaceId).build());
  }

  /** All events of a filter, oldest first. */
  public List<AuditEvent> events(EventFilter filter) {
    return Logs.events(operator(), filter);
  }

  /** The types of all events of a workspace, oldest first. */
  public List<String> eventTypes(String workspaceId) {
    return events(workspaceId).stream().map(AuditEvent::getType).toList();
  }

  /** What the server finds when it walks a chain. */
  public VerifyChainResponse verify(String workspaceId) {
    return operator()
        .audit()
        .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build());
  }

  /** The message with a fresh request id. */
  @SuppressWarnings("unchecked")
  public static <M extends Message> M withRequestId(M request) {
    return (M)
        request.toBuilder()
            .setField(request.getDescriptorForType().findFieldByName("request_id"), requestId())
            .build();
  }
}
