package dev.pmbot.run;

import org.jspecify.annotations.Nullable;

/** A run. */
public record RunRow(
    String runId,
    String workspaceId,
    @Nullable String repoId,
    String goal,
    RunStatus status,
    String graphId,
    @Nullable String threadId,
    String agentRunSpecJson,
    long createdAt,
    long updatedAt,
    String createdBy,
    @Nullable Long startedAt,
    int attempt,
    int maxAttempts,
    @Nullable Long nextAttemptAt,
    @Nullable String leaseOwner,
    @Nullable String leaseToken,
    @Nullable Long leaseExpiresAt,
    @Nullable Long cancelRequestedAt,
    @Nullable String statusReason,
    @Nullable String budgetJson,
    long tokensUsed,
    long toolCallsUsed,
    long costMicrosUsed,
    long wallMicrosUsed,
    @Nullable Long overBudgetAtWallMicros,
    long version) {}
