package dev.pmbot.workspace;

import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.ProtoTime;

/** Workspaces as messages. */
final class WorkspaceProtos {
  private WorkspaceProtos() {}

  static Workspace toProto(WorkspaceRow row) {
    return Workspace.newBuilder()
        .setWorkspaceId(row.workspaceId())
        .setName(row.name())
        .setSettingsJson(row.settingsJson())
        .setCreatedAt(ProtoTime.toProto(row.createdAt()))
        .setVersion(row.version())
        .build();
  }
}
