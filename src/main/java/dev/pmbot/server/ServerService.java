package dev.pmbot.server;

import com.google.protobuf.Duration;
import dev.pmbot.artifact.Artifacts;
import dev.pmbot.config.Config;
import dev.pmbot.json.JsonText;
import dev.pmbot.store.Store;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.GetServerInfoResponse;
import dev.pmbot.v1.Limits;
import dev.pmbot.v1.ServerServiceGrpc;
import dev.pmbot.wire.CallContext;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.ProtoTime;
import io.grpc.stub.StreamObserver;
import java.util.Locale;

/** The calls about the server itself. */
public final class ServerService extends ServerServiceGrpc.ServerServiceImplBase {
  private final Calls calls;
  private final Config config;
  private final Store store;
  private final Measurements measurements;
  private final long startedAt;
  private final Limits limits;

  /** What this server is. */
  public ServerService(
      Calls calls, Config config, Store store, Measurements measurements, long startedAt) {
    this.calls = calls;
    this.config = config;
    this.store = store;
    this.measurements = measurements;
    this.startedAt = startedAt;
    this.limits =
        Limits.newBuilder()
            .setMessageBytes(Config.LARGEST_MESSAGE)
            .setJsonBytes(Fields.LARGEST_JSON)
            .setJsonDepth(JsonText.MAXIMUM_DEPTH)
            .setArtifactBytes(config.limits().artifactBytes())
            .setOpenStreams(config.limits().openStreams())
            .setWaitingClaims(config.limits().waitingClaims())
            .setPageSize(500)
            .build();
  }

  @Override
  public void getServerInfo(
      GetServerInfoRequest request, StreamObserver<GetServerInfoResponse> observer) {
    Principal principal = CallContext.principal();
    // What needs no database is measured before: nothing is waited for inside a transaction.
    Measurements.Now now = measurements.now();
    calls.read(
        observer,
        tx ->
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
                .setMeasurements(
                    toProto(now, measurements.artifacts(tx), measurements.expiredReplies(tx)))
                .build());
  }

  private static dev.pmbot.v1.Measurements toProto(
      Measurements.Now now, Artifacts.Totals artifacts, int expiredReplies) {
    return dev.pmbot.v1.Measurements.newBuilder()
        .setUptime(
            Duration.newBuilder()
                .setSeconds(now.uptime().toSeconds())
                .setNanos(now.uptime().getNano()))
        .setDatabaseBytes(now.database().databaseBytes())
        .setLogBytes(now.database().logBytes())
        .setFreeDiskBytes(now.freeDiskBytes())
        .setArtifacts(artifacts.artifacts())
        .setArtifactBytes(artifacts.sizeBytes())
        .setExpiredReplies(expiredReplies)
        .setOpenStreams(now.openStreams())
        .setWaitingClaims(now.waitingClaims())
        .setWaitingWrites(now.waitingWrites())
        .setHeapUsedBytes(now.heapUsedBytes())
        .setHeapLargestBytes(now.heapLargestBytes())
        .build();
  }
}
