package dev.pmbot.store;

import com.github.f4b6a3.uuid.UuidCreator;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.UUID;

/**
 * The source of everything that must be unique: ids that sort by age, and tokens that nobody can
 * guess.
 */
public final class Ids {
  private static final HexFormat HEX = HexFormat.of();

  private static final int RANDOM_AT_ONCE = 4096;

  private final SecureRandom random = new SecureRandom();
  private final byte[] pool = new byte[RANDOM_AT_ONCE];
  private int taken = RANDOM_AT_ONCE;

  /** An id of a kind: its prefix, an underscore, and a UUIDv7 as 32 hex digits. */
  public String next(String prefix) {
    UUID uuid = UuidCreator.getTimeOrderedEpochPlus1();
    return prefix
        + '_'
        + HEX.toHexDigits(uuid.getMostSignificantBits())
        + HEX.toHexDigits(uuid.getLeastSignificantBits());
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
