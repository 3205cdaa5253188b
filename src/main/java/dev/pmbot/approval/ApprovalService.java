package dev.pmbot.approval;

import dev.pmbot.v1.Approval;
import dev.pmbot.v1.ApprovalServiceGrpc;
import dev.pmbot.v1.GetApprovalRequest;
import dev.pmbot.v1.GetApprovalResponse;
import dev.pmbot.v1.ListApprovalsRequest;
import dev.pmbot.v1.ListApprovalsResponse;
import dev.pmbot.v1.RequestApprovalRequest;
import dev.pmbot.v1.RequestApprovalResponse;
import dev.pmbot.v1.ResolveApprovalRequest;
import dev.pmbot.v1.ResolveApprovalResponse;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import io.grpc.stub.StreamObserver;

/** The calls about approvals. */
public final class ApprovalService extends ApprovalServiceGrpc.ApprovalServiceImplBase {
  private final Calls calls;
  private final Approvals approvals;

  /** Over the approvals. */
  public ApprovalService(Calls calls, Approvals approvals) {
    this.calls = calls;
    this.approvals = approvals;
  }

  @Override
  public void requestApproval(
      RequestApprovalRequest request, StreamObserver<RequestApprovalResponse> observer) {
    ApprovalKind kind = ApprovalProtos.kind(request.getKind());
    Risk risk = ApprovalProtos.fromProto(request.getRisk());
    calls.mutate(
        request,
        observer,
        tx ->
            RequestApprovalResponse.newBuilder()
                .setApproval(
                    ApprovalProtos.toProto(
                        approvals.ask(
                            tx,
                            request.getRunId(),
                            request.getLeaseToken(),
                            kind,
                            risk,
                            request.getPayloadJson())))
                .build());
  }

  @Override
  public void resolveApproval(
      ResolveApprovalRequest request, StreamObserver<ResolveApprovalResponse> observer) {
    ApprovalStatus status = ApprovalProtos.decision(request.getStatus());
    calls.mutate(
        request,
        observer,
        tx ->
            ResolveApprovalResponse.newBuilder()
                .setApproval(
                    ApprovalProtos.toProto(
                        approvals.resolve(
                            tx,
                            request.getApprovalId(),
                            status,
                            request.getPayloadHash(),
                            request.getNotes())))
                .build());
  }

  @Override
  public void getApproval(
      GetApprovalRequest request, StreamObserver<GetApprovalResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetApprovalResponse.newBuilder()
                .setApproval(ApprovalProtos.toProto(approvals.get(tx, request.getApprovalId())))
                .build());
  }

  @Override
  public void listApprovals(
      ListApprovalsRequest request, StreamObserver<ListApprovalsResponse> observer) {
    ApprovalQuery query = ApprovalProtos.fromProto(request.getFilter());
    calls.read(
        observer,
        tx -> {
          approvals.admit(tx, query);
          Paging.Page<Approval> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> approvals.look(tx, query, behind, limit),
                  approvalIds -> approvals.getAll(tx, approvalIds),
                  ApprovalRow::approvalId,
                  ApprovalProtos::toProto);
          return ListApprovalsResponse.newBuilder()
              .addAllApprovals(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }
}
