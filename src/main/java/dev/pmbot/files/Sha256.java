package dev.pmbot.files;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256, which every Java has. */
public final class Sha256 {
  // A copy costs a fraction of what looking the algorithm up does.
  private static final MessageDigest FRESH = lookUp();

  private Sha256() {}

  /** A fresh digest. */
  public static MessageDigest digest() {
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

  /** The hash of these bytes one after the other. */
  public static byte[] of(byte[]... parts) {
    MessageDigest digest = digest();
    for (byte[] part : parts) {
      digest.update(part);
    }
    return digest.digest();
  }

  /** A hash as 64 lower-case hexadecimal digits. */
  public static String hexadecimal(byte[] hash) {
    return HexFormat.of().formatHex(hash);
  }
}
