package dev.pmbot.workspace;

/** A workspace. */
public record WorkspaceRow(
    String workspaceId, String name, long createdAt, String settingsJson, long version) {}
