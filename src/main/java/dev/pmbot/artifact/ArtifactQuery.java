package dev.pmbot.artifact;

import dev.pmbot.wire.Created;
import org.jspecify.annotations.Nullable;

/** Which artifacts a list shows; what is absent asks for nothing. */
public record ArtifactQuery(
    @Nullable String workspaceId,
    @Nullable String runId,
    @Nullable ArtifactKind kind,
    Created created) {}
