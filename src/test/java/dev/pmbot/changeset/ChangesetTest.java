package dev.pmbot.changeset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.Timestamps;
import dev.pmbot.artifact.Uploads;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ApprovalKind;
import dev.pmbot.v1.ApprovalStatus;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.Changeset;
import dev.pmbot.v1.ChangesetFilter;
import dev.pmbot.v1.ChangesetStatus;
import dev.pmbot.v1.GetApprovalRequest;
import dev.pmbot.v1.GetChangesetRequest;
import dev.pmbot.v1.ListChangesetsRequest;
import dev.pmbot.v1.ListChangesetsResponse;
import dev.pmbot.v1.MarkChangesetAppliedRequest;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.Risk;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What may be proposed, and that it is applied only after a yes. */
final class ChangesetTest {
  private static final String COMMIT = "a".repeat(40);
  private static final String OTHER_COMMIT = "b".repeat(64);

  private final TestServer server = TestServer.start();
  private final Scenario scenario = new Scenario(server);
  private final Workspace workspace = scenario.workspace();
  private final Repo repo = scenario.repo(workspace);
  private final Scenario.Held held = scenario.running(repo);

  @AfterEach
  void stop() {
    server.close();
  }

  private Artifact patch(Scenario.Held of) {
    return scenario.upload(of, "a.patch", new byte[] {1, 2, 3});
  }

  private ProposeChangesetResponse propose() {
    return Proposals.propose(server, scenario, held);
  }

  private Changeset applied(Changeset changeset, String commit) {
    return server
        .as(Role.WORKER)
        .changesets()
        .markChangesetApplied(
            MarkChangesetAppliedRequest.newBuilder()
                .setChangesetId(changeset.getChangesetId())
                .setAppliedCommitSha(commit)
                .build())
        .getChangeset();
  }

  private Changeset read(Changeset changeset) {
    return server
        .as(Role.READER)
        .changesets()
        .getChangeset(
            GetChangesetRequest.newBuilder().setChangesetId(changeset.getChangesetId()).build())
        .getChangeset();
  }

  private Failures.Refusal refused(String bundle) {
    List<String> before = scenario.eventTypes(workspace.getWorkspaceId());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> Proposals.propose(server, held, bundle));
    assertEquals(before, scenario.eventTypes(workspace.getWorkspaceId()));
    return refusal;
  }

  @Test
  void aProposalIsKeptAsItWasMadeAndItsApprovalRepeatsIt() {
    String bundle = Proposals.bundle(patch(held));
    ProposeChangesetResponse proposed = Proposals.propose(server, held, bundle);
    Changeset changeset = proposed.getChangeset();
    assertEquals(bundle, changeset.getBundleJson());
    assertEquals(ChangesetStatus.CHANGESET_STATUS_PROPOSED, changeset.getStatus());
    assertEquals(repo.getRepoId(), changeset.getRepoId());
    assertEquals(held.runId(), changeset.getRunId());
    assertEquals(1, changeset.getVersion());
    assertEquals(changeset, read(changeset));
    assertEquals(ApprovalKind.APPROVAL_KIND_CHANGESET_APPLY, proposed.getApproval().getKind());
    assertEquals(changeset.getChangesetId(), proposed.getApproval().getSubjectId());
    assertEquals(
        "{\"bundle\":" + bundle + ",\"changeset_id\":\"" + changeset.getChangesetId() + "\"}",
        proposed.getApproval().getPayloadJson());
    assertEquals(Risk.RISK_MEDIUM, proposed.getApproval().getRisk());
  }

  @ParameterizedTest
  @CsvSource({"RISK_LOW, RISK_MEDIUM", "RISK_MEDIUM, RISK_MEDIUM", "RISK_HIGH, RISK_HIGH"})
  void itsRiskMayBeRaisedNotLowered(Risk asked, Risk given) {
    ProposeChangesetResponse proposed =
        server
            .as(Role.WORKER)
            .changesets()
            .proposeChangeset(
                ProposeChangesetRequest.newBuilder()
                    .setRunId(held.runId())
                    .setLeaseToken(held.leaseToken())
                    .setBundleJson(Proposals.bundle(patch(held)))
                    .setRisk(asked)
                    .build());
    assertEquals(given, proposed.getApproval().getRisk());
  }

  @Test
  void everythingThatIsWrongWithABundleIsToldAtOnce() {
    Failures.Refusal refusal =
        refused(
            """
            {"base_commit":"abc","title":" ","description":7,
             "files":[{"path":"","change":"added"},{"path":"a","change":"moved"},{},3],
             "patch_artifact_id":"run_1","patch_sha256":"xyz"}
            """);
    String files = "bundle_json.files";
    assertEquals(
        new TreeSet<>(
            Set.of(
                "bundle_json.base_commit",
                "bundle_json.title",
                "bundle_json.description",
                files + "[0].path",
                files + "[1].change",
                files + "[2].path",
                files + "[2].change",
                files + "[3].path",
                files + "[3].change",
                "bundle_json.patch_artifact_id",
                "bundle_json.patch_sha256")),
        new TreeSet<>(refusal.violations().keySet()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "1", "null", "\"text\""})
  void aBundleIsAnObject(String bundle) {
    assertEquals(Set.of("bundle_json"), refused(bundle).violations().keySet());
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "{}", "7"})
  void aBundleHasFiles(String files) {
    String bundle =
        Proposals.bundle(patch(held))
            .replace("[{\"change\":\"modified\",\"path\":\"src/a.txt\"}]", files);
    assertEquals(Set.of("bundle_json.files"), refused(bundle).violations().keySet());
  }

  @Test
  void aPatchIsAnArtifactOfTheRunWithThatHash() {
    Artifact patch = patch(held);
    Artifact foreign = patch(scenario.running(repo));
    assertEquals(
        Set.of("bundle_json.patch_artifact_id"),
        refused(Proposals.bundle(foreign)).violations().keySet());
    assertEquals(
        Set.of("bundle_json.patch_artifact_id"),
        refused(Proposals.bundle("art_" + "0".repeat(32), patch.getHash())).violations().keySet());
    Failures.Refusal refusal =
        refused(Proposals.bundle(patch.getArtifactId(), Uploads.sha256(new byte[0])));
    assertEquals(Set.of("bundle_json.patch_sha256"), refusal.violations().keySet());
    assertTrue(refusal.message().contains(patch.getHash()), refusal.message());
  }

  @Test
  void aRunWithoutARepoProposesNothing() {
    Scenario.Held without = scenario.running(workspace);
    String bundle = Proposals.bundle(patch(without));
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> Proposals.propose(server, without, bundle));
    assertEquals(
        Map.of("id", without.runId(), "state", "without a repo", "allowed", "about a repo"),
        refusal.metadata());
  }

  @Test
  void aBundleMayBeNestedAsDeepAsAnyJson() {
    String deep = "[".repeat(63) + "]".repeat(63);
    String bundle = Proposals.bundle(patch(held)).replaceFirst("\\{", "{\"mine\":" + deep + ",");
    assertEquals(bundle, Proposals.propose(server, held, bundle).getChangeset().getBundleJson());
  }

  // The gate.

  @Test
  void aChangesetIsAppliedOnlyAfterTheYes() {
    ProposeChangesetResponse proposed = propose();
    Changeset changeset = proposed.getChangeset();
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> applied(changeset, COMMIT));
    assertEquals(
        Map.of("id", changeset.getChangesetId(), "state", "proposed", "allowed", "approved"),
        refusal.metadata());
    assertEquals(changeset, read(changeset));
    server.time().advance(Duration.ofSeconds(1));
    scenario.approve(proposed.getApproval());
    Changeset approved = read(changeset);
    assertEquals(ChangesetStatus.CHANGESET_STATUS_APPROVED, approved.getStatus());
    assertEquals(2, approved.getVersion());
    assertEquals(1, approved.getUpdatedAt().getSeconds() - changeset.getUpdatedAt().getSeconds());
    Changeset applied = applied(changeset, COMMIT);
    assertEquals(ChangesetStatus.CHANGESET_STATUS_APPLIED, applied.getStatus());
    assertEquals(COMMIT, applied.getAppliedCommitSha());
    assertEquals(3, applied.getVersion());
    assertEquals(applied, read(changeset));
  }

  @Test
  void aRejectedChangesetIsNeverApplied() {
    ProposeChangesetResponse proposed = propose();
    scenario.reject(proposed.getApproval());
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> applied(proposed.getChangeset(), COMMIT));
    assertEquals("rejected", refusal.metadata().get("state"));
    assertEquals(
        ChangesetStatus.CHANGESET_STATUS_REJECTED, read(proposed.getChangeset()).getStatus());
  }

  @Test
  void theYesForOneChangesetLetsNoOther() {
    ProposeChangesetResponse first = propose();
    ProposeChangesetResponse second = propose();
    scenario.approve(second.getApproval());
    Failures.of(Reason.REASON_WRONG_STATE, () -> applied(first.getChangeset(), COMMIT));
    applied(second.getChangeset(), COMMIT);
  }

  @Test
  void aChangesetOutlivesItsRun() {
    ProposeChangesetResponse proposed = propose();
    scenario.complete(held);
    assertEquals(
        ApprovalStatus.APPROVAL_STATUS_PENDING,
        server
            .as(Role.READER)
            .approvals()
            .getApproval(
                GetApprovalRequest.newBuilder()
                    .setApprovalId(proposed.getApproval().getApprovalId())
                    .build())
            .getApproval()
            .getStatus());
    Failures.of(Reason.REASON_WRONG_STATE, () -> applied(proposed.getChangeset(), COMMIT));
    scenario.approve(proposed.getApproval());
    assertEquals(
        ChangesetStatus.CHANGESET_STATUS_APPLIED,
        applied(proposed.getChangeset(), COMMIT).getStatus());
  }

  @Test
  void applyingAgainAsTheSameCommitIsTheSameAndAsAnotherIsRefused() {
    ProposeChangesetResponse proposed = propose();
    scenario.approve(proposed.getApproval());
    Changeset applied = applied(proposed.getChangeset(), COMMIT);
    server.time().advance(Duration.ofSeconds(1));
    assertEquals(applied, applied(applied, COMMIT));
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_WRONG_STATE, () -> applied(applied, OTHER_COMMIT));
    assertEquals("applied as " + COMMIT, refusal.metadata().get("state"));
    assertEquals(applied, read(applied));
  }

  // Listing.

  @Test
  void aListIsOfARepoARunAStatusOrAllOfThem() {
    Scenario.Held sameRepo = scenario.running(repo);
    Scenario.Held otherRepo = scenario.running(scenario.repo(workspace));
    ProposeChangesetResponse first = propose();
    ProposeChangesetResponse second = propose();
    ProposeChangesetResponse third = Proposals.propose(server, scenario, sameRepo);
    ProposeChangesetResponse fourth = Proposals.propose(server, scenario, otherRepo);
    scenario.approve(second.getApproval());
    scenario.approve(fourth.getApproval());
    ChangesetFilter byRepo = ChangesetFilter.newBuilder().setRepoId(repo.getRepoId()).build();
    ChangesetFilter byRun = ChangesetFilter.newBuilder().setRunId(held.runId()).build();
    ChangesetStatus approved = ChangesetStatus.CHANGESET_STATUS_APPROVED;
    assertEquals(ids(third, second, first), list(byRepo));
    assertEquals(ids(second, first), list(byRun));
    assertEquals(
        ids(fourth, second), list(ChangesetFilter.newBuilder().setStatus(approved).build()));
    assertEquals(ids(second), list(byRepo.toBuilder().setStatus(approved).build()));
    assertEquals(ids(second), list(byRun.toBuilder().setStatus(approved).build()));
    assertEquals(ids(), list(byRun.toBuilder().setRepoId(otherRepo.run().getRepoId()).build()));
  }

  @Test
  void filtersMayBeCombinedFreely() {
    Workspace otherWorkspace = scenario.workspace();
    Scenario.Held elsewhere = scenario.running(scenario.repo(otherWorkspace));
    Scenario.Held sameRepo = scenario.running(repo);
    List<ProposeChangesetResponse> all = new ArrayList<>();
    List<Timestamp> times = new ArrayList<>();
    for (int round = 0; round < 4; round++) {
      for (Scenario.Held by : List.of(held, sameRepo, elsewhere)) {
        ProposeChangesetResponse proposed = Proposals.propose(server, scenario, by);
        if (round % 2 == 1) {
          scenario.approve(proposed.getApproval());
        }
        all.add(0, proposed);
        times.add(proposed.getChangeset().getCreatedAt());
        server.time().stepWall(Duration.ofMinutes(7));
      }
    }
    List<Changeset> standing = all.stream().map(one -> read(one.getChangeset())).toList();
    List<Timestamp> bounds = List.of(times.get(0), times.get(5), times.get(11));
    int filters = 0;
    for (String workspaceId : List.of("", workspace.getWorkspaceId())) {
      for (String repoId : List.of("", repo.getRepoId())) {
        for (String runId : List.of("", held.runId())) {
          for (int status = 0; status <= 2; status++) {
            for (Timestamp after : bounds) {
              for (Timestamp before : bounds) {
                ChangesetFilter filter =
                    ChangesetFilter.newBuilder()
                        .setWorkspaceId(workspaceId)
                        .setRepoId(repoId)
                        .setRunId(runId)
                        .setStatusValue(status)
                        .setCreatedAfter(after)
                        .setCreatedBefore(before)
                        .build();
                if (workspaceId.isEmpty() && repoId.isEmpty() && runId.isEmpty() && status == 0) {
                  continue;
                }
                assertEquals(
                    standing.stream()
                        .filter(one -> takes(filter, one))
                        .map(Changeset::getChangesetId)
                        .toList(),
                    list(filter),
                    filter::toString);
                filters++;
              }
            }
          }
        }
      }
    }
    assertEquals(23 * 9, filters);
  }

  private static boolean takes(ChangesetFilter filter, Changeset one) {
    return (filter.getWorkspaceId().isEmpty()
            || filter.getWorkspaceId().equals(one.getWorkspaceId()))
        && (filter.getRepoId().isEmpty() || filter.getRepoId().equals(one.getRepoId()))
        && (filter.getRunId().isEmpty() || filter.getRunId().equals(one.getRunId()))
        && (filter.getStatusValue() == 0 || filter.getStatus() == one.getStatus())
        && Timestamps.compare(one.getCreatedAt(), filter.getCreatedAfter()) >= 0
        && Timestamps.compare(one.getCreatedAt(), filter.getCreatedBefore()) < 0;
  }

  @Test
  void aTimeIsTakenToTheMicrosecond() {
    ProposeChangesetResponse proposed = propose();
    Timestamp at = proposed.getChangeset().getCreatedAt();
    ChangesetFilter.Builder filter = ChangesetFilter.newBuilder().setRunId(held.runId());
    assertEquals(ids(proposed), list(filter.setCreatedAfter(at).build()));
    assertEquals(
        ids(), list(filter.setCreatedAfter(Timestamps.add(at, Durations.fromNanos(1))).build()));
    filter.clearCreatedAfter();
    assertEquals(ids(), list(filter.setCreatedBefore(at).build()));
    assertEquals(
        ids(proposed),
        list(filter.setCreatedBefore(Timestamps.add(at, Durations.fromNanos(1))).build()));
  }

  @Test
  void aTimeThatIsNoneIsToldWithWhateverElseIsWrong() {
    ChangesetFilter filter =
        ChangesetFilter.newBuilder()
            .setRunId("run_1")
            .setCreatedAfter(Timestamp.newBuilder().setSeconds(Long.MAX_VALUE))
            .setCreatedBefore(Timestamp.newBuilder().setNanos(-1))
            .build();
    Failures.Refusal refusal = Failures.of(Reason.REASON_INVALID_FIELDS, () -> list(filter));
    assertEquals(
        Set.of("filter.run_id", "filter.created_after", "filter.created_before"),
        refusal.violations().keySet());
  }

  @Test
  void whatIsOfAnotherWorkspaceIsNotFoundInThisOne() {
    String other = scenario.workspace().getWorkspaceId();
    for (ChangesetFilter named :
        List.of(
            ChangesetFilter.newBuilder().setRepoId(repo.getRepoId()).build(),
            ChangesetFilter.newBuilder().setRunId(held.runId()).build())) {
      Failures.of(
          Reason.REASON_NOT_FOUND, () -> list(named.toBuilder().setWorkspaceId(other).build()));
    }
  }

  @Test
  void aTokenGoesOnOnlyWithAllOfItsFilter() {
    propose();
    propose();
    ChangesetFilter filter = ChangesetFilter.newBuilder().setRunId(held.runId()).build();
    String token = page(filter, 1, "").getNextPageToken();
    Timestamp time = Timestamp.newBuilder().setSeconds(1).build();
    for (ChangesetFilter other :
        List.of(
            filter.toBuilder().setRepoId(repo.getRepoId()).build(),
            filter.toBuilder().setWorkspaceId(workspace.getWorkspaceId()).build(),
            filter.toBuilder().setStatusValue(1).build(),
            filter.toBuilder().setCreatedAfter(time).build(),
            filter.toBuilder().setCreatedBefore(time).build())) {
      Failures.of(Reason.REASON_INVALID_PAGE_TOKEN, () -> page(other, 1, token));
    }
    assertEquals(1, page(filter, 1, token).getChangesetsCount());
  }

  @Test
  void aPageEndsWhenItHasLookedAtEnoughAndTheNextGoesOn() {
    ProposeChangesetResponse oldest = propose();
    scenario.approve(oldest.getApproval());
    server.restart(
        data -> {
          try (Connection connection =
                  DriverManager.getConnection(
                      "jdbc:sqlite:" + data.resolve("control_plane/pmbot.sqlite3"));
              Statement statement = connection.createStatement()) {
            statement.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
                    + " INSERT INTO changeset_bundles SELECT 'cs_f' || printf('%031d', n.i), run_id,"
                    + " repo_id, '{}', 'proposed', created_at, updated_at, NULL, 1, workspace_id"
                    + " FROM n, changeset_bundles");
          }
        });
    ChangesetFilter filter =
        ChangesetFilter.newBuilder()
            .setRunId(held.runId())
            .setStatus(ChangesetStatus.CHANGESET_STATUS_APPROVED)
            .build();
    List<Integer> counts = new ArrayList<>();
    List<String> found = new ArrayList<>();
    String token = "";
    do {
      ListChangesetsResponse page = page(filter, 3, token);
      counts.add(page.getChangesetsCount());
      page.getChangesetsList().forEach(one -> found.add(one.getChangesetId()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    assertEquals(List.of(0, 0, 1), counts);
    assertEquals(ids(oldest), found);
  }

  private static List<String> ids(ProposeChangesetResponse... proposed) {
    return Arrays.stream(proposed).map(one -> one.getChangeset().getChangesetId()).toList();
  }

  private ListChangesetsResponse page(ChangesetFilter filter, int size, String token) {
    return server
        .as(Role.READER)
        .changesets()
        .listChangesets(
            ListChangesetsRequest.newBuilder()
                .setFilter(filter)
                .setPageSize(size)
                .setPageToken(token)
                .build());
  }

  private List<String> list(ChangesetFilter filter) {
    List<String> found = new ArrayList<>();
    String token = "";
    do {
      ListChangesetsResponse page = page(filter, 1, token);
      page.getChangesetsList().forEach(one -> found.add(one.getChangesetId()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    return found;
  }

  @ParameterizedTest
  @ValueSource(strings = {"repo", "run", "ws"})
  void whatDoesNotExistHasNoList(String kind) {
    String nothing = kind + "_" + "0".repeat(32);
    ChangesetFilter.Builder filter = ChangesetFilter.newBuilder();
    switch (kind) {
      case "repo" -> filter.setRepoId(nothing);
      case "run" -> filter.setRunId(nothing);
      default -> filter.setWorkspaceId(nothing);
    }
    Failures.Refusal refusal = Failures.of(Reason.REASON_NOT_FOUND, () -> list(filter.build()));
    assertEquals(Map.of("id", nothing), refusal.metadata());
  }
}
