package dev.pmbot.interrupt;

import dev.pmbot.approval.ApprovalProtos;
import dev.pmbot.json.Redaction;
import dev.pmbot.v1.Decision;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.InterruptDecision;
import dev.pmbot.v1.InterruptFilter;
import dev.pmbot.v1.Question;
import dev.pmbot.v1.ResolveInterruptResult;
import dev.pmbot.v1.Withdrawal;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.Outcome;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import dev.pmbot.wire.Statuses;

/** Questions as messages. */
public final class InterruptProtos {
  private static final String KIND = "INTERRUPT_KIND_";
  private static final String STATUS = "INTERRUPT_STATUS_";

  private InterruptProtos() {}

  static InterruptQuery fromProto(InterruptFilter filter) {
    return new InterruptQuery(
        ProtoText.fromProto(filter.getWorkspaceId()),
        ProtoText.fromProto(filter.getRunId()),
        ProtoText.fromProto(filter.getThreadId()),
        ProtoEnums.fromProto(InterruptKind.class, KIND, filter.getKind()),
        ProtoEnums.fromProto(InterruptStatus.class, STATUS, filter.getStatus()),
        ApprovalProtos.fromProto(filter.getRisk()),
        Created.of(filter));
  }

  static NewQuestion fromProto(Question question) {
    return new NewQuestion(
        question.getExternalId(),
        ProtoEnums.required(InterruptKind.class, KIND, question.getKind()),
        ApprovalProtos.fromProto(question.getRisk()),
        question.getPayloadJson(),
        ProtoText.fromProto(question.getNodeId()),
        ProtoText.fromProto(question.getCheckpointId()),
        ProtoText.fromProto(question.getGuard()));
  }

  static NewDecision fromProto(InterruptDecision decision) {
    return new NewDecision(
        decision.getInterruptId(),
        decision.getPayloadHash(),
        decision.getDecisionJson(),
        decision.getNotes());
  }

  /** A question as anyone may see it: its decision, which is its worker's, is redacted. */
  public static Interrupt toProto(InterruptRow row) {
    Interrupt.Builder interrupt = withoutTexts(row).setPayloadJson(row.payloadJson());
    if (row.isDecided() && row.decisionJson() != null) {
      interrupt.setDecisionJson(Redaction.redact(row.decisionJson()));
    }
    return interrupt.build();
  }

  /** What became of a decision; whoever made it knows the question and the decision. */
  static ResolveInterruptResult result(Outcome<InterruptRow> outcome) {
    ResolveInterruptResult.Builder result = ResolveInterruptResult.newBuilder();
    return outcome
        .map(
            row -> result.setInterrupt(withoutTexts(row)),
            problem -> result.setError(Statuses.toProto(problem)))
        .build();
  }

  private static Interrupt.Builder withoutTexts(InterruptRow row) {
    Interrupt.Builder interrupt =
        Interrupt.newBuilder()
            .setInterruptId(row.interruptId())
            .setWorkspaceId(row.workspaceId())
            .setRunId(row.runId())
            .setThreadId(row.threadId())
            .setNodeId(ProtoText.toProto(row.nodeId()))
            .setKind(ProtoEnums.toProto(dev.pmbot.v1.InterruptKind.class, KIND, row.kind()))
            .setRisk(ApprovalProtos.toProto(row.risk()))
            .setPayloadHash(row.payloadHash())
            .setStatus(status(row.status()))
            .setCreatedAt(ProtoTime.toProto(row.createdAt()))
            .setActor(ProtoText.toProto(row.actor()))
            .setApprovalId(ProtoText.toProto(row.approvalId()))
            .setClosedBy(ApprovalProtos.toProto(row.closedBy()))
            .setExternalId(row.externalId())
            .setGeneration(row.generation())
            .setCheckpointId(ProtoText.toProto(row.checkpointId()))
            .setGuard(ProtoText.toProto(row.guard()));
    if (row.resolvedAt() != null) {
      interrupt.setResolvedAt(ProtoTime.toProto(row.resolvedAt()));
    }
    if (row.deliveredAt() != null) {
      interrupt.setDeliveredAt(ProtoTime.toProto(row.deliveredAt()));
    }
    if (row.acknowledgedAt() != null) {
      interrupt.setAcknowledgedAt(ProtoTime.toProto(row.acknowledgedAt()));
    }
    return interrupt;
  }

  /** A decision for its worker, as the person gave it. */
  static Decision decision(InterruptRow row) {
    return Decision.newBuilder()
        .setInterruptId(row.interruptId())
        .setRunId(row.runId())
        .setThreadId(row.threadId())
        .setExternalId(row.externalId())
        .setGeneration(row.generation())
        .setPayloadHash(row.payloadHash())
        .setStatus(status(row.status()))
        .setDecisionJson(ProtoText.toProto(row.decisionJson()))
        .setGuard(ProtoText.toProto(row.guard()))
        .build();
  }

  static Withdrawal withdrawal(InterruptRow row) {
    return Withdrawal.newBuilder()
        .setInterruptId(row.interruptId())
        .setRunId(row.runId())
        .setThreadId(row.threadId())
        .setExternalId(row.externalId())
        .setGeneration(row.generation())
        .setClosedBy(ApprovalProtos.toProto(row.closedBy()))
        .build();
  }

  private static dev.pmbot.v1.InterruptStatus status(InterruptStatus status) {
    return ProtoEnums.toProto(dev.pmbot.v1.InterruptStatus.class, STATUS, status);
  }
}
