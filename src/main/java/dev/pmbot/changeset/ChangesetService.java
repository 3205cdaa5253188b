package dev.pmbot.changeset;

import dev.pmbot.approval.ApprovalProtos;
import dev.pmbot.approval.Risk;
import dev.pmbot.v1.Changeset;
import dev.pmbot.v1.ChangesetServiceGrpc;
import dev.pmbot.v1.GetChangesetRequest;
import dev.pmbot.v1.GetChangesetResponse;
import dev.pmbot.v1.ListChangesetsRequest;
import dev.pmbot.v1.ListChangesetsResponse;
import dev.pmbot.v1.MarkChangesetAppliedRequest;
import dev.pmbot.v1.MarkChangesetAppliedResponse;
import dev.pmbot.v1.ProposeChangesetRequest;
import dev.pmbot.v1.ProposeChangesetResponse;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import io.grpc.stub.StreamObserver;

/** The calls about changesets. */
public final class ChangesetService extends ChangesetServiceGrpc.ChangesetServiceImplBase {
  private final Calls calls;
  private final Changesets changesets;

  /** Over the changesets. */
  public ChangesetService(Calls calls, Changesets changesets) {
    this.calls = calls;
    this.changesets = changesets;
  }

  @Override
  public void proposeChangeset(
      ProposeChangesetRequest request, StreamObserver<ProposeChangesetResponse> observer) {
    Risk risk = ApprovalProtos.fromProto(request.getRisk());
    calls.mutate(
        request,
        observer,
        tx -> {
          Changesets.Proposed proposed =
              changesets.propose(
                  tx, request.getRunId(), request.getLeaseToken(), request.getBundleJson(), risk);
          return ProposeChangesetResponse.newBuilder()
              .setChangeset(ChangesetProtos.toProto(proposed.changeset()))
              .setApproval(ApprovalProtos.toProto(proposed.approval()))
              .build();
        });
  }

  @Override
  public void getChangeset(
      GetChangesetRequest request, StreamObserver<GetChangesetResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetChangesetResponse.newBuilder()
                .setChangeset(ChangesetProtos.toProto(changesets.get(tx, request.getChangesetId())))
                .build());
  }

  @Override
  public void listChangesets(
      ListChangesetsRequest request, StreamObserver<ListChangesetsResponse> observer) {
    ChangesetQuery query = ChangesetProtos.fromProto(request.getFilter());
    calls.read(
        observer,
        tx -> {
          changesets.admit(tx, query);
          Paging.Page<Changeset> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> changesets.look(tx, query, behind, limit),
                  changesetIds -> changesets.getAll(tx, changesetIds),
                  ChangesetRow::changesetId,
                  ChangesetProtos::toProto);
          return ListChangesetsResponse.newBuilder()
              .addAllChangesets(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }

  @Override
  public void markChangesetApplied(
      MarkChangesetAppliedRequest request, StreamObserver<MarkChangesetAppliedResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            MarkChangesetAppliedResponse.newBuilder()
                .setChangeset(
                    ChangesetProtos.toProto(
                        changesets.applied(
                            tx, request.getChangesetId(), request.getAppliedCommitSha())))
                .build());
  }
}
