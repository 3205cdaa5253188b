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

  private final SecretKeySpec key;

  /** Under a key. */
  public PayloadSeal(byte[] key) {
    this.key = new SecretKeySpec(key, ALGORITHM);
  }

  /** The name of a payload: 64 hex digits. */
  public String of(String payloadJson) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(key);
      return HexFormat.of().formatHex(mac.doFinal(payloadJson.getBytes(StandardCharsets.UTF_8)));
    } catch (GeneralSecurityException impossible) {
      throw new IllegalStateException("every Java platform has HMAC-SHA-256", impossible);
    }
  }
}
