package dev.pmbot.wire;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.Message;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Gate;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.CompleteRunRequest;
import dev.pmbot.v1.CompleteRunResponse;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.CreateWorkspaceResponse;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.RaiseInterruptsRequest;
import dev.pmbot.v1.RaiseInterruptsResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class CallsTest {
  private static final String LARGE = "x".repeat(50_000);

  @TempDir Path folder;
  private final Gate gate = new Gate();
  private TestServer server;
  private Scenario scenario;
  private Workspace workspace;

  @BeforeEach
  void start() {
    server = TestServer.in(folder, gate);
    scenario = new Scenario(server);
    workspace = scenario.workspace();
  }

  @AfterEach
  void stop() {
    gate.open();
    server.close();
  }

  private CreateRunResponse create(CreateRunRequest request) {
    return server.as(Role.OPERATOR).runs().createRun(request);
  }

  private long events(String type) {
    return scenario.eventTypes(workspace.getWorkspaceId()).stream().filter(type::equals).count();
  }

  private static void assertSameBytes(Message expected, Message actual) {
    assertArrayEquals(expected.toByteArray(), actual.toByteArray());
  }

  @Test
  void theSameRequestGetsTheFirstAnswerByteForByte() {
    CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
    CreateRunResponse first = create(request);
    scenario.approve(first.getApproval());
    server.time().advance(Duration.ofMinutes(5));
    assertSameBytes(first, create(request));
    server.restart();
    assertSameBytes(first, create(request));
    assertEquals(1, events("run.created"));
  }

  @Test
  void withoutARequestIdEachCallCounts() {
    CreateRunRequest request = scenario.newRun(workspace).build();
    assertNotEquals(create(request).getRun().getRunId(), create(request).getRun().getRunId());
  }

  @Test
  void aLargeReplyOfCreateRunComesBackByteForByte() {
    CreateRunRequest request =
        Scenario.withRequestId(
            scenario
                .newRun(workspace)
                .setAgentRunSpecJson("{ \"input\" : {\"note\":\"" + LARGE + "\"}}")
                .build());
    CreateRunResponse first = create(request);
    assertEquals(request.getAgentRunSpecJson(), first.getRun().getAgentRunSpecJson());
    scenario.running(first);
    assertSameBytes(first, create(request));
  }

  @Test
  void aLargeReplyOfCreateWorkspaceComesBackByteForByte() {
    CreateWorkspaceRequest request =
        Scenario.withRequestId(
            CreateWorkspaceRequest.newBuilder()
                .setName("large")
                .setSettingsJson("{\"note\":\"" + LARGE + "\"}")
                .build());
    Supplier<CreateWorkspaceResponse> call =
        () -> server.as(Role.OPERATOR).workspaces().createWorkspace(request);
    assertSameBytes(call.get(), call.get());
  }

  @Test
  void aLargeReplyOfRaiseInterruptsComesBackByteForByte() {
    Scenario.Held held = scenario.running(workspace);
    Question question =
        Scenario.question("q1", "Which one?").toBuilder()
            .setPayloadJson(
                "{\"title\":\"t\",\"context\":{\"password\":\"hunter2\",\"note\":\""
                    + LARGE
                    + "\"}}")
            .build();
    RaiseInterruptsRequest raise =
        Scenario.withRequestId(
            RaiseInterruptsRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setThreadId(held.threadId())
                .addQuestions(question)
                .addQuestions(Scenario.question("q2", "And which other?"))
                .build());
    RaiseInterruptsResponse raised = server.as(Role.WORKER).interrupts().raiseInterrupts(raise);
    assertSameBytes(raised, server.as(Role.WORKER).interrupts().raiseInterrupts(raise));
    scenario.resolve(
        raised.getInterrupts(0),
        "{ \"answer\" : {\"password\":\"hunter2\",\"note\":\"" + LARGE + "\"}}");
    assertSameBytes(raised, server.as(Role.WORKER).interrupts().raiseInterrupts(raise));
    // The decision, large and redacted, is part of what a question is from now on.
    RaiseInterruptsRequest again = Scenario.withRequestId(raise);
    RaiseInterruptsResponse decided = server.as(Role.WORKER).interrupts().raiseInterrupts(again);
    assertTrue(decided.getInterrupts(0).getDecisionJson().contains(LARGE));
    assertSameBytes(decided, server.as(Role.WORKER).interrupts().raiseInterrupts(again));
  }

  @Test
  void aLargeReplyOfProposeChangesetComesBackByteForByte() {
    Scenario.Held held = scenario.running(scenario.repo(workspace));
    byte[] patch = {1, 2, 3};
    var artifact = scenario.upload(held, "a.patch", patch);
    ProposeChangesetRequest request =
        Scenario.withRequestId(
            ProposeChangesetRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setBundleJson(
                    "{\"base_commit\":\""
                        + "a".repeat(40)
                        + "\",\"title\":\"t\",\"description\":\""
                        + LARGE
                        + "\",\"files\":[{\"path\":\"a.txt\",\"change\":\"modified\"}],"
                        + "\"patch_artifact_id\":\""
                        + artifact.getArtifactId()
                        + "\",\"patch_sha256\":\""
                        + artifact.getHash()
                        + "\"}")
                .build());
    Supplier<ProposeChangesetResponse> call =
        () -> server.as(Role.WORKER).changesets().proposeChangeset(request);
    ProposeChangesetResponse first = call.get();
    scenario.approve(first.getApproval());
    assertSameBytes(first, call.get());
  }

  @Test
  void aReplayInTheSameGroupIsCarriedOutOnce() {
    RunServiceGrpc.RunServiceFutureStub runs =
        RunServiceGrpc.newFutureStub(server.as(Role.OPERATOR).channel());
    CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
    gate.close();
    ListenableFuture<CreateRunResponse> holds = runs.createRun(scenario.newRun(workspace).build());
    gate.awaitHeld();
    int commits = gate.commits();
    List<ListenableFuture<CreateRunResponse>> calls = new ArrayList<>();
    for (int count = 0; count < 5; count++) {
      calls.add(runs.createRun(request));
    }
    // All five travel over one connection in order: once this is answered they are queued.
    server.as(Role.OPERATOR).server().getServerInfo(nothing());
    gate.open();
    Await.value("the call that held the gate", holds);
    CreateRunResponse first = Await.value("the first call", calls.get(0));
    for (ListenableFuture<CreateRunResponse> call : calls) {
      assertSameBytes(first, Await.value("a replay", call));
    }
    assertEquals(commits + 1, gate.commits(), "they were meant to be one group");
    assertEquals(2, events("run.created"));
  }

  private static dev.pmbot.v1.GetServerInfoRequest nothing() {
    return dev.pmbot.v1.GetServerInfoRequest.getDefaultInstance();
  }

  @Test
  void callersThatRaceWithOneRequestIdAreCarriedOutOnce() throws InterruptedException {
    for (int round = 0; round < 20; round++) {
      CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
      List<CreateRunResponse> answers = Collections.synchronizedList(new ArrayList<>());
      List<Thread> threads = new ArrayList<>();
      var client = server.as(Role.OPERATOR);
      for (int count = 0; count < 4; count++) {
        Thread thread = new Thread(() -> answers.add(client.runs().createRun(request)));
        threads.add(thread);
        thread.start();
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(4, answers.size());
      answers.forEach(answer -> assertSameBytes(answers.get(0), answer));
    }
    assertEquals(20, events("run.created"));
  }

  @Test
  void anotherRequestUnderTheSameIdIsRefused() {
    CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
    create(request);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_REQUEST_ID_REUSED,
            () -> create(request.toBuilder().setGoal("something else").build()));
    assertEquals("pmbot.v1.RunService/CreateRun", refusal.metadata().get("method"));
    refusal =
        Failures.of(
            Reason.REASON_REQUEST_ID_REUSED,
            () ->
                server
                    .as(Role.OPERATOR)
                    .repos()
                    .registerRepo(
                        RegisterRepoRequest.newBuilder()
                            .setRequestId(request.getRequestId())
                            .setWorkspaceId(workspace.getWorkspaceId())
                            .setFullName("octo/other")
                            .build()));
    assertEquals("pmbot.v1.RunService/CreateRun", refusal.metadata().get("method"));
    assertEquals(1, events("run.created"));
  }

  @Test
  void anotherBearersRequestIdIsAnotherId() {
    CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
    CreateRunResponse operators = create(request);
    CreateRunResponse workers = server.as(Role.WORKER).runs().createRun(request);
    assertNotEquals(operators.getRun().getRunId(), workers.getRun().getRunId());
    // A worker that gives itself a name has the same token, and so the same ids.
    CreateRunResponse named = server.asWorker("worker-7").runs().createRun(request);
    assertSameBytes(workers, named);
  }

  @Test
  void theLeaseTokenIsNoPartOfTheRequest() {
    Scenario.Held held = scenario.running(workspace);
    CompleteRunRequest request =
        Scenario.withRequestId(
            CompleteRunRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken(held.leaseToken())
                .setSummary("done")
                .build());
    CompleteRunResponse first = server.as(Role.WORKER).runs().completeRun(request);
    CompleteRunResponse again =
        server
            .as(Role.WORKER)
            .runs()
            .completeRun(request.toBuilder().setLeaseToken("another lease").build());
    assertSameBytes(first, again);
  }

  @Test
  void errorsAreNotRemembered() {
    Scenario.Held held = scenario.running(workspace);
    CompleteRunRequest request =
        Scenario.withRequestId(
            CompleteRunRequest.newBuilder()
                .setRunId(held.runId())
                .setLeaseToken("not the token")
                .build());
    Failures.of(Reason.REASON_LEASE_LOST, () -> server.as(Role.WORKER).runs().completeRun(request));
    CompleteRunResponse done =
        server
            .as(Role.WORKER)
            .runs()
            .completeRun(request.toBuilder().setLeaseToken(held.leaseToken()).build());
    assertEquals(RunStatus.RUN_STATUS_COMPLETED, done.getRun().getStatus());
  }

  @Test
  void aRequestIdIsRememberedForADay() {
    CreateRunRequest request = Scenario.withRequestId(scenario.newRun(workspace).build());
    CreateRunResponse first = create(request);
    server.time().advance(Duration.ofHours(24).minusSeconds(1));
    assertSameBytes(first, create(request));
    server.time().advance(Duration.ofSeconds(2));
    CreateRunResponse second = create(request);
    assertNotEquals(first.getRun().getRunId(), second.getRun().getRunId());
    assertSameBytes(second, create(request));
  }

  @Test
  void requestsThatWaitAreBoundedByTheirSizeToo() {
    RunServiceGrpc.RunServiceFutureStub runs =
        RunServiceGrpc.newFutureStub(server.as(Role.OPERATOR).channel());
    gate.close();
    ListenableFuture<CreateRunResponse> holds = runs.createRun(scenario.newRun(workspace).build());
    gate.awaitHeld();
    CreateRunRequest large =
        scenario
            .newRun(workspace)
            .setAgentRunSpecJson("{\"input\":\"" + "x".repeat(1_000_000) + "\"}")
            .build();
    // More than there is room for, and far fewer than the queue is long.
    int most = (64 << 20) / large.getSerializedSize();
    List<ListenableFuture<CreateRunResponse>> sent = new ArrayList<>();
    for (int count = 0; count < most + 10; count++) {
      sent.add(runs.createRun(large));
    }
    Await.until(
        "those that there is no room for are refused",
        () -> sent.stream().filter(ListenableFuture::isDone).count() >= 10);
    gate.open();
    Await.value("the call that held the gate", holds);
    int refused = 0;
    for (ListenableFuture<CreateRunResponse> one : sent) {
      try {
        one.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      } catch (ExecutionException failure) {
        Failures.Refusal refusal = Failures.read((StatusRuntimeException) failure.getCause());
        assertEquals("QUEUE_FULL", refusal.reason(), refusal.toString());
        assertTrue(refusal.retryAfter().isPresent());
        refused++;
      } catch (InterruptedException | TimeoutException hangs) {
        throw new AssertionError("a call hangs", hangs);
      }
    }
    assertTrue(refused >= 10, refused + " were refused");
    assertEquals(1 + sent.size() - refused, events("run.created"));
    create(large);
  }

  @Test
  void aCallerThatHasGoneIsNotCarriedOut() {
    RunServiceGrpc.RunServiceFutureStub runs =
        RunServiceGrpc.newFutureStub(server.as(Role.OPERATOR).channel());
    gate.close();
    ListenableFuture<CreateRunResponse> holds = runs.createRun(scenario.newRun(workspace).build());
    gate.awaitHeld();
    ListenableFuture<CreateRunResponse> gone = runs.createRun(scenario.newRun(workspace).build());
    server.as(Role.OPERATOR).server().getServerInfo(nothing());
    assertTrue(gone.cancel(true));
    // The cancel travels over the same connection: the server knows of it once this is answered.
    server.as(Role.OPERATOR).server().getServerInfo(nothing());
    gate.open();
    Await.value("the call that held the gate", holds);
    Approval pending = create(scenario.newRun(workspace).build()).getApproval();
    assertEquals(workspace.getWorkspaceId(), pending.getWorkspaceId());
    assertEquals(2, events("run.created"));
  }
}
