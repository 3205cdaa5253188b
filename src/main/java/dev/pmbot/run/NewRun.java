package dev.pmbot.run;

import org.jspecify.annotations.Nullable;

/** A run as it is proposed. */
public record NewRun(
    String workspaceId,
    @Nullable String repoId,
    String goal,
    String graphId,
    @Nullable String threadId,
    String agentRunSpecJson) {}
