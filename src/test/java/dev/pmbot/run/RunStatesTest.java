package dev.pmbot.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.changeset.Proposals;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.sql.DriverManager;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run may be, and what it may become. */
final class RunStatesTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Repo repo = scenario.repo(workspace);
  private final Worker worker = new Worker(server.as(Role.WORKER));

  @AfterEach
  void stop() {
    server.close();
  }

  /** A run in a state, with the last lease that it had, or one that nobody has. */
  private Scenario.Held in(String state) {
    if (state.equals("proposed") || state.equals("rejected")) {
      CreateRunResponse proposed = scenario.propose(repo);
      if (state.equals("rejected")) {
        scenario.reject(proposed.getApproval());
      }
      return new Scenario.Held(
          scenario.read(proposed.getRun()).toBuilder().setThreadId("t").build(), "none");
    }
    if (state.equals("approved")) {
      Run run = scenario.approved(scenario.propose(repo));
      return new Scenario.Held(run.toBuilder().setThreadId("t").build(), "none");
    }
    if (state.equals("claimed")) {
      ClaimedRun claimed = scenario.claim(scenario.approved(scenario.propose(repo)));
      return new Scenario.Held(
          claimed.getRun().toBuilder().setThreadId("t").build(), claimed.getLeaseToken());
    }
    Scenario.Held held = scenario.running(repo);
    switch (state) {
      case "running" -> {}
      case "blocked" -> {
        scenario.raise(held, Scenario.question("open", "Which?"));
        scenario.pause(held);
      }
      case "completed" -> scenario.complete(held);
      case "failed" -> worker.fail(held, false);
      case "cancelled" -> {
        scenario.cancel(held.run());
        worker.release(held.runId(), held.leaseToken(), "");
      }
      default -> throw new IllegalArgumentException(state);
    }
    return held;
  }

  private final Map<String, java.util.function.Function<Scenario.Held, Executable>> calls =
      new TreeMap<>(
          Map.of(
              "StartRun",
              held -> () -> worker.start(held.runId(), held.leaseToken(), held.threadId()),
              "RenewLease",
              held -> () -> worker.renew(held.runId(), held.leaseToken()),
              "PauseRun",
              held -> () -> worker.pause(held.runId(), held.leaseToken(), false),
              "ReleaseRun",
              held -> () -> worker.release(held.runId(), held.leaseToken(), ""),
              "CompleteRun",
              held -> () -> worker.complete(held.runId(), held.leaseToken(), ""),
              "FailRun",
              held -> () -> worker.fail(held, false),
              "RaiseInterrupts",
              held -> () -> scenario.raise(held, Scenario.question("open", "Which?")),
              "ProposeChangeset",
              held -> () -> Proposals.propose(server, held, Proposals.bundle(patch(held)))));

  /** A patch of the run; the person may store one whatever the run's state. */
  private Artifact patch(Scenario.Held held) {
    try {
      return dev.pmbot.artifact.Uploads.upload(
          server.as(Role.OPERATOR),
          dev.pmbot.v1.ArtifactHeader.newBuilder()
              .setRunId(held.runId())
              .setKind(dev.pmbot.v1.ArtifactKind.ARTIFACT_KIND_PATCH)
              .setName("p.patch")
              .build(),
          new byte[] {1});
    } catch (Throwable refused) {
      throw new AssertionError(refused);
    }
  }

  /** What each call does in each state under the run's lease: the states that it allows, or "". */
  private static final Map<String, Map<String, String>> ANSWERS =
      Map.of(
          "claimed",
          Map.of(
              "StartRun", "",
              "RenewLease", "",
              "PauseRun", "running,blocked",
              "ReleaseRun", "",
              "CompleteRun", "running",
              "FailRun", "running,blocked",
              "RaiseInterrupts", "running,blocked",
              "ProposeChangeset", "running"),
          "running",
          Map.of(
              "StartRun", "",
              "RenewLease", "",
              "PauseRun", "",
              "ReleaseRun", "",
              "CompleteRun", "",
              "FailRun", "",
              "RaiseInterrupts", "",
              "ProposeChangeset", ""),
          "blocked",
          Map.of(
              "StartRun", "approved",
              "RenewLease", "",
              "PauseRun", "",
              "ReleaseRun", "",
              "CompleteRun", "running",
              "FailRun", "",
              "RaiseInterrupts", "",
              "ProposeChangeset", "running"));

  @TestFactory
  Stream<DynamicTest> everyCallInEveryStateUnderTheLease() {
    return ANSWERS.keySet().stream()
        .sorted()
        .flatMap(
            state ->
                calls.entrySet().stream()
                    .map(
                        call ->
                            DynamicTest.dynamicTest(
                                call.getKey() + " of a run that is " + state,
                                () -> answers(state, call.getKey(), call.getValue()))));
  }

  private void answers(
      String state, String call, java.util.function.Function<Scenario.Held, Executable> make)
      throws Throwable {
    Scenario.Held held = in(state);
    String allowed = ANSWERS.getOrDefault(state, Map.of()).getOrDefault(call, "missing");
    if (allowed.isEmpty()) {
      make.apply(held).execute();
      return;
    }
    Run before = scenario.read(held.run());
    Failures.Refusal refusal = Failures.of(Reason.REASON_WRONG_STATE, make.apply(held));
    assertEquals(Status.Code.FAILED_PRECONDITION, refusal.code());
    assertEquals(
        Map.of(
            "id",
            held.runId(),
            "state",
            state.equals("claimed") ? "approved" : state,
            "allowed",
            allowed),
        refusal.metadata());
    assertEquals(before, scenario.read(held.run()));
  }

  @TestFactory
  Stream<DynamicTest> withoutALeaseNoCallChangesARun() {
    return Stream.of("proposed", "rejected", "approved", "completed", "failed", "cancelled")
        .flatMap(
            state ->
                calls.entrySet().stream()
                    .map(
                        call ->
                            DynamicTest.dynamicTest(
                                call.getKey() + " of a run that is " + state,
                                () -> {
                                  Scenario.Held held = in(state);
                                  Run before = scenario.read(held.run());
                                  Failures.of(
                                      Reason.REASON_LEASE_LOST, call.getValue().apply(held));
                                  assertEquals(before, scenario.read(held.run()));
                                })));
  }

  @Test
  void eachChangeOfStateCountsTheVersion() {
    CreateRunResponse proposed = scenario.propose(repo);
    assertEquals(1, proposed.getRun().getVersion());
    Run run = scenario.approved(proposed);
    assertEquals(2, run.getVersion());
    Scenario.Held held = scenario.start(scenario.claim(run), "t");
    assertEquals(4, held.run().getVersion());
    worker.renew(held.runId(), held.leaseToken());
    assertEquals(4, scenario.read(held.run()).getVersion());
    assertEquals(5, scenario.complete(held).getVersion());
  }

  // Threads.

  @Test
  void aThreadBelongsToOneUnfinishedRunAtATime() {
    Scenario.Held first = scenario.running(repo);
    ClaimedRun second = scenario.claim(scenario.approved(scenario.propose(repo)));
    for (int i = 0; i < 2; i++) {
      Failures.Refusal refusal =
          Failures.of(Reason.REASON_THREAD_IN_USE, () -> worker.start(second, first.threadId()));
      assertEquals(
          Map.of("thread_id", first.threadId(), "run_id", first.runId()), refusal.metadata());
      if (i == 0) {
        scenario.raise(first, Scenario.question("q", "Which?"));
        scenario.pause(first); // A blocked run has not ended either.
      }
    }
    worker.fail(first, false);
    Run started = worker.start(second, first.threadId());
    assertEquals(RunStatus.RUN_STATUS_RUNNING, started.getStatus());
    assertEquals(first.threadId(), started.getThreadId());
  }

  @Test
  void aThreadThatWaitsForAnotherAttemptIsStillInUse() {
    Scenario.Held first = scenario.running(repo);
    worker.fail(first, true);
    ClaimedRun second = scenario.claim(scenario.approved(scenario.propose(repo)));
    Failures.of(Reason.REASON_THREAD_IN_USE, () -> worker.start(second, first.threadId()));
  }

  @Test
  void aRunStaysOnItsThread() {
    Scenario.Held held = scenario.running(repo);
    worker.release(held.runId(), held.leaseToken(), "");
    ClaimedRun again = scenario.claim(scenario.read(held.run()));
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> worker.start(again, "another"));
    assertEquals(java.util.Set.of("thread_id"), refusal.violations().keySet());
    assertTrue(refusal.message().contains(held.threadId()), refusal.message());
    assertEquals(RunStatus.RUN_STATUS_RUNNING, worker.start(again, held.threadId()).getStatus());
  }

  @Test
  void aRunThatWasProposedForAThreadStartsOnNoOther() {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(scenario.newRun(workspace).setThreadId("mine").build());
    ClaimedRun claimed = scenario.claim(scenario.approved(proposed));
    Failures.of(Reason.REASON_INVALID_FIELDS, () -> worker.start(claimed, "another"));
    assertEquals("mine", worker.start(claimed, "mine").getThreadId());
  }

  // Proposing.

  @Test
  void aProposalIsKeptAsItWasMadeAndAsksWhatItWouldDo() {
    String spec = "{\"input\":{\"n\":1.10},  \"mine\":true}";
    CreateRunResponse proposed =
        server
            .asWorker("planner")
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setRepoId(repo.getRepoId())
                    .setGraphId("g")
                    .setAgentRunSpecJson(spec)
                    .build());
    Run run = proposed.getRun();
    assertEquals(spec, run.getAgentRunSpecJson());
    assertEquals("worker:planner", run.getCreatedBy());
    assertEquals(RunStatus.RUN_STATUS_PROPOSED, run.getStatus());
    assertEquals(
        "{\"goal\":\"tidy the imports\",\"graph_id\":\"g\",\"repo\":\""
            + repo.getFullName()
            + "\",\"spec\":"
            + spec
            + "}",
        proposed.getApproval().getPayloadJson());
    assertEquals(dev.pmbot.v1.Risk.RISK_LOW, proposed.getApproval().getRisk());
    CreateRunRequest.Builder withoutRepo = scenario.newRun(workspace).setGraphId("g");
    assertEquals(
        "{\"goal\":\"tidy the imports\",\"graph_id\":\"g\",\"spec\":{}}",
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(withoutRepo.build())
            .getApproval()
            .getPayloadJson());
  }

  @Test
  void whatDoesNotExistOrIsElsewhereIsNotFound() {
    Repo foreign = scenario.repo(scenario.workspace());
    CreateRunRequest.Builder request = scenario.newRun(workspace);
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_NOT_FOUND,
            () ->
                server
                    .as(Role.OPERATOR)
                    .runs()
                    .createRun(request.setRepoId(foreign.getRepoId()).build()));
    assertEquals(foreign.getRepoId(), refusal.metadata().get("id"));
  }

  @Test
  void noRunIsProposedForARepoThatIsDisabled() {
    server.restart(
        data -> {
          try (var connection = DriverManager.getConnection("jdbc:sqlite:" + server.database());
              var statement = connection.createStatement()) {
            statement.executeUpdate("UPDATE repos SET status = 'disabled'");
          }
        });
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> new Scenario(server).propose(repo));
    assertEquals(
        Map.of("id", repo.getRepoId(), "state", "disabled", "allowed", "active"),
        refusal.metadata());
  }

  @Test
  void everythingThatIsWrongWithASpecIsToldAtOnce() {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                server
                    .as(Role.OPERATOR)
                    .runs()
                    .createRun(
                        scenario
                            .newRun(workspace)
                            .setAgentRunSpecJson(
                                "{\"config\":1,\"execution\":{\"max_attempts\":0,"
                                    + "\"lease_seconds\":4,\"durability\":\"never\","
                                    + "\"budget\":{\"max_tool_calls\":1.5}}}")
                            .build()));
    String execution = "agent_run_spec_json.execution.";
    assertEquals(
        java.util.Set.of(
            "agent_run_spec_json.config",
            execution + "max_attempts",
            execution + "lease_seconds",
            execution + "durability",
            execution + "budget.max_tool_calls"),
        refusal.violations().keySet());
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "1", "\"text\"", "null"})
  void aSpecIsAnObject(String spec) {
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                server
                    .as(Role.OPERATOR)
                    .runs()
                    .createRun(scenario.newRun(workspace).setAgentRunSpecJson(spec).build()));
    assertEquals(java.util.Set.of("agent_run_spec_json"), refusal.violations().keySet());
  }

  @ParameterizedTest
  @CsvSource({"max_attempts,1", "max_attempts,1000", "lease_seconds,5", "lease_seconds,3600"})
  void theEndsOfARangeAreInIt(String key, int value) {
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(
                scenario
                    .newRun(workspace)
                    .setAgentRunSpecJson("{\"execution\":{\"" + key + "\":" + value + "}}")
                    .build());
    assertEquals(key.equals("max_attempts") ? value : 3, proposed.getRun().getMaxAttempts());
  }

  @Test
  void aSpecMayBeNestedAsDeepAsAnyJson() {
    String spec = "{\"input\":" + "{\"a\":".repeat(62) + "{}" + "}".repeat(62) + "}";
    CreateRunResponse proposed =
        server
            .as(Role.OPERATOR)
            .runs()
            .createRun(scenario.newRun(workspace).setAgentRunSpecJson(spec).build());
    assertTrue(
        proposed.getApproval().getPayloadJson().endsWith(",\"spec\":" + spec + "}"),
        proposed.getApproval().getPayloadJson());
    assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
  }

  // Listing.

  @Test
  void aListIsPagedNewestFirstAndByStatus() {
    List<String> runs = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      CreateRunResponse proposed = scenario.propose(workspace);
      if (i % 2 == 0) {
        scenario.approve(proposed.getApproval());
      }
      runs.add(0, proposed.getRun().getRunId());
    }
    scenario.propose(scenario.workspace());
    assertEquals(runs, list(RunStatus.RUN_STATUS_UNSPECIFIED));
    assertEquals(
        List.of(runs.get(0), runs.get(2), runs.get(4), runs.get(6)),
        list(RunStatus.RUN_STATUS_APPROVED));
    assertEquals(List.of(), list(RunStatus.RUN_STATUS_FAILED));
  }

  private List<String> list(RunStatus status) {
    List<String> found = new ArrayList<>();
    String token = "";
    do {
      var page =
          server
              .as(Role.READER)
              .runs()
              .listRuns(
                  ListRunsRequest.newBuilder()
                      .setWorkspaceId(workspace.getWorkspaceId())
                      .setStatus(status)
                      .setPageSize(2)
                      .setPageToken(token)
                      .build());
      assertTrue(page.getRunsCount() <= 2);
      page.getRunsList().forEach(run -> found.add(run.getRunId()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return found;
  }

  @Test
  void aQuestionIsLeftOpenByNoEnd() {
    Scenario.Held held = scenario.running(repo);
    Interrupt open = scenario.raise(held, Scenario.toolCall("t", "Delete?")).get(0);
    scenario.complete(held);
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_QUESTION_CLOSED, () -> scenario.approve(open));
    assertEquals(Map.of("id", open.getInterruptId(), "closed_by", "run_ended"), refusal.metadata());
  }
}
