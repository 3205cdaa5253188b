package dev.pmbot.run;

import dev.pmbot.v1.BudgetUse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.Run;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import dev.pmbot.workspace.BudgetLimit;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/** Runs as messages. */
final class RunProtos {
  private static final String STATUS = "RUN_STATUS_";

  private RunProtos() {}

  static dev.pmbot.v1.RunStatus toProto(RunStatus status) {
    return ProtoEnums.toProto(dev.pmbot.v1.RunStatus.class, STATUS, status);
  }

  static RunQuery fromProto(ListRunsRequest request) {
    Set<RunStatus> statuses = EnumSet.noneOf(RunStatus.class);
    Stream.concat(Stream.of(request.getStatus()), request.getStatusesList().stream())
        .map(status -> ProtoEnums.fromProto(RunStatus.class, STATUS, status))
        .filter(Objects::nonNull)
        .forEach(statuses::add);
    return new RunQuery(
        request.getWorkspaceId(),
        ProtoText.fromProto(request.getRepoId()),
        statuses,
        ProtoText.fromProto(request.getGraphId()),
        ProtoText.fromProto(request.getCreatedBy()),
        ProtoText.fromProto(request.getThreadId()),
        Created.of(request));
  }

  static Run toProto(RunRow row) {
    Run.Builder run =
        Run.newBuilder()
            .setRunId(row.runId())
            .setWorkspaceId(row.workspaceId())
            .setRepoId(ProtoText.toProto(row.repoId()))
            .setGoal(row.goal())
            .setStatus(toProto(row.status()))
            .setGraphId(row.graphId())
            .setThreadId(ProtoText.toProto(row.threadId()))
            .setAgentRunSpecJson(row.agentRunSpecJson())
            .setCreatedAt(ProtoTime.toProto(row.createdAt()))
            .setUpdatedAt(ProtoTime.toProto(row.updatedAt()))
            .setCreatedBy(row.createdBy())
            .setAttempt(row.attempt())
            .setMaxAttempts(row.maxAttempts())
            .setLeaseOwner(ProtoText.toProto(row.leaseOwner()))
            .setStatusReason(ProtoText.toProto(row.statusReason()))
            .setVersion(row.version())
            .setBudgetJson(ProtoText.toProto(row.budgetJson()))
            .setTokensUsed(row.tokensUsed())
            .setToolCallsUsed(row.toolCallsUsed())
            .setCostMicrosUsed(row.costMicrosUsed())
            .setWallMicrosUsed(row.wallMicrosUsed())
            .setOverBudget(Spending.of(row).isOver());
    if (row.nextAttemptAt() != null) {
      run.setNextAttemptAt(ProtoTime.toProto(row.nextAttemptAt()));
    }
    if (row.leaseExpiresAt() != null) {
      run.setLeaseExpiresAt(ProtoTime.toProto(row.leaseExpiresAt()));
    }
    if (row.cancelRequestedAt() != null) {
      run.setCancelRequestedAt(ProtoTime.toProto(row.cancelRequestedAt()));
    }
    return run.build();
  }

  static BudgetUse budgetUse(RunRow row) {
    Spending spending = Spending.of(row);
    BudgetUse.Builder use =
        BudgetUse.newBuilder()
            .setTokensUsed(spending.tokensUsed())
            .setToolCallsUsed(spending.toolCallsUsed())
            .setCostMicrosUsed(spending.costMicrosUsed())
            .setWallMicrosUsed(spending.wallMicros())
            .setExhausted(spending.isExhausted())
            .setOverBudget(spending.isOver());
    for (BudgetLimit limit : BudgetLimit.values()) {
      Long left = spending.left(limit);
      if (left != null) {
        switch (limit) {
          case TOTAL_TOKENS -> use.setTokensLeft(left);
          case TOOL_CALLS -> use.setToolCallsLeft(left);
          case COST_MICROS -> use.setCostMicrosLeft(left);
          case WALL_SECONDS -> use.setWallMicrosLeft(left);
        }
      }
    }
    return use.build();
  }

  static ClaimedRun toProto(Claims.Claimed claimed) {
    return ClaimedRun.newBuilder()
        .setRun(toProto(claimed.run()))
        .setLeaseToken(claimed.token())
        .setLeaseDuration(ProtoTime.seconds(claimed.leaseSeconds()))
        .build();
  }
}
