package dev.pmbot.server;

import dev.pmbot.artifact.Artifacts;
import dev.pmbot.store.Store;
import dev.pmbot.store.Time;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Requests;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.IntSupplier;

/** How the server is doing. Taking these costs the same, however much there is. */
public final class Measurements {
  /** Expired replies are counted no further. */
  static final int MOST_EXPIRED = 10_000;

  private final Store store;
  private final Artifacts artifacts;
  private final Path dataDirectory;
  private final IntSupplier openStreams;
  private final IntSupplier waitingClaims;
  private final Time time;
  private final long begin;

  /** From now on, over what is measured. */
  public Measurements(
      Store store,
      Artifacts artifacts,
      Path dataDirectory,
      IntSupplier openStreams,
      IntSupplier waitingClaims,
      Time time) {
    this.store = store;
    this.artifacts = artifacts;
    this.dataDirectory = dataDirectory;
    this.openStreams = openStreams;
    this.waitingClaims = waitingClaims;
    this.time = time;
    this.begin = time.monotonicNanos();
  }

  /** What the program knows without asking the database. */
  record Now(
      Duration uptime,
      Store.Size database,
      long freeDiskBytes,
      int openStreams,
      int waitingClaims,
      int waitingWrites,
      long heapUsedBytes,
      long heapLargestBytes) {}

  Now now() {
    Runtime runtime = Runtime.getRuntime();
    return new Now(
        Duration.ofNanos(time.monotonicNanos() - begin),
        store.size(),
        dataDirectory.toFile().getUsableSpace(),
        openStreams.getAsInt(),
        waitingClaims.getAsInt(),
        store.waitingWrites(),
        runtime.totalMemory() - runtime.freeMemory(),
        runtime.maxMemory());
  }

  Artifacts.Totals artifacts(Tx tx) {
    return artifacts.totals(tx);
  }

  int expiredReplies(Tx tx) {
    return Requests.expired(tx, MOST_EXPIRED);
  }
}
