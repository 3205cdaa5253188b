package dev.pmbot.changeset;

import dev.pmbot.wire.Created;
import org.jspecify.annotations.Nullable;

/** Which changesets a list shows; what is absent asks for nothing. */
public record ChangesetQuery(
    @Nullable String workspaceId,
    @Nullable String repoId,
    @Nullable String runId,
    @Nullable ChangesetStatus status,
    Created created) {}
