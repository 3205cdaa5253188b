package dev.pmbot.run;

import dev.pmbot.kit.Client;
import dev.pmbot.kit.Scenario;
import dev.pmbot.v1.BudgetUse;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.CompleteRunRequest;
import dev.pmbot.v1.FailRunRequest;
import dev.pmbot.v1.PauseRunRequest;
import dev.pmbot.v1.RecordUsageRequest;
import dev.pmbot.v1.ReleaseRunRequest;
import dev.pmbot.v1.RenewLeaseRequest;
import dev.pmbot.v1.RenewLeaseResponse;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.StartRunRequest;
import java.util.List;

/** What a worker says about runs, in short words. */
record Worker(Client client) {
  static ClaimRunsRequest.Builder order(String... graphIds) {
    return ClaimRunsRequest.newBuilder().setWorkerId("w").addAllGraphIds(List.of(graphIds));
  }

  List<ClaimedRun> claim(ClaimRunsRequest.Builder order) {
    return client.runs().claimRuns(order.build()).getClaimedRunsList();
  }

  List<ClaimedRun> claim(String graphId) {
    return claim(order(graphId));
  }

  Run start(ClaimedRun claimed, String threadId) {
    return start(claimed.getRun().getRunId(), claimed.getLeaseToken(), threadId);
  }

  Run start(String runId, String leaseToken, String threadId) {
    return client
        .runs()
        .startRun(
            StartRunRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(leaseToken)
                .setThreadId(threadId)
                .build())
        .getRun();
  }

  RenewLeaseResponse renew(String runId, String leaseToken) {
    return client
        .runs()
        .renewLease(
            RenewLeaseRequest.newBuilder().setRunId(runId).setLeaseToken(leaseToken).build());
  }

  RenewLeaseResponse renew(Scenario.Held held) {
    return renew(held.runId(), held.leaseToken());
  }

  static RecordUsageRequest.Builder usage(Scenario.Held held) {
    return RecordUsageRequest.newBuilder().setRunId(held.runId()).setLeaseToken(held.leaseToken());
  }

  BudgetUse use(RecordUsageRequest.Builder usage) {
    return client.runs().recordUsage(usage.build()).getBudget();
  }

  BudgetUse useTokens(Scenario.Held held, long tokens) {
    return use(usage(held).setTokens(tokens));
  }

  Run pause(String runId, String leaseToken, boolean release) {
    return client
        .runs()
        .pauseRun(
            PauseRunRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(leaseToken)
                .setReleaseLease(release)
                .build())
        .getRun();
  }

  Run release(String runId, String leaseToken, String reason) {
    return client
        .runs()
        .releaseRun(
            ReleaseRunRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(leaseToken)
                .setReason(reason)
                .build())
        .getRun();
  }

  Run complete(String runId, String leaseToken, String summary) {
    return client
        .runs()
        .completeRun(
            CompleteRunRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(leaseToken)
                .setSummary(summary)
                .build())
        .getRun();
  }

  Run fail(String runId, String leaseToken, String reason, boolean retryable) {
    return client
        .runs()
        .failRun(
            FailRunRequest.newBuilder()
                .setRunId(runId)
                .setLeaseToken(leaseToken)
                .setReason(reason)
                .setRetryable(retryable)
                .build())
        .getRun();
  }

  Run fail(Scenario.Held held, boolean retryable) {
    return fail(held.runId(), held.leaseToken(), "the network is down", retryable);
  }
}
