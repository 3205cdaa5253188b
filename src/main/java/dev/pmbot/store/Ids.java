package dev.pmbot.store;

import com.github.f4b6a3.uuid.UuidCreator;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.UUID;

/**
 * The source of everything that must be unique: ids that sort by age, and tokens that nobody can
 * guess.
 */
public final class Ids {
  private static final HexFormat HEX = HexFormat.of();

  private final SecureRandom random = new SecureRandom();

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

  /** That many bytes that nobody can guess. */
  public byte[] bytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }
}
