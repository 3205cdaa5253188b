package dev.pmbot.changeset;

import org.jspecify.annotations.Nullable;

/** A proposed mutation of a repo. */
public record ChangesetRow(
    String changesetId,
    String workspaceId,
    String runId,
    String repoId,
    String bundleJson,
    ChangesetStatus status,
    long createdAt,
    long updatedAt,
    @Nullable String appliedCommitSha,
    long version) {}
