package dev.pmbot.approval;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Names exactly what was asked: HMAC-SHA-256 of the payload as it came, before redaction, under a
 * key of this server. A plain hash would let whoever sees it guess a short secret.
 */
public final class PayloadSeal {
  private static final String ALGORITHM = "HmacSHA256";

  // A copy costs a fraction of what looking the algorithm up does.
  private final Mac fresh;

  /** Under a key. */
  public PayloadSeal(byte[] key) {
    try {
      fresh = Mac.getInstance(ALGORITHM);
      fresh.init(new SecretKeySpec(key, ALGORITHM));
    } catch (GeneralSecurityException impossible) {
      throw new IllegalStateException("every Java platform has HMAC-SHA-256", impossible);
    }
  }

  /** The name of a payload: 64 hex digits. */
  public String of(String payloadJson) {
    try {
      Mac mac = (Mac) fresh.clone();
      return HexFormat.of().formatHex(mac.doFinal(payloadJson.getBytes(StandardCharsets.UTF_8)));
    } catch (CloneNotSupportedException impossible) {
      throw new IllegalStateException("HMAC-SHA-256 can be copied", impossible);
    }
  }
}
