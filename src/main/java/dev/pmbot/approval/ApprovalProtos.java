package dev.pmbot.approval;

import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalFilter;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.ProtoEnums;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import org.jspecify.annotations.Nullable;

/** Approvals as messages, with what interrupts and changesets share. */
public final class ApprovalProtos {
  private static final String KIND = "APPROVAL_KIND_";
  private static final String STATUS = "APPROVAL_STATUS_";
  private static final String RISK = "RISK_";

  private ApprovalProtos() {}

  static ApprovalQuery fromProto(ApprovalFilter filter) {
    return new ApprovalQuery(
        ProtoText.fromProto(filter.getWorkspaceId()),
        ProtoText.fromProto(filter.getRunId()),
        ProtoEnums.fromProto(ApprovalKind.class, KIND, filter.getKind()),
        ProtoEnums.fromProto(ApprovalStatus.class, STATUS, filter.getStatus()),
        fromProto(filter.getRisk()),
        Created.of(filter));
  }

  static ApprovalKind kind(dev.pmbot.v1.ApprovalKind kind) {
    return ProtoEnums.required(ApprovalKind.class, KIND, kind);
  }

  static ApprovalStatus decision(dev.pmbot.v1.ApprovalStatus status) {
    return ProtoEnums.required(ApprovalStatus.class, STATUS, status);
  }

  /** A risk as a request has it; absent when it names none. */
  public static @Nullable Risk fromProto(dev.pmbot.v1.Risk risk) {
    return ProtoEnums.fromProto(Risk.class, RISK, risk);
  }

  /** A risk as a message. */
  public static dev.pmbot.v1.Risk toProto(Risk risk) {
    return ProtoEnums.toProto(dev.pmbot.v1.Risk.class, RISK, risk);
  }

  /** What ended it, as a message. */
  public static dev.pmbot.v1.ClosedBy toProto(@Nullable ClosedBy closedBy) {
    return ProtoEnums.toProto(dev.pmbot.v1.ClosedBy.class, "CLOSED_BY_", closedBy);
  }

  /** An approval as a message. */
  public static Approval toProto(ApprovalRow row) {
    Approval.Builder approval =
        Approval.newBuilder()
            .setApprovalId(row.approvalId())
            .setWorkspaceId(row.workspaceId())
            .setRunId(row.runId())
            .setKind(ProtoEnums.toProto(dev.pmbot.v1.ApprovalKind.class, KIND, row.kind()))
            .setStatus(ProtoEnums.toProto(dev.pmbot.v1.ApprovalStatus.class, STATUS, row.status()))
            .setSubjectId(ProtoText.toProto(row.subjectId()))
            .setPayloadJson(row.payloadJson())
            .setPayloadHash(row.payloadHash())
            .setRisk(toProto(row.risk()))
            .setCreatedAt(ProtoTime.toProto(row.createdAt()))
            .setActor(ProtoText.toProto(row.actor()))
            .setNotes(ProtoText.toProto(row.notes()))
            .setClosedBy(toProto(row.closedBy()));
    if (row.resolvedAt() != null) {
      approval.setResolvedAt(ProtoTime.toProto(row.resolvedAt()));
    }
    return approval.build();
  }
}
