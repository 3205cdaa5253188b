package dev.pmbot.store;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256. */
public final class Digests {
  // A copy costs a fraction of what looking the algorithm up does.
  private static final MessageDigest FRESH = lookUp();

  private Digests() {}

  /** A fresh SHA-256. */
  public static MessageDigest sha256() {
    try {
      return (MessageDigest) FRESH.clone();
    } catch (CloneNotSupportedException impossible) {
      throw new IllegalStateException("SHA-256 can be copied", impossible);
    }
  }

  private static MessageDigest lookUp() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException("every Java platform has SHA-256", impossible);
    }
  }

  /** The SHA-256 of these bytes one after the other. */
  public static byte[] sha256(byte[]... parts) {
    MessageDigest digest = sha256();
    for (byte[] part : parts) {
      digest.update(part);
    }
    return digest.digest();
  }
}
