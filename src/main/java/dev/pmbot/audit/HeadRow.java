package dev.pmbot.audit;

/** The tip of a workspace's chain. */
@SuppressWarnings("ArrayRecordComponent") // Rows are handed on, never compared.
public record HeadRow(String workspaceId, long seq, byte[] hash) {}
