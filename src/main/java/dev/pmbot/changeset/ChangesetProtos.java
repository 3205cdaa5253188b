package dev.pmbot.changeset;

import dev.pmbot.v1.Changeset;
import dev.pmbot.v1.ChangesetFilter;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;

/** Changesets as messages. */
final class ChangesetProtos {
  private static final String STATUS = "CHANGESET_STATUS_";

  private ChangesetProtos() {}

  static ChangesetQuery fromProto(ChangesetFilter filter) {
    return new ChangesetQuery(
        ProtoText.fromProto(filter.getWorkspaceId()),
        ProtoText.fromProto(filter.getRepoId()),
        ProtoText.fromProto(filter.getRunId()),
        ProtoEnums.fromProto(ChangesetStatus.class, STATUS, filter.getStatus()),
        Created.of(filter));
  }

  static Changeset toProto(ChangesetRow row) {
    return Changeset.newBuilder()
        .setChangesetId(row.changesetId())
        .setWorkspaceId(row.workspaceId())
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
