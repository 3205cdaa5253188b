package dev.pmbot.repo;

import dev.pmbot.v1.Repo;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoTime;
import org.jspecify.annotations.Nullable;

/** Repos as messages. */
final class RepoProtos {
  private static final String STATUS = "REPO_STATUS_";

  private RepoProtos() {}

  static @Nullable RepoStatus fromProto(dev.pmbot.v1.RepoStatus status) {
    return ProtoEnums.fromProto(RepoStatus.class, STATUS, status);
  }

  static Repo toProto(RepoRow row) {
    Repo.Builder repo =
        Repo.newBuilder()
            .setRepoId(row.repoId())
            .setWorkspaceId(row.workspaceId())
            .setFullName(row.fullName())
            .setDefaultBranch(row.defaultBranch())
            .setStatus(ProtoEnums.toProto(dev.pmbot.v1.RepoStatus.class, STATUS, row.status()))
            .setAddedAt(ProtoTime.toProto(row.addedAt()))
            .setVersion(row.version());
    if (row.lastSyncAt() != null) {
      repo.setLastSyncAt(ProtoTime.toProto(row.lastSyncAt()));
    }
    return repo.build();
  }
}
