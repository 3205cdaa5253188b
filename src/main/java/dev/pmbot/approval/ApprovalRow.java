package dev.pmbot.approval;

import org.jspecify.annotations.Nullable;

/** A human gate. */
public record ApprovalRow(
    String approvalId,
    String workspaceId,
    String runId,
    ApprovalKind kind,
    ApprovalStatus status,
    @Nullable String subjectId,
    String payloadJson,
    String payloadHash,
    Risk risk,
    long createdAt,
    @Nullable Long resolvedAt,
    @Nullable String actor,
    @Nullable String notes,
    @Nullable ClosedBy closedBy) {}
