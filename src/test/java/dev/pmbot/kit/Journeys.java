package dev.pmbot.kit;

import com.google.protobuf.Duration;
import dev.pmbot.v1.AcknowledgeDecisionsRequest;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalServiceGrpc;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactKind;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.CancelRunRequest;
import dev.pmbot.v1.ChangesetServiceGrpc;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.CompleteRunRequest;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.FailRunRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptDecision;
import dev.pmbot.v1.InterruptKind;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.InterruptStatus;
import dev.pmbot.v1.MarkChangesetAppliedRequest;
import dev.pmbot.v1.NewEvent;
import dev.pmbot.v1.PauseRunRequest;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.RecordUsageRequest;
import dev.pmbot.v1.RecordUsageResponse;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.ReleaseRunRequest;
import dev.pmbot.v1.RenewLeaseRequest;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.RepoServiceGrpc;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.ResolveInterruptRequest;
import dev.pmbot.v1.RetryRunRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.StartRunRequest;
import dev.pmbot.v1.UpdateRepoRequest;
import dev.pmbot.v1.UpdateWorkspaceRequest;
import dev.pmbot.v1.Workspace;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import dev.pmbot.wire.Principal.Role;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * What a person and a worker do all day, at random, and what each step must leave on the record.
 * For one thread; every run has a graph and a thread of its own, so that nobody else touches it.
 */
public final class Journeys {
  private static final int LEASE_SECONDS = 3_600;
  private static final int SMALL = 2_000;
  private static final int LARGE = 8_000;

  private final Ledger ledger;
  private final Effects effects;
  private final Random random;
  private final String name;
  private int number;

  /**
   * One writer's.
   *
   * @param name no other writer's: it makes the names of graphs and threads its own
   */
  public Journeys(Ledger ledger, Effects effects, Random random, String name) {
    this.ledger = ledger;
    this.effects = effects;
    this.random = random;
    this.name = name;
  }

  private boolean chance(int percent) {
    return random.nextInt(100) < percent;
  }

  private String text(int length) {
    StringBuilder text = new StringBuilder(length);
    while (text.length() < length) {
      text.append(Long.toString(random.nextLong() & Long.MAX_VALUE, 36)).append(' ');
    }
    return text.substring(0, length);
  }

  private String unique(String kind) {
    return kind + "-" + name + "-" + ++number;
  }

  /** A new workspace, sometimes with settings that do not fit into a kept reply. */
  public Workspace workspace() {
    Workspace workspace =
        ledger
            .call(
                Role.OPERATOR,
                WorkspaceServiceGrpc.getCreateWorkspaceMethod(),
                CreateWorkspaceRequest.newBuilder()
                    .setName(unique("workspace"))
                    .setSettingsJson("{\"about\":\"" + text(chance(30) ? LARGE : 10) + "\"}")
                    .build())
            .getWorkspace();
    effects.expect(workspace.getWorkspaceId(), "workspace.created");
    return workspace;
  }

  /** A new repo. */
  public Repo repo(Workspace workspace) {
    Repo repo =
        ledger
            .call(
                Role.OPERATOR,
                RepoServiceGrpc.getRegisterRepoMethod(),
                RegisterRepoRequest.newBuilder()
                    .setWorkspaceId(workspace.getWorkspaceId())
                    .setFullName("octo/" + unique("repo"))
                    .build())
            .getRepo();
    effects.expect(workspace.getWorkspaceId(), "repo.registered");
    return repo;
  }

  /** A new workspace with a repo, both changed once more, and a run there. */
  public void place() {
    Workspace workspace = workspace();
    effects.expect(workspace.getWorkspaceId(), "workspace.updated", "repo.updated");
    Workspace updated =
        ledger
            .call(
                Role.OPERATOR,
                WorkspaceServiceGrpc.getUpdateWorkspaceMethod(),
                UpdateWorkspaceRequest.newBuilder()
                    .setWorkspaceId(workspace.getWorkspaceId())
                    .setVersion(workspace.getVersion())
                    .setSettingsJson("{\"about\":\"" + text(chance(30) ? LARGE : 10) + "\"}")
                    .build())
            .getWorkspace();
    Repo repo = repo(updated);
    run(
        ledger
            .call(
                Role.OPERATOR,
                RepoServiceGrpc.getUpdateRepoMethod(),
                UpdateRepoRequest.newBuilder()
                    .setRepoId(repo.getRepoId())
                    .setVersion(repo.getVersion())
                    .setDefaultBranch("branch-" + ++number)
                    .build())
            .getRepo());
  }

  /** A run from its proposal to its end, whichever it comes to. */
  public void run(Repo repo) {
    CreateRunResponse proposed = propose(repo);
    String runId = proposed.getRun().getRunId();
    if (chance(5)) {
      return; // Nobody ever looks at it.
    }
    if (chance(8)) {
      resolve(proposed.getApproval(), ApprovalStatus.APPROVAL_STATUS_REJECTED);
      effects.expect(runId, "run.rejected");
      return;
    }
    if (chance(5)) {
      cancel(runId);
      effects.expect(runId, "run.cancelled", "approval.closed");
      return;
    }
    Work work = begin(proposed);
    int steps = 1 + random.nextInt(8);
    for (int step = 0; step < steps; step++) {
      work.step();
    }
    work.end();
  }

  /** A run that has begun, and is worked at for as long as one likes. */
  public Work running(Repo repo) {
    return begin(propose(repo));
  }

  private CreateRunResponse propose(Repo repo) {
    String input = text(chance(10) ? LARGE : 20);
    CreateRunResponse proposed =
        ledger.call(
            chance(50) ? Role.OPERATOR : Role.WORKER,
            RunServiceGrpc.getCreateRunMethod(),
            CreateRunRequest.newBuilder()
                .setWorkspaceId(repo.getWorkspaceId())
                .setRepoId(repo.getRepoId())
                .setGoal("tidy " + text(30))
                .setGraphId(unique("graph"))
                .setAgentRunSpecJson(
                    "{\"execution\":{\"lease_seconds\":"
                        + LEASE_SECONDS
                        + "},\"input\":{\"text\":\""
                        + input
                        + "\"}}")
                .build());
    effects.expect(proposed.getRun().getRunId(), "run.created", "approval.requested");
    return proposed;
  }

  private void cancel(String runId) {
    ledger.call(
        Role.OPERATOR,
        RunServiceGrpc.getCancelRunMethod(),
        CancelRunRequest.newBuilder().setRunId(runId).setReason("not any more").build());
  }

  private Work begin(CreateRunResponse proposed) {
    resolve(proposed.getApproval(), ApprovalStatus.APPROVAL_STATUS_APPROVED);
    effects.expect(proposed.getRun().getRunId(), "run.approved");
    Work work = new Work(proposed.getRun());
    work.claim(0);
    work.start();
    return work;
  }

  private void resolve(Approval approval, ApprovalStatus status) {
    ledger.call(
        Role.OPERATOR,
        ApprovalServiceGrpc.getResolveApprovalMethod(),
        ResolveApprovalRequest.newBuilder()
            .setApprovalId(approval.getApprovalId())
            .setPayloadHash(approval.getPayloadHash())
            .setStatus(status)
            .setNotes(chance(20) ? text(30) : "")
            .build());
    effects.expect(approval.getRunId(), "approval.resolved");
  }

  /** A run that a worker holds. */
  public final class Work {
    private final Run run;
    private final String threadId;
    private String token = "";
    private boolean blocked;
    private int asked;
    private int files;
    private long used;
    private final Map<String, Question> questions = new LinkedHashMap<>();
    private final Map<String, Interrupt> pending = new LinkedHashMap<>();
    private final Map<String, Interrupt> decided = new LinkedHashMap<>();
    private final List<Approval> requested = new ArrayList<>();

    private Work(Run run) {
      this.run = run;
      this.threadId = unique("thread");
    }

    /** The run's id. */
    public String runId() {
      return run.getRunId();
    }

    /** The run's thread. */
    public String threadId() {
      return threadId;
    }

    /** The run's workspace. */
    public String workspaceId() {
      return run.getWorkspaceId();
    }

    /** Questions that were decided and whose answers nobody has taken. */
    public Set<String> decided() {
      return new HashSet<>(decided.keySet());
    }

    private void claim(int waitSeconds) {
      ClaimRunsResponse claimed =
          ledger.call(
              Role.WORKER,
              RunServiceGrpc.getClaimRunsMethod(),
              ClaimRunsRequest.newBuilder()
                  .setWorkerId(name)
                  .addGraphIds(run.getGraphId())
                  .setMaxRuns(1 + random.nextInt(3))
                  .setWait(Duration.newBuilder().setSeconds(waitSeconds))
                  .build());
      if (claimed.getClaimedRunsCount() != 1
          || !claimed.getClaimedRuns(0).getRun().getRunId().equals(runId())) {
        throw new AssertionError("one run was to be claimed, " + runId() + ", not " + claimed);
      }
      token = claimed.getClaimedRuns(0).getLeaseToken();
      effects.expect(runId(), "run.claimed");
    }

    private void start() {
      ledger.call(
          Role.WORKER,
          RunServiceGrpc.getStartRunMethod(),
          StartRunRequest.newBuilder()
              .setRunId(runId())
              .setLeaseToken(token)
              .setThreadId(threadId)
              .build());
      effects.expect(runId(), "run.started");
    }

    /** Does something. */
    public void step() {
      int turn = random.nextInt(100);
      if (blocked || isWaiting() && turn < 45) {
        answer();
      } else if (turn < 60) {
        ask();
      } else if (turn < 63) {
        request();
      } else if (turn < 65) {
        use();
      } else if (turn < 72) {
        acknowledge();
      } else if (turn < 78) {
        pause();
      } else if (turn < 80) {
        renew();
      } else if (turn < 82) {
        note();
      } else if (turn < 92) {
        upload();
      } else if (turn < 96) {
        changeset();
      } else {
        letGo();
      }
    }

    /** Raises questions; of those that stand, some again, so that the others are superseded. */
    public void ask() {
      Map<String, Question> now = new LinkedHashMap<>();
      Set<String> standing = new HashSet<>();
      for (Interrupt open : pending.values()) {
        if (chance(50)) {
          standing.add(open.getInterruptId());
          now.put(open.getExternalId(), questions.get(open.getInterruptId()));
        }
      }
      for (Interrupt answered : List.copyOf(decided.values())) {
        if (chance(10) && !now.containsKey(answered.getExternalId())) {
          Question again = questions.get(answered.getInterruptId());
          if (chance(50)) {
            // Something else at the same place: the answer that nobody has taken is void.
            again = again.toBuilder().setPayloadJson(payload(again.getKind())).build();
            decided.remove(answered.getInterruptId());
            effects.expect(runId(), "interrupt.closed");
          } else {
            standing.add(answered.getInterruptId());
          }
          now.put(answered.getExternalId(), again);
        }
      }
      int fresh = 1 + random.nextInt(3);
      for (int count = 0; count < fresh; count++) {
        Question question = question();
        now.put(question.getExternalId(), question);
      }
      List<Question> all = new ArrayList<>(now.values());
      List<Interrupt> raised =
          ledger
              .call(
                  Role.WORKER,
                  InterruptServiceGrpc.getRaiseInterruptsMethod(),
                  RaiseInterruptsRequest.newBuilder()
                      .setRunId(runId())
                      .setLeaseToken(token)
                      .setThreadId(threadId)
                      .addAllQuestions(all)
                      .build())
              .getInterruptsList();
      for (Interrupt open : List.copyOf(pending.values())) {
        if (!standing.contains(open.getInterruptId())) {
          close(open);
        }
      }
      for (int index = 0; index < all.size(); index++) {
        Interrupt interrupt = raised.get(index);
        questions.put(interrupt.getInterruptId(), all.get(index));
        if (!standing.contains(interrupt.getInterruptId())) {
          if (interrupt.getStatus() != InterruptStatus.INTERRUPT_STATUS_PENDING) {
            throw new AssertionError("raised, and not pending: " + interrupt);
          }
          pending.put(interrupt.getInterruptId(), interrupt);
          effects.expect(runId(), "interrupt.raised");
          if (!interrupt.getApprovalId().isEmpty()) {
            effects.expect(runId(), "approval.requested");
          }
        }
      }
    }

    private boolean isWaiting() {
      return !pending.isEmpty() || !requested.isEmpty();
    }

    /** Asks for a yes that is no question of the graph. */
    private void request() {
      requested.add(
          ledger
              .call(
                  Role.WORKER,
                  ApprovalServiceGrpc.getRequestApprovalMethod(),
                  RequestApprovalRequest.newBuilder()
                      .setRunId(runId())
                      .setLeaseToken(token)
                      .setKind(
                          chance(50)
                              ? ApprovalKind.APPROVAL_KIND_SPEND
                              : ApprovalKind.APPROVAL_KIND_PUBLISH)
                      .setPayloadJson(
                          "{\"about\":\""
                              + text(chance(10) ? LARGE : 20)
                              + "\",\"title\":\"May I? "
                              + ++asked
                              + "\"}")
                      .build())
              .getApproval());
      effects.expect(runId(), "approval.requested");
    }

    private Question question() {
      InterruptKind kind =
          switch (random.nextInt(4)) {
            case 0 -> InterruptKind.INTERRUPT_KIND_APPROVE_TOOL_CALL;
            case 1 -> InterruptKind.INTERRUPT_KIND_APPROVE_PUBLISH;
            default -> InterruptKind.INTERRUPT_KIND_QUESTION;
          };
      return Question.newBuilder()
          .setExternalId("q" + ++asked)
          .setKind(kind)
          .setPayloadJson(payload(kind))
          .setGuard("guard " + asked)
          .build();
    }

    private String payload(InterruptKind kind) {
      String context = text(chance(10) ? LARGE : 20);
      String actions =
          kind == InterruptKind.INTERRUPT_KIND_QUESTION
              ? ""
              : "\"actions\":[{\"allow\":[\"approve\",\"edit\",\"reject\"],\"args\":{\"path\":\"a\"},"
                  + "\"id\":\"a1\",\"name\":\"delete_file\"}],";
      return "{" + actions + "\"context\":\"" + context + "\",\"title\":\"May I?\"}";
    }

    private void close(Interrupt open) {
      pending.remove(open.getInterruptId());
      effects.expect(runId(), "interrupt.closed");
      if (!open.getApprovalId().isEmpty()) {
        effects.expect(runId(), "approval.closed");
      }
    }

    /** The person decides something that waits: a question in one of two ways, or several. */
    public void answer() {
      if (!requested.isEmpty() && (pending.isEmpty() || chance(30))) {
        resolve(requested.remove(0), yesOrNo());
      } else if (!pending.isEmpty()) {
        answerQuestions();
      }
      if (blocked && !isWaiting()) {
        blocked = false;
        effects.expect(runId(), "run.resumed");
        if (token.isEmpty()) {
          claim(0);
          start();
        }
      }
    }

    /** The person decides everything that waits. */
    public void answerAll() {
      while (isWaiting()) {
        answer();
      }
    }

    private ApprovalStatus yesOrNo() {
      return chance(70)
          ? ApprovalStatus.APPROVAL_STATUS_APPROVED
          : ApprovalStatus.APPROVAL_STATUS_REJECTED;
    }

    private void answerQuestions() {
      List<Interrupt> open = new ArrayList<>(pending.values());
      Collections.shuffle(open, random);
      List<Interrupt> chosen = open.subList(0, chance(60) ? 1 : 1 + random.nextInt(open.size()));
      if (chosen.size() == 1 && !chosen.get(0).getApprovalId().isEmpty() && chance(30)) {
        Interrupt one = chosen.get(0);
        resolve(
            Approval.newBuilder()
                .setApprovalId(one.getApprovalId())
                .setRunId(runId())
                .setPayloadHash(one.getPayloadHash())
                .build(),
            yesOrNo());
      } else {
        ResolveInterruptRequest.Builder request = ResolveInterruptRequest.newBuilder();
        for (Interrupt one : chosen) {
          request.addDecisions(
              InterruptDecision.newBuilder()
                  .setInterruptId(one.getInterruptId())
                  .setPayloadHash(one.getPayloadHash())
                  .setDecisionJson(decision(one.getKind())));
          if (!one.getApprovalId().isEmpty()) {
            effects.expect(runId(), "approval.resolved");
          }
        }
        ledger
            .call(Role.OPERATOR, InterruptServiceGrpc.getResolveInterruptMethod(), request.build())
            .getResultsList()
            .forEach(
                result -> {
                  if (result.hasError()) {
                    throw new AssertionError("a decision was refused: " + result);
                  }
                });
      }
      for (Interrupt one : chosen) {
        effects.expect(runId(), "interrupt.resolved");
        pending.remove(one.getInterruptId());
        decided.put(one.getInterruptId(), one);
      }
    }

    private String decision(InterruptKind kind) {
      if (kind == InterruptKind.INTERRUPT_KIND_QUESTION) {
        return "{\"answer\":\"" + text(chance(10) ? LARGE : 20) + "\"}";
      }
      return switch (random.nextInt(3)) {
        case 0 -> "{\"decisions\":[{\"action_id\":\"a1\",\"type\":\"approve\"}]}";
        case 1 ->
            "{\"decisions\":[{\"action_id\":\"a1\",\"args\":{\"path\":\""
                + text(10)
                + "\"},\"type\":\"edit\"}]}";
        default ->
            "{\"decisions\":[{\"action_id\":\"a1\",\"message\":\"no\",\"type\":\"reject\"}]}";
      };
    }

    /** The graph takes the answers that are there. */
    public void acknowledge() {
      if (decided.isEmpty() || token.isEmpty()) {
        return;
      }
      ledger.call(
          Role.WORKER,
          InterruptServiceGrpc.getAcknowledgeDecisionsMethod(),
          AcknowledgeDecisionsRequest.newBuilder()
              .setRunId(runId())
              .setLeaseToken(token)
              .addAllInterruptIds(decided.keySet())
              .build());
      effects.expect(runId(), "interrupt.acknowledged", decided.size());
      decided.clear();
    }

    /** The graph stops, and sometimes lets the run go meanwhile. */
    public void pause() {
      if (!isWaiting()) {
        return;
      }
      boolean release = chance(30);
      Run paused =
          ledger
              .call(
                  Role.WORKER,
                  RunServiceGrpc.getPauseRunMethod(),
                  PauseRunRequest.newBuilder()
                      .setRunId(runId())
                      .setLeaseToken(token)
                      .setReleaseLease(release)
                      .build())
              .getRun();
      if (paused.getStatus() != RunStatus.RUN_STATUS_BLOCKED) {
        throw new AssertionError("paused with an open question, and not blocked: " + paused);
      }
      blocked = true;
      token = release ? "" : token;
      effects.expect(runId(), "run.blocked");
    }

    private void renew() {
      ledger.call(
          Role.WORKER,
          RunServiceGrpc.getRenewLeaseMethod(),
          RenewLeaseRequest.newBuilder().setRunId(runId()).setLeaseToken(token).build());
    }

    /** Notes what the graph did, in one transaction. */
    private void note() {
      int count = 1 + random.nextInt(chance(10) ? 100 : 5);
      AppendEventsRequest.Builder request =
          AppendEventsRequest.newBuilder().setRunId(runId()).setLeaseToken(token);
      for (int event = 0; event < count; event++) {
        request.addEvents(
            NewEvent.newBuilder()
                .setType("tool.called")
                .setNodeId("node-" + event % 3)
                .setPayloadJson("{\"about\":\"" + text(chance(2) ? LARGE : 20) + "\"}"));
      }
      ledger.call(Role.WORKER, AuditServiceGrpc.getAppendEventsMethod(), request.build());
      effects.expect(runId(), "tool.called", count);
    }

    /** Adds to what the run has used, and looks whether it was added once. */
    private void use() {
      long more = 1 + random.nextInt(1_000);
      used += more;
      RecordUsageResponse recorded =
          ledger.call(
              Role.WORKER,
              RunServiceGrpc.getRecordUsageMethod(),
              RecordUsageRequest.newBuilder()
                  .setRunId(runId())
                  .setLeaseToken(token)
                  .setTokens(more)
                  .build());
      if (recorded.getBudget().getTokensUsed() != used) {
        throw new AssertionError(used + " tokens were used, not " + recorded);
      }
      effects.expect(runId(), "run.usage_recorded");
    }

    private Artifact upload() {
      // Sometimes under a name that is taken: it is kept beside the other.
      String file = "file-" + (files > 0 && chance(20) ? files : ++files) + ".log";
      int size = chance(20) ? 1 << (18 + random.nextInt(4)) : random.nextInt(100_000);
      byte[] content = new byte[size];
      random.nextBytes(content);
      Artifact artifact =
          ledger.upload(
              Role.WORKER,
              ArtifactHeader.newBuilder()
                  .setRunId(runId())
                  .setLeaseToken(token)
                  .setKind(ArtifactKind.ARTIFACT_KIND_LOG)
                  .setName(file)
                  .setMetadataJson("{\"about\":\"" + text(chance(20) ? LARGE : 10) + "\"}")
                  .build(),
              content);
      effects.expect(runId(), "artifact.stored");
      return artifact;
    }

    private void changeset() {
      Artifact patch = upload();
      ProposeChangesetResponse proposed =
          ledger.call(
              Role.WORKER,
              ChangesetServiceGrpc.getProposeChangesetMethod(),
              ProposeChangesetRequest.newBuilder()
                  .setRunId(runId())
                  .setLeaseToken(token)
                  .setBundleJson(bundle(patch))
                  .build());
      effects.expect(runId(), "changeset.proposed", "approval.requested");
      if (chance(20)) {
        return;
      }
      boolean yes = chance(80);
      resolve(
          proposed.getApproval(),
          yes ? ApprovalStatus.APPROVAL_STATUS_APPROVED : ApprovalStatus.APPROVAL_STATUS_REJECTED);
      effects.expect(runId(), yes ? "changeset.approved" : "changeset.rejected");
      if (yes && chance(80)) {
        ledger.call(
            Role.WORKER,
            ChangesetServiceGrpc.getMarkChangesetAppliedMethod(),
            MarkChangesetAppliedRequest.newBuilder()
                .setChangesetId(proposed.getChangeset().getChangesetId())
                .setAppliedCommitSha(String.format("%040x", random.nextLong() & Long.MAX_VALUE))
                .build());
        effects.expect(runId(), "changeset.applied");
      }
    }

    private String bundle(Artifact patch) {
      return """
      {"base_commit":"c0ffee0123456789c0ffee0123456789c0ffee01","description":"%s",\
      "files":[{"change":"modified","path":"src/a.txt"}],\
      "patch_artifact_id":"%s","patch_sha256":"%s","title":"Tidy the imports"}"""
          .formatted(text(chance(20) ? SMALL : 20), patch.getArtifactId(), patch.getHash());
    }

    /** Gives the run back and takes it up again. */
    private void letGo() {
      release();
      effects.expect(runId(), "run.released");
      claim(0);
      start();
    }

    private void release() {
      ledger.call(
          Role.WORKER,
          RunServiceGrpc.getReleaseRunMethod(),
          ReleaseRunRequest.newBuilder()
              .setRunId(runId())
              .setLeaseToken(token)
              .setReason("later")
              .build());
    }

    /** Ends the run, or leaves it lying. */
    public void end() {
      if (blocked) {
        answerAll();
      }
      int how = random.nextInt(100);
      if (how < 50) {
        complete();
      } else if (how < 65) {
        fail(false);
        effects.expect(runId(), "run.failed");
        closeAll();
      } else if (how < 72) {
        fail(false);
        effects.expect(runId(), "run.failed");
        closeAll();
        ledger.call(
            Role.OPERATOR,
            RunServiceGrpc.getRetryRunMethod(),
            RetryRunRequest.newBuilder().setRunId(runId()).build());
        effects.expect(runId(), "run.retried");
        effects.expect(runId(), "interrupt.due_again", decided.size());
        claim(0);
        start();
        complete();
      } else if (how < 77) {
        fail(true);
        effects.expect(runId(), "run.retry_scheduled");
        claim(30);
        start();
        complete();
      } else if (how < 82) {
        cancel(runId());
        effects.expect(runId(), "run.cancel_requested");
        if (chance(50)) {
          complete();
        } else {
          release();
          effects.expect(runId(), "run.cancelled");
          closeAll();
        }
      } else {
        acknowledge();
      }
    }

    private void complete() {
      ledger.call(
          Role.WORKER,
          RunServiceGrpc.getCompleteRunMethod(),
          CompleteRunRequest.newBuilder()
              .setRunId(runId())
              .setLeaseToken(token)
              .setSummary(text(20))
              .build());
      effects.expect(runId(), "run.completed");
      closeAll();
    }

    private void fail(boolean retryable) {
      ledger.call(
          Role.WORKER,
          RunServiceGrpc.getFailRunMethod(),
          FailRunRequest.newBuilder()
              .setRunId(runId())
              .setLeaseToken(token)
              .setReason("the network is down")
              .setRetryable(retryable)
              .build());
    }

    private void closeAll() {
      List.copyOf(pending.values()).forEach(this::close);
      effects.expect(runId(), "approval.closed", requested.size());
      requested.clear();
    }
  }
}
