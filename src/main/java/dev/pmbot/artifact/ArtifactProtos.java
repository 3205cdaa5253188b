package dev.pmbot.artifact;

import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import java.util.List;

/** Artifacts as messages. */
final class ArtifactProtos {
  private static final String KIND = "ARTIFACT_KIND_";

  private ArtifactProtos() {}

  static ArtifactQuery fromProto(ListArtifactsRequest request) {
    return new ArtifactQuery(
        ProtoText.fromProto(request.getWorkspaceId()),
        ProtoText.fromProto(request.getRunId()),
        ProtoEnums.fromProto(ArtifactKind.class, KIND, request.getKind()),
        Created.of(request));
  }

  static Upload.Part fromProto(UploadArtifactRequest request) {
    return request.hasHeader()
        ? new Upload.Part(fromProto(request.getHeader()), List.of())
        : new Upload.Part(null, request.getChunk().asReadOnlyByteBufferList());
  }

  private static NewArtifact fromProto(ArtifactHeader header) {
    return new NewArtifact(
        header.getRunId(),
        header.getLeaseToken(),
        ProtoEnums.required(ArtifactKind.class, KIND, header.getKind()),
        header.getName(),
        orElse(header.getContentType(), "application/octet-stream"),
        orElse(header.getTitle(), header.getName()),
        header.getHash().isEmpty() ? null : header.getHash(),
        header.hasSizeBytes() ? header.getSizeBytes() : null,
        orElse(header.getMetadataJson(), "{}"));
  }

  static Artifact toProto(ArtifactRow row) {
    return Artifact.newBuilder()
        .setArtifactId(row.artifactId())
        .setWorkspaceId(row.workspaceId())
        .setRunId(row.runId())
        .setKind(ProtoEnums.toProto(dev.pmbot.v1.ArtifactKind.class, KIND, row.kind()))
        .setUri(row.uri())
        .setContentType(row.contentType())
        .setHash(row.hash())
        .setTitle(row.title())
        .setCreatedAt(ProtoTime.toProto(row.createdAt()))
        .setSizeBytes(row.sizeBytes())
        .setMetadataJson(row.metadataJson())
        .build();
  }

  private static String orElse(String text, String other) {
    return text.isEmpty() ? other : text;
  }
}
