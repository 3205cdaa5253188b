package dev.pmbot.artifact;

/** What a run produced. */
public record ArtifactRow(
    String artifactId,
    String workspaceId,
    String runId,
    ArtifactKind kind,
    String uri,
    String contentType,
    String hash,
    String title,
    long createdAt,
    long sizeBytes,
    String metadataJson) {

  /** Where the content lies. */
  public ArtifactPlace place() {
    return ArtifactUri.place(uri);
  }
}
