package dev.pmbot.store;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.TimeUnit;

/** The machine's clocks. */
public final class SystemTime implements Time {
  /** Longer than a busy machine keeps a thread waiting. */
  private static final long STANDSTILL_NANOS = TimeUnit.SECONDS.toNanos(2);

  private long lookedAt = System.nanoTime();
  private long stoodStill;

  @Override
  public long nowMicros() {
    return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
  }

  @Override
  public long monotonicNanos() {
    return System.nanoTime();
  }

  @Override
  public synchronized long stoodStillNanos() {
    long now = System.nanoTime();
    if (now - lookedAt >= STANDSTILL_NANOS) {
      stoodStill += now - lookedAt;
    }
    lookedAt = now;
    return stoodStill;
  }
}
