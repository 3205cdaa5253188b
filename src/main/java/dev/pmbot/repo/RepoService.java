package dev.pmbot.repo;

import dev.pmbot.v1.GetRepoRequest;
import dev.pmbot.v1.GetRepoResponse;
import dev.pmbot.v1.ListReposRequest;
import dev.pmbot.v1.ListReposResponse;
import dev.pmbot.v1.RegisterRepoRequest;
import dev.pmbot.v1.RegisterRepoResponse;
import dev.pmbot.v1.Repo;
import dev.pmbot.v1.RepoServiceGrpc;
import dev.pmbot.v1.UpdateRepoRequest;
import dev.pmbot.v1.UpdateRepoResponse;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Paging;
import dev.pmbot.wire.ProtoText;
import io.grpc.stub.StreamObserver;

/** The calls about repos. */
public final class RepoService extends RepoServiceGrpc.RepoServiceImplBase {
  private final Calls calls;
  private final Repos repos;

  /** Over the repos. */
  public RepoService(Calls calls, Repos repos) {
    this.calls = calls;
    this.repos = repos;
  }

  @Override
  public void registerRepo(
      RegisterRepoRequest request, StreamObserver<RegisterRepoResponse> observer) {
    String branch = request.getDefaultBranch().isEmpty() ? "main" : request.getDefaultBranch();
    calls.mutate(
        request,
        observer,
        tx ->
            RegisterRepoResponse.newBuilder()
                .setRepo(
                    RepoProtos.toProto(
                        repos.register(
                            tx, request.getWorkspaceId(), request.getFullName(), branch)))
                .build());
  }

  @Override
  public void updateRepo(UpdateRepoRequest request, StreamObserver<UpdateRepoResponse> observer) {
    RepoStatus status = RepoProtos.fromProto(request.getStatus());
    calls.mutate(
        request,
        observer,
        tx ->
            UpdateRepoResponse.newBuilder()
                .setRepo(
                    RepoProtos.toProto(
                        repos.update(
                            tx,
                            request.getRepoId(),
                            request.getVersion(),
                            ProtoText.fromProto(request.getDefaultBranch()),
                            status)))
                .build());
  }

  @Override
  public void getRepo(GetRepoRequest request, StreamObserver<GetRepoResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetRepoResponse.newBuilder()
                .setRepo(RepoProtos.toProto(repos.get(tx, request.getRepoId())))
                .build());
  }

  @Override
  public void listRepos(ListReposRequest request, StreamObserver<ListReposResponse> observer) {
    String fullName = ProtoText.fromProto(request.getFullName());
    RepoStatus status = RepoProtos.fromProto(request.getStatus());
    calls.read(
        observer,
        tx -> {
          Paging.Page<Repo> page =
              Paging.page(
                  request,
                  (behind, limit) ->
                      repos.list(tx, request.getWorkspaceId(), fullName, status, behind, limit),
                  RepoRow::repoId,
                  RepoProtos::toProto);
          return ListReposResponse.newBuilder()
              .addAllRepos(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }
}
