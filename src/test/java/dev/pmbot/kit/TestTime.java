package dev.pmbot.kit;

import dev.pmbot.store.Time;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.atomic.AtomicLong;

/** Clocks that stand still until a test turns them. */
public class TestTime implements Time {
  private static final Instant BEGIN = Instant.parse("2026-03-01T12:00:00Z");

  private final AtomicLong wallMicros =
      new AtomicLong(ChronoUnit.MICROS.between(Instant.EPOCH, BEGIN));
  private final AtomicLong monotonicNanos = new AtomicLong(Duration.ofHours(1).toNanos());

  private final AtomicLong stoodStillNanos = new AtomicLong();

  @Override
  public long nowMicros() {
    return wallMicros.get();
  }

  @Override
  public long monotonicNanos() {
    return monotonicNanos.get();
  }

  @Override
  public long stoodStillNanos() {
    return stoodStillNanos.get();
  }

  /** Lets time pass on both clocks while the server stands still. */
  public void standStill(Duration time) {
    // In this order: whoever sees the later time must know why.
    stoodStillNanos.addAndGet(time.toNanos());
    advance(time);
  }

  /** Lets time pass on both clocks. */
  public void advance(Duration time) {
    wallMicros.addAndGet(time.toNanos() / 1_000);
    monotonicNanos.addAndGet(time.toNanos());
  }

  /** Sets the wall clock forward or back, as a person or NTP does; the other runs on. */
  public void stepWall(Duration step) {
    wallMicros.addAndGet(step.toNanos() / 1_000);
  }
}
