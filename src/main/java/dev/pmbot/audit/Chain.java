package dev.pmbot.audit;

import dev.pmbot.files.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/** The hashes of the log, to the byte as {@code audit.proto} documents them. */
final class Chain {
  /** What the first event's {@code prev_hash} is. */
  static final byte[] START = new byte[32];

  private static final byte[] DOMAIN = "pmbot.audit.v1".getBytes(StandardCharsets.US_ASCII);

  private Chain() {}

  static byte[] payloadHash(byte[] salt, String payloadJson) {
    return Sha256.of(salt, payloadJson.getBytes(StandardCharsets.UTF_8));
  }

  /** The hash of an event, from its other fields. */
  static byte[] hash(EventRow event) {
    MessageDigest digest = Sha256.digest();
    digest.update(DOMAIN);
    digest.update(event.prevHash());
    field(digest, event.workspaceId());
    field(digest, number(event.seq()));
    field(digest, number(event.txFirstSeq()));
    field(digest, event.eventId());
    field(digest, event.runId());
    field(digest, event.threadId());
    field(digest, event.nodeId());
    field(digest, event.actor());
    field(digest, event.type());
    field(digest, event.payloadHash());
    field(digest, number(event.createdAt()));
    return digest.digest();
  }

  private static byte[] number(long value) {
    return ByteBuffer.allocate(Long.BYTES).putLong(value).array();
  }

  private static void field(MessageDigest digest, @Nullable String text) {
    if (text == null) {
      digest.update((byte) 0);
    } else {
      field(digest, text.getBytes(StandardCharsets.UTF_8));
    }
  }

  private static void field(MessageDigest digest, byte[] value) {
    digest.update((byte) 1);
    digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(value.length).array());
    digest.update(value);
  }
}
