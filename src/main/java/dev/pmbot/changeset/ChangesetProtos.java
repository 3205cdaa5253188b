package dev.pmbot.changeset;

import dev.pmbot.v1.Changeset;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoTime;
import org.jspecify.annotations.Nullable;

/** Changesets as messages. */
final class ChangesetProtos {
  private static final String STATUS = "CHANGESET_STATUS_";

  private ChangesetProtos() {}

  static @Nullable ChangesetStatus fromProto(dev.pmbot.v1.ChangesetStatus status) {
    return ProtoEnums.fromProto(ChangesetStatus.class, STATUS, status);
  }

  static Changeset toProto(ChangesetRow row) {
    return Changeset.newBuilder()
        .setChangesetId(row.changesetId())
        .setRunId(row.runId())
        .setRepoId(row.repoId())
        .setBundleJson(row.bundleJson())
        .setStatus(ProtoEnums.toProto(dev.pmbot.v1.ChangesetStatus.class, STATUS, row.status()))
        .setCreatedAt(ProtoTime.toProto(row.createdAt()))
        .setUpdatedAt(ProtoTime.toProto(row.updatedAt()))
        .setAppliedCommitSha(row.appliedCommitSha() == null ? "" : row.appliedCommitSha())
        .setVersion(row.version())
        .build();
  }
}
