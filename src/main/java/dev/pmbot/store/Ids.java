package dev.pmbot.store;

import com.github.f4b6a3.uuid.factory.standard.TimeOrderedEpochFactory;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.UUID;

/**
 * The source of everything that must be unique: ids that sort by age, and tokens that nobody can
 * guess.
 */
public final class Ids {
  private static final HexFormat HEX = HexFormat.of();
  private static final long LARGEST_MILLIS = (1L << 48) - 1;

  private static final int RANDOM_AT_ONCE = 4096;

  private final SecureRandom random = new SecureRandom();
  private final byte[] pool = new byte[RANDOM_AT_ONCE];
  private int taken = RANDOM_AT_ONCE;
  private final TimeOrderedEpochFactory uuids;

  /** With the clock that ids take their age from. */
  public Ids(Time time) {
    uuids =
        TimeOrderedEpochFactory.builder()
            .withIncrementPlus1()
            .withInstantFunction(() -> Instant.EPOCH.plus(time.nowMicros(), ChronoUnit.MICROS))
            .build();
  }

  /** An id of a kind: its prefix, an underscore, and a UUIDv7 as 32 hex digits. */
  public String next(String prefix) {
    UUID uuid = uuids.create();
    return prefix
        + '_'
        + HEX.toHexDigits(uuid.getMostSignificantBits())
        + HEX.toHexDigits(uuid.getLeastSignificantBits());
  }

  /**
   * What no id of a kind is below that was made at a time or later; it may be no id itself. A clock
   * that steps back by less than a second holds ids up for as long; by more, it sets them back too.
   *
   * @param micros microseconds since the epoch
   */
  public static String lowest(String prefix, long micros) {
    long millis = Math.max(0, Math.min(LARGEST_MILLIS, Math.floorDiv(micros, 1_000L)));
    return prefix + '_' + HEX.toHexDigits(millis, 12) + "0".repeat(20);
  }

  /** 32 hex digits that nobody can guess. */
  public String token() {
    return HEX.formatHex(bytes(16));
  }

  /**
   * That many bytes that nobody can guess, at most 4,096; asked of the system a few kilobytes at a
   * time.
   */
  public synchronized byte[] bytes(int count) {
    if (taken + count > pool.length) {
      random.nextBytes(pool);
      taken = 0;
    }
    byte[] bytes = Arrays.copyOfRange(pool, taken, taken + count);
    // What was handed out is not kept: a token must not be found in memory later.
    Arrays.fill(pool, taken, taken + count, (byte) 0);
    taken += count;
    return bytes;
  }
}
