package dev.pmbot.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.Timestamps;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateRunResponse;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.ListRunsResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Lists of runs show exactly those that are asked for, however that is combined. */
final class RunListTest {
  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Repo repo = scenario.repo(workspace);

  @AfterEach
  void stop() {
    server.close();
  }

  private ListRunsRequest.Builder all() {
    return ListRunsRequest.newBuilder().setWorkspaceId(workspace.getWorkspaceId());
  }

  private ListRunsResponse page(ListRunsRequest request) {
    return server.as(Role.READER).runs().listRuns(request);
  }

  private List<String> list(ListRunsRequest.Builder request) {
    List<String> found = new ArrayList<>();
    ListRunsRequest.Builder next = request.clone().setPageSize(3);
    do {
      ListRunsResponse page = page(next.build());
      assertTrue(page.getRunsCount() <= 3);
      page.getRunsList().forEach(run -> found.add(run.getRunId()));
      next.setPageToken(page.getNextPageToken());
    } while (!next.getPageToken().isEmpty());
    return found;
  }

  private void bringTo(CreateRunResponse proposed, RunStatus status, String thread) {
    if (status == RunStatus.RUN_STATUS_PROPOSED) {
      return;
    }
    if (status == RunStatus.RUN_STATUS_REJECTED) {
      scenario.reject(proposed.getApproval());
      return;
    }
    Run approved = scenario.approved(proposed);
    if (status == RunStatus.RUN_STATUS_CANCELLED) {
      scenario.cancel(approved);
    }
    if (status == RunStatus.RUN_STATUS_COMPLETED || status == RunStatus.RUN_STATUS_FAILED) {
      ClaimedRun claimed =
          server
              .as(Role.WORKER)
              .runs()
              .claimRuns(Worker.order(approved.getGraphId()).setMaxRuns(100).build())
              .getClaimedRunsList()
              .stream()
              .filter(one -> one.getRun().getRunId().equals(approved.getRunId()))
              .findFirst()
              .orElseThrow();
      Scenario.Held held = scenario.start(claimed, thread);
      if (status == RunStatus.RUN_STATUS_COMPLETED) {
        scenario.complete(held);
      } else {
        new Worker(server.as(Role.WORKER)).fail(held, false);
      }
    }
  }

  @Test
  void conditionsMayBeCombinedFreely() {
    Workspace elsewhere = scenario.workspace();
    Repo other = scenario.repo(workspace);
    List<RunStatus> statuses =
        List.of(
            RunStatus.RUN_STATUS_COMPLETED,
            RunStatus.RUN_STATUS_PROPOSED,
            RunStatus.RUN_STATUS_FAILED,
            RunStatus.RUN_STATUS_CANCELLED,
            RunStatus.RUN_STATUS_REJECTED);
    List<Run> made = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      boolean away = i % 10 == 9;
      CreateRunRequest.Builder request =
          scenario
              .newRun(away ? elsewhere : workspace)
              .setGraphId(i % 2 == 0 ? "even" : "odd")
              .setThreadId(i % 3 == 0 ? "third" : "t" + i);
      if (!away && i % 4 != 3) {
        request.setRepoId((i % 4 == 0 ? other : repo).getRepoId());
      }
      CreateRunResponse proposed =
          (i % 5 < 2 ? server.as(Role.OPERATOR) : server.asWorker("planner"))
              .runs()
              .createRun(request.build());
      bringTo(proposed, statuses.get(i % statuses.size()), request.getThreadId());
      made.add(0, scenario.read(proposed.getRun()));
      server.time().advance(Duration.ofMinutes(2));
    }
    List<Set<RunStatus>> asked =
        List.of(
            EnumSet.noneOf(RunStatus.class),
            EnumSet.of(RunStatus.RUN_STATUS_PROPOSED),
            EnumSet.of(RunStatus.RUN_STATUS_PROPOSED, RunStatus.RUN_STATUS_BLOCKED),
            EnumSet.of(RunStatus.RUN_STATUS_COMPLETED),
            EnumSet.of(RunStatus.RUN_STATUS_FAILED, RunStatus.RUN_STATUS_PROPOSED),
            EnumSet.allOf(RunStatus.class));
    List<Timestamp> times = List.of(made.get(25).getCreatedAt(), made.get(8).getCreatedAt());
    int queries = 0;
    for (String repoId : List.of("", repo.getRepoId())) {
      for (String graphId : List.of("", "odd")) {
        for (String createdBy : List.of("", "local_user", "worker:planner")) {
          for (String threadId : List.of("", "third")) {
            for (Set<RunStatus> in : asked) {
              for (boolean bounded : List.of(false, true)) {
                ListRunsRequest.Builder request =
                    all()
                        .setRepoId(repoId)
                        .setGraphId(graphId)
                        .setCreatedBy(createdBy)
                        .setThreadId(threadId);
                for (RunStatus status : in) {
                  if (status != RunStatus.RUN_STATUS_UNSPECIFIED
                      && status != RunStatus.UNRECOGNIZED) {
                    request.addStatuses(status);
                  }
                }
                if (bounded) {
                  request.setCreatedAfter(times.get(0)).setCreatedBefore(times.get(1));
                }
                assertEquals(
                    made.stream().filter(run -> takes(request, run)).map(Run::getRunId).toList(),
                    list(request),
                    request::toString);
                queries++;
              }
            }
          }
        }
      }
    }
    assertEquals(2 * 2 * 3 * 2 * 6 * 2, queries);
  }

  private static boolean takes(ListRunsRequest.Builder request, Run run) {
    return request.getWorkspaceId().equals(run.getWorkspaceId())
        && (request.getRepoId().isEmpty() || request.getRepoId().equals(run.getRepoId()))
        && (request.getGraphId().isEmpty() || request.getGraphId().equals(run.getGraphId()))
        && (request.getCreatedBy().isEmpty() || request.getCreatedBy().equals(run.getCreatedBy()))
        && (request.getThreadId().isEmpty() || request.getThreadId().equals(run.getThreadId()))
        && (request.getStatusesCount() == 0 || request.getStatusesList().contains(run.getStatus()))
        && (!request.hasCreatedAfter()
            || Timestamps.compare(run.getCreatedAt(), request.getCreatedAfter()) >= 0)
        && (!request.hasCreatedBefore()
            || Timestamps.compare(run.getCreatedAt(), request.getCreatedBefore()) < 0);
  }

  @Test
  void oneStatusAndSeveralAreTakenTogether() {
    String proposed = scenario.propose(workspace).getRun().getRunId();
    String approved = scenario.approved(workspace).getRunId();
    scenario.cancel(scenario.approved(workspace));
    assertEquals(
        List.of(approved, proposed),
        list(
            all()
                .setStatus(RunStatus.RUN_STATUS_PROPOSED)
                .addStatuses(RunStatus.RUN_STATUS_APPROVED)));
    assertEquals(
        List.of(proposed),
        list(
            all()
                .setStatus(RunStatus.RUN_STATUS_PROPOSED)
                .addStatuses(RunStatus.RUN_STATUS_PROPOSED)));
  }

  @Test
  void aTimeIsTakenToTheMicrosecond() {
    Run run = scenario.propose(workspace).getRun();
    Timestamp at = run.getCreatedAt();
    Timestamp behind = Timestamps.add(at, Durations.fromNanos(1));
    assertEquals(List.of(run.getRunId()), list(all().setCreatedAfter(at)));
    assertEquals(List.of(), list(all().setCreatedAfter(behind)));
    assertEquals(List.of(), list(all().setCreatedBefore(at)));
    assertEquals(List.of(run.getRunId()), list(all().setCreatedBefore(behind)));
  }

  @Test
  void aListThatFindsLittleComesInPagesThatMayBeEmptyAndMissesNothing() {
    String first = scenario.propose(workspace).getRun().getRunId();
    server.time().advance(Duration.ofSeconds(1));
    Run other = scenario.propose(workspace).getRun();
    server.restart(
        data -> {
          // 6,000 of another graph in between, by the worker whose runs are asked for.
          try (var connection = DriverManager.getConnection("jdbc:sqlite:" + server.database());
              var statement = connection.createStatement()) {
            statement.executeUpdate(
                "UPDATE runs SET created_by = 'worker:w' WHERE run_id IN ('"
                    + first
                    + "','"
                    + other.getRunId()
                    + "')");
            statement.executeUpdate(
                "UPDATE runs SET graph_id = 'wanted' WHERE run_id = '" + first + "'");
            statement.executeUpdate(
                "CREATE TEMP TABLE more AS SELECT * FROM runs WHERE run_id = '"
                    + other.getRunId()
                    + "'");
            statement.executeUpdate(
                "UPDATE more SET graph_id = 'wanted', created_by = 'local_user'");
            statement.executeUpdate(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)"
                    + " INSERT INTO runs SELECT substr(run_id, 1, 28) || printf('%08x', i),"
                    + columnsBehindTheFirst(connection)
                    + " FROM more, n");
          }
        });
    ListRunsRequest.Builder request = all().setGraphId("wanted").setCreatedBy("worker:w");
    ListRunsResponse empty = page(request.build());
    assertEquals(0, empty.getRunsCount());
    assertTrue(!empty.getNextPageToken().isEmpty());
    ListRunsResponse end = page(request.setPageToken(empty.getNextPageToken()).build());
    assertEquals(List.of(first), end.getRunsList().stream().map(Run::getRunId).toList());
    assertEquals("", end.getNextPageToken());
  }

  private static String columnsBehindTheFirst(java.sql.Connection connection)
      throws java.sql.SQLException {
    List<String> names = new ArrayList<>();
    try (var statement = connection.createStatement();
        var rows = statement.executeQuery("SELECT name FROM pragma_table_info('runs')")) {
      while (rows.next()) {
        names.add(rows.getString(1));
      }
    }
    return String.join(", ", names.subList(1, names.size()));
  }

  @Test
  void whatDoesNotExistIsNotFoundAndWhatIsWrongIsToldAtOnce() {
    Repo foreign = scenario.repo(scenario.workspace());
    Failures.Refusal refusal =
        Failures.of(
            Reason.REASON_NOT_FOUND, () -> page(all().setRepoId(foreign.getRepoId()).build()));
    assertEquals(foreign.getRepoId(), refusal.metadata().get("id"));
    Failures.Refusal wrong =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                page(
                    all()
                        .setRepoId("repo_1")
                        .addStatuses(RunStatus.RUN_STATUS_UNSPECIFIED)
                        .addStatusesValue(77)
                        .setGraphId("g".repeat(201))
                        .setCreatedBefore(Timestamp.newBuilder().setNanos(-1))
                        .build()));
    assertEquals(
        Set.of("repo_id", "statuses[0]", "statuses[1]", "graph_id", "created_before"),
        wrong.violations().keySet());
    Failures.Refusal twice =
        Failures.of(
            Reason.REASON_INVALID_FIELDS,
            () ->
                page(
                    all()
                        .addStatuses(RunStatus.RUN_STATUS_FAILED)
                        .addStatuses(RunStatus.RUN_STATUS_FAILED)
                        .build()));
    assertEquals(Set.of("statuses"), twice.violations().keySet());
  }

  @Test
  void aTokenBelongsToItsQuery() {
    for (int i = 0; i < 3; i++) {
      scenario.propose(workspace);
    }
    String token = page(all().setPageSize(1).build()).getNextPageToken();
    Failures.of(
        Reason.REASON_INVALID_PAGE_TOKEN,
        () -> page(all().setPageSize(1).setPageToken(token).setGraphId("g").build()));
  }
}
