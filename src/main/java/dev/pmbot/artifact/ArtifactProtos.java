package dev.pmbot.artifact;

import dev.pmbot.files.Hashed;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.RegisterArtifactRequest;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.VerifyArtifactResponse;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import java.util.List;

/** Artifacts as messages. */
final class ArtifactProtos {
  private static final String KIND = "ARTIFACT_KIND_";
  private static final String PLACE = "ARTIFACT_PLACE_";
  private static final String VERDICT = "ARTIFACT_VERDICT_";
  private static final int LONGEST_TITLE = 200;

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
        ProtoText.fromProto(header.getHash()),
        header.hasSizeBytes() ? header.getSizeBytes() : null,
        orElse(header.getMetadataJson(), "{}"));
  }

  static NewArtifact fromProto(RegisterArtifactRequest request) {
    String uri = request.getUri();
    return new NewArtifact(
        request.getRunId(),
        request.getLeaseToken(),
        ProtoEnums.required(ArtifactKind.class, KIND, request.getKind()),
        uri,
        orElse(request.getContentType(), "application/octet-stream"),
        orElse(request.getTitle(), lastPart(uri)),
        ProtoText.fromProto(request.getHash()),
        request.hasSizeBytes() ? request.getSizeBytes() : null,
        orElse(request.getMetadataJson(), "{}"));
  }

  private static String lastPart(String uri) {
    int end = uri.length();
    while (end > 0 && uri.charAt(end - 1) == '/') {
      end--;
    }
    String part = uri.substring(uri.lastIndexOf('/', end - 1) + 1, end);
    return part.length() <= LONGEST_TITLE ? part : part.substring(0, LONGEST_TITLE - 1) + '…';
  }

  static VerifyArtifactResponse toProto(ArtifactRow row, ArtifactFiles.Verified verified) {
    VerifyArtifactResponse.Builder response =
        VerifyArtifactResponse.newBuilder()
            .setArtifact(toProto(row))
            .setVerdict(
                ProtoEnums.toProto(
                    dev.pmbot.v1.ArtifactVerdict.class, VERDICT, verified.verdict()));
    Hashed found = verified.found();
    if (found != null) {
      response.setFoundHash(found.sha256()).setFoundSizeBytes(found.sizeBytes());
    }
    return response.build();
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
        .setPlace(ProtoEnums.toProto(dev.pmbot.v1.ArtifactPlace.class, PLACE, row.place()))
        .build();
  }

  private static String orElse(String text, String other) {
    return text.isEmpty() ? other : text;
  }
}
