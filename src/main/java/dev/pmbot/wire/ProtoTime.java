package dev.pmbot.wire;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** Times between rows (microseconds since the epoch) and messages. */
public final class ProtoTime {
  private static final long MICROS = 1_000_000;

  private ProtoTime() {}

  /** A time as a message has it. */
  public static Timestamp toProto(long micros) {
    return Timestamp.newBuilder()
        .setSeconds(Math.floorDiv(micros, MICROS))
        .setNanos((int) Math.floorMod(micros, MICROS) * 1_000)
        .build();
  }

  /**
   * The first microsecond that is not before a time, which must be one that {@link Fields} lets
   * pass.
   */
  static long microsFrom(Timestamp time) {
    return time.getSeconds() * MICROS + (time.getNanos() + 999) / 1_000;
  }

  /** A time for people, in ISO 8601. */
  public static String text(long micros) {
    return Instant.EPOCH.plus(micros, ChronoUnit.MICROS).toString();
  }

  /** A whole number of seconds as a message has it. */
  public static Duration seconds(long seconds) {
    return Duration.newBuilder().setSeconds(seconds).build();
  }

  /** A duration in nanoseconds. */
  public static long nanos(Duration duration) {
    return duration.getSeconds() * 1_000_000_000 + duration.getNanos();
  }
}
