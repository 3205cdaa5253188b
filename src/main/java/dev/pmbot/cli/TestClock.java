package dev.pmbot.cli;

import dev.pmbot.store.SystemTime;
import dev.pmbot.store.Time;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * Clocks that stand still until a test turns them from another process. Both show what a file
 * holds: nanoseconds since the epoch, eight bytes in the machine's order. Only where the system
 * property {@code pmbot.clock.file} names the file.
 */
final class TestClock implements Time {
  private final LongBuffer nanos;

  private TestClock(Path file) {
    try (FileChannel channel = FileChannel.open(file)) {
      // Mapped, so that what the test writes shows at once and costs no call of the system to see.
      nanos =
          channel
              .map(MapMode.READ_ONLY, 0, Long.BYTES)
              .order(ByteOrder.nativeOrder())
              .asLongBuffer();
    } catch (IOException problem) {
      throw new UncheckedIOException(problem);
    }
    System.err.println("the clocks stand still: they are read from " + file);
  }

  static Time fromProperties() {
    String file = System.getProperty("pmbot.clock.file");
    return file == null ? new SystemTime() : new TestClock(Path.of(file));
  }

  @Override
  public long nowMicros() {
    return TimeUnit.NANOSECONDS.toMicros(nanos.get(0));
  }

  @Override
  public long monotonicNanos() {
    return nanos.get(0);
  }

  /** Time that a test lets pass was never missed. */
  @Override
  public long stoodStillNanos() {
    return 0;
  }
}
