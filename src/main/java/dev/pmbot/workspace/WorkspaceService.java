package dev.pmbot.workspace;

import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.CreateWorkspaceResponse;
import dev.pmbot.v1.GetWorkspaceRequest;
import dev.pmbot.v1.GetWorkspaceResponse;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.ListWorkspacesResponse;
import dev.pmbot.v1.UpdateWorkspaceRequest;
import dev.pmbot.v1.UpdateWorkspaceResponse;
import dev.pmbot.v1.Workspace;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import dev.pmbot.wire.ProtoText;
import io.grpc.stub.StreamObserver;

/** The calls about workspaces. */
public final class WorkspaceService extends WorkspaceServiceGrpc.WorkspaceServiceImplBase {
  private final Calls calls;
  private final Workspaces workspaces;

  /** Over the workspaces. */
  public WorkspaceService(Calls calls, Workspaces workspaces) {
    this.calls = calls;
    this.workspaces = workspaces;
  }

  @Override
  public void createWorkspace(
      CreateWorkspaceRequest request, StreamObserver<CreateWorkspaceResponse> observer) {
    String settings = request.getSettingsJson().isEmpty() ? "{}" : request.getSettingsJson();
    calls.mutate(
        request,
        observer,
        tx ->
            CreateWorkspaceResponse.newBuilder()
                .setWorkspace(
                    WorkspaceProtos.toProto(workspaces.create(tx, request.getName(), settings)))
                .build());
  }

  @Override
  public void updateWorkspace(
      UpdateWorkspaceRequest request, StreamObserver<UpdateWorkspaceResponse> observer) {
    calls.mutate(
        request,
        observer,
        tx ->
            UpdateWorkspaceResponse.newBuilder()
                .setWorkspace(
                    WorkspaceProtos.toProto(
                        workspaces.update(
                            tx,
                            request.getWorkspaceId(),
                            request.getVersion(),
                            ProtoText.fromProto(request.getName()),
                            ProtoText.fromProto(request.getSettingsJson()))))
                .build());
  }

  @Override
  public void getWorkspace(
      GetWorkspaceRequest request, StreamObserver<GetWorkspaceResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetWorkspaceResponse.newBuilder()
                .setWorkspace(WorkspaceProtos.toProto(workspaces.get(tx, request.getWorkspaceId())))
                .build());
  }

  @Override
  public void listWorkspaces(
      ListWorkspacesRequest request, StreamObserver<ListWorkspacesResponse> observer) {
    String name = ProtoText.fromProto(request.getName());
    calls.read(
        observer,
        tx -> {
          Paging.Page<Workspace> page =
              Paging.page(
                  request,
                  (behind, limit) -> workspaces.list(tx, name, behind, limit),
                  WorkspaceRow::workspaceId,
                  WorkspaceProtos::toProto);
          return ListWorkspacesResponse.newBuilder()
              .addAllWorkspaces(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }
}
