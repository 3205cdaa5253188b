package dev.pmbot.interrupt;

import dev.pmbot.approval.ClosedBy;
import dev.pmbot.approval.Risk;
import org.jspecify.annotations.Nullable;

/** A question of an agent. */
public record InterruptRow(
    String interruptId,
    String workspaceId,
    String runId,
    String threadId,
    @Nullable String nodeId,
    InterruptKind kind,
    Risk risk,
    String payloadJson,
    String payloadHash,
    InterruptStatus status,
    @Nullable String decisionJson,
    long createdAt,
    @Nullable Long resolvedAt,
    @Nullable String actor,
    @Nullable String approvalId,
    @Nullable ClosedBy closedBy,
    String externalId,
    int generation,
    @Nullable String checkpointId,
    @Nullable String guard,
    @Nullable Long deliveredAt,
    @Nullable Long acknowledgedAt) {

  /** Whether a person answered it, and the answer still holds. */
  boolean isDecided() {
    return closedBy == ClosedBy.DECISION;
  }

  /** Whether its answer is still to be handed over. */
  boolean isToDeliver() {
    return isDecided() && acknowledgedAt == null;
  }
}
