package dev.pmbot.artifact;

import com.google.protobuf.UnsafeByteOperations;
import dev.pmbot.files.Hashed;
import dev.pmbot.files.Incoming;
import dev.pmbot.store.Store;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.DownloadArtifactRequest;
import dev.pmbot.v1.DownloadArtifactResponse;
import dev.pmbot.v1.GetArtifactRequest;
import dev.pmbot.v1.GetArtifactResponse;
import dev.pmbot.v1.ListArtifactsRequest;
import dev.pmbot.v1.ListArtifactsResponse;
import dev.pmbot.v1.RegisterArtifactRequest;
import dev.pmbot.v1.RegisterArtifactResponse;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.UploadArtifactResponse;
import dev.pmbot.v1.VerifyArtifactRequest;
import dev.pmbot.v1.VerifyArtifactResponse;
import dev.pmbot.wire.CallContext;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.OpenCalls;
import dev.pmbot.wire.Paging;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Statuses;
import io.grpc.Context;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** The calls about artifacts. */
public final class ArtifactService extends ArtifactServiceGrpc.ArtifactServiceImplBase {
  private final Calls calls;
  private final Store store;
  private final Artifacts artifacts;
  private final ArtifactFiles files;
  private final OpenCalls transfers;

  /**
   * Over the rows and the files.
   *
   * @param mostTransfers uploads, downloads and files that are read to be hashed, at once
   */
  public ArtifactService(
      Calls calls, Store store, Artifacts artifacts, ArtifactFiles files, int mostTransfers) {
    this.calls = calls;
    this.store = store;
    this.artifacts = artifacts;
    this.files = files;
    this.transfers = new OpenCalls("uploads, downloads and readings are open", mostTransfers);
  }

  @Override
  public StreamObserver<UploadArtifactRequest> uploadArtifact(
      StreamObserver<UploadArtifactResponse> observer) {
    transfers.enter();
    Context context = Context.current();
    Keeper keeper = new Keeper(context);
    Principal principal = CallContext.principal();
    return new Upload<>(
            files,
            observer,
            keeper::translate,
            announced ->
                store.read(
                    context::isCancelled,
                    tx -> {
                      // One that is asked for again is answered as it was, whoever holds the run
                      // now.
                      if (!calls.isAnswered(tx, principal, keeper.requestId())) {
                        artifacts.admit(
                            tx, announced, null, principal.role() == Principal.Role.OPERATOR);
                      }
                      return true;
                    }),
            keeper::keep)
        .begin();
  }

  /** Remembers an upload's header for the request that it is. */
  private final class Keeper {
    private final Context context;
    private @Nullable ArtifactHeader header;

    Keeper(Context context) {
      this.context = context;
    }

    Upload.Part translate(UploadArtifactRequest request) {
      if (request.hasHeader() && header == null) {
        header = request.getHeader();
      }
      return ArtifactProtos.fromProto(request);
    }

    String requestId() {
      return Objects.requireNonNull(header).getRequestId();
    }

    CompletableFuture<UploadArtifactResponse> keep(NewArtifact announced, Incoming file) {
      ArtifactHeader request = Objects.requireNonNull(header);
      return files.keep(
          announced,
          file,
          uri -> {
            Hashed content = ArtifactFiles.io(file::finish);
            return CallContext.in(
                context,
                () ->
                    calls.carryOut(
                        request,
                        content.sha256().getBytes(StandardCharsets.US_ASCII),
                        tx ->
                            UploadArtifactResponse.newBuilder()
                                .setArtifact(
                                    ArtifactProtos.toProto(
                                        artifacts.keep(tx, announced, uri, content)))
                                .build()));
          });
    }
  }

  @Override
  public void registerArtifact(
      RegisterArtifactRequest request, StreamObserver<RegisterArtifactResponse> observer) {
    NewArtifact announced = ArtifactProtos.fromProto(request);
    ArtifactUri uri = ArtifactUri.of(announced);
    if (uri.isFile()) {
      transfers.enter();
    }
    Context context = Context.current();
    Principal principal = CallContext.principal();
    Calls.answer(
        observer,
        store
            .read(
                context::isCancelled,
                tx -> {
                  // One that is asked for again is answered as it was, whatever became of the file.
                  boolean answered = calls.isAnswered(tx, principal, request.getRequestId());
                  if (!answered) {
                    boolean operator = principal.role() == Principal.Role.OPERATOR;
                    artifacts.admit(tx, announced, uri, operator);
                  }
                  return answered;
                })
            .thenCompose(
                answered ->
                    answered
                        ? CallContext.in(context, () -> register(request, announced, uri, null))
                        : files.register(
                            announced,
                            uri,
                            context::isCancelled,
                            content ->
                                CallContext.in(
                                    context, () -> register(request, announced, uri, content)))));
  }

  private CompletableFuture<RegisterArtifactResponse> register(
      RegisterArtifactRequest request,
      NewArtifact announced,
      ArtifactUri uri,
      @Nullable Hashed content) {
    return calls.carryOut(
        request,
        new byte[0],
        tx -> {
          if (content == null) {
            throw Problem.outcomeUnknown("its answer has just been forgotten; ask again");
          }
          return RegisterArtifactResponse.newBuilder()
              .setArtifact(ArtifactProtos.toProto(artifacts.register(tx, announced, uri, content)))
              .build();
        });
  }

  @Override
  public void verifyArtifact(
      VerifyArtifactRequest request, StreamObserver<VerifyArtifactResponse> observer) {
    transfers.enter();
    Context context = Context.current();
    Calls.answer(
        observer,
        store
            .read(tx -> artifacts.get(tx, request.getArtifactId()))
            .thenCompose(
                row ->
                    files
                        .verify(row, context::isCancelled)
                        .thenApply(verified -> ArtifactProtos.toProto(row, verified))));
  }

  @Override
  public void getArtifact(
      GetArtifactRequest request, StreamObserver<GetArtifactResponse> observer) {
    calls.read(
        observer,
        tx ->
            GetArtifactResponse.newBuilder()
                .setArtifact(ArtifactProtos.toProto(artifacts.get(tx, request.getArtifactId())))
                .build());
  }

  @Override
  public void listArtifacts(
      ListArtifactsRequest request, StreamObserver<ListArtifactsResponse> observer) {
    ArtifactQuery query = ArtifactProtos.fromProto(request);
    calls.read(
        observer,
        tx -> {
          artifacts.admit(tx, query);
          Paging.Page<Artifact> page =
              Paging.filtered(
                  request,
                  (behind, limit) -> artifacts.look(tx, query, behind, limit),
                  artifactIds -> artifacts.getAll(tx, artifactIds),
                  ArtifactRow::artifactId,
                  ArtifactProtos::toProto);
          return ListArtifactsResponse.newBuilder()
              .addAllArtifacts(page.items())
              .setNextPageToken(page.nextPageToken())
              .build();
        });
  }

  @Override
  public void downloadArtifact(
      DownloadArtifactRequest request, StreamObserver<DownloadArtifactResponse> observer) {
    transfers.enter();
    ServerCallStreamObserver<DownloadArtifactResponse> call =
        (ServerCallStreamObserver<DownloadArtifactResponse>) observer;
    Pending<DownloadArtifactResponse> pending = new Pending<>();
    call.setOnCancelHandler(pending::kick);
    call.setOnReadyHandler(pending::kick);
    store
        .read(tx -> artifacts.get(tx, request.getArtifactId()))
        .thenAcceptAsync(row -> pending.begin(download(request, call, row)), files.threads())
        .exceptionally(
            failure -> {
              call.onError(Statuses.of(failure));
              return null;
            });
  }

  private Download<DownloadArtifactResponse> download(
      DownloadArtifactRequest request,
      ServerCallStreamObserver<DownloadArtifactResponse> call,
      ArtifactRow row) {
    if (row.place() == ArtifactPlace.IN_DATA_DIRECTORY && request.getOffset() > row.sizeBytes()) {
      throw Problem.invalidField("offset", "is beyond the end, which is at " + row.sizeBytes());
    }
    return new Download<>(
        call,
        files.open(row),
        request.getOffset(),
        files.threads(),
        (offset, chunk, first) -> {
          DownloadArtifactResponse.Builder message =
              DownloadArtifactResponse.newBuilder()
                  .setOffset(offset)
                  .setChunk(UnsafeByteOperations.unsafeWrap(chunk));
          if (first) {
            message.setArtifact(ArtifactProtos.toProto(row));
          }
          return message.build();
        });
  }

  /** A download that may not have begun when its client is ready, or gone. */
  private static final class Pending<R> {
    private @Nullable Download<R> download;

    synchronized void begin(Download<R> begun) {
      download = begun;
      begun.kick();
    }

    synchronized void kick() {
      if (download != null) {
        download.kick();
      }
    }
  }
}
