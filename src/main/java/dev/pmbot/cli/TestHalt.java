package dev.pmbot.cli;

import dev.pmbot.files.CrashPoints;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Halts the process at a chosen crash point, as a power switch would, so that tests can see what it
 * leaves behind. Only where the system property {@code pmbot.halt.at} names the number of the
 * point, counted from 1.
 */
final class TestHalt implements CrashPoints {
  private static final int AS_IF_KILLED = 137;

  private final int haltAt;
  private final AtomicInteger count = new AtomicInteger();

  private TestHalt(int haltAt) {
    this.haltAt = haltAt;
  }

  static CrashPoints fromProperties() {
    int haltAt = Integer.getInteger("pmbot.halt.at", 0);
    return haltAt == 0 ? NONE : new TestHalt(haltAt);
  }

  @Override
  public void reached(String point) {
    if (count.incrementAndGet() == haltAt) {
      System.err.println("halted at crash point " + haltAt + ": " + point);
      Runtime.getRuntime().halt(AS_IF_KILLED);
    }
  }
}
