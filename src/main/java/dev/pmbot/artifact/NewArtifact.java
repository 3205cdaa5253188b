package dev.pmbot.artifact;

import org.jspecify.annotations.Nullable;

/**
 * An artifact as it is announced.
 *
 * @param name the file's name for what is uploaded, the URI of what lies somewhere already
 */
record NewArtifact(
    String runId,
    String leaseToken,
    ArtifactKind kind,
    String name,
    String contentType,
    String title,
    @Nullable String hash,
    @Nullable Long sizeBytes,
    String metadataJson) {}
