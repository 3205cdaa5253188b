package dev.pmbot.server;

import dev.pmbot.config.Config;
import dev.pmbot.feed.Feed;
import dev.pmbot.json.JsonText;
import dev.pmbot.store.Store;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.GetServerInfoResponse;
import dev.pmbot.v1.Limits;
import dev.pmbot.v1.ServerServiceGrpc;
import dev.pmbot.wire.CallContext;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.ProtoTime;
import io.grpc.stub.StreamObserver;
import java.util.Locale;

/** The calls about the server itself. */
public final class ServerService extends ServerServiceGrpc.ServerServiceImplBase {
  private final Config config;
  private final Store store;
  private final long startedAt;
  private final Limits limits;

  /** What this server is. */
  public ServerService(
      Config config, Store store, long startedAt, long largestArtifact, int mostWaitingClaims) {
    this.config = config;
    this.store = store;
    this.startedAt = startedAt;
    this.limits =
        Limits.newBuilder()
            .setMessageBytes(Config.LARGEST_MESSAGE)
            .setJsonBytes(Fields.LARGEST_JSON)
            .setJsonDepth(JsonText.MAXIMUM_DEPTH)
            .setArtifactBytes(largestArtifact)
            .setOpenStreams(Feed.MOST_STREAMS)
            .setWaitingClaims(mostWaitingClaims)
            .setPageSize(500)
            .build();
  }

  @Override
  public void getServerInfo(
      GetServerInfoRequest request, StreamObserver<GetServerInfoResponse> observer) {
    Principal principal = CallContext.principal();
    observer.onNext(
        GetServerInfoResponse.newBuilder()
            .setVersion(Config.version())
            .setDatabase("sqlite")
            .setSchemaVersion(store.schemaVersion())
            .setDataDirectory(config.dataDirectory().toAbsolutePath().normalize().toString())
            .setIncarnation(store.incarnation())
            .setStartedAt(ProtoTime.toProto(startedAt))
            .setSynchronous(config.synchronous().name().toLowerCase(Locale.ROOT))
            .setActor(principal.actor())
            .setRole(principal.role().name().toLowerCase(Locale.ROOT))
            .setLimits(limits)
            .build());
    observer.onCompleted();
  }
}
