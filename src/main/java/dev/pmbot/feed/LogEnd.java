package dev.pmbot.feed;

/** Where a workspace's log ends: always the end of a transaction. */
@SuppressWarnings("ArrayRecordComponent") // Handed on, never compared.
public record LogEnd(String workspaceId, long seq, byte[] hash) {}
