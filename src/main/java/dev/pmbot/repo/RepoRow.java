package dev.pmbot.repo;

import org.jspecify.annotations.Nullable;

/** A repo under management. */
public record RepoRow(
    String repoId,
    String workspaceId,
    String fullName,
    String defaultBranch,
    RepoStatus status,
    long addedAt,
    @Nullable Long lastSyncAt,
    long version) {}
