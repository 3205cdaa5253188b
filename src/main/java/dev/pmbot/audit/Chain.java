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

  private static final byte[] ABSENT = new byte[0];

  private Chain() {}

  static byte[] payloadHash(byte[] salt, String payloadJson) {
    return Sha256.of(salt, payloadJson.getBytes(StandardCharsets.UTF_8));
  }

  /** The hash of an event, from its other fields. */
  static byte[] hash(EventRow event) {
    // One buffer and one update: a digest takes many small ones badly, and this runs for every
    // event.
    byte[][] fields = {
      text(event.workspaceId()),
      number(event.seq()),
      number(event.txFirstSeq()),
      text(event.eventId()),
      text(event.runId()),
      text(event.threadId()),
      text(event.nodeId()),
      text(event.actor()),
      text(event.type()),
      event.payloadHash(),
      number(event.createdAt()),
    };
    int length = DOMAIN.length + event.prevHash().length;
    for (byte[] field : fields) {
      length += 1 + Integer.BYTES + field.length;
    }
    ByteBuffer hashed = ByteBuffer.allocate(length).put(DOMAIN).put(event.prevHash());
    for (byte[] field : fields) {
      if (field == ABSENT) {
        hashed.put((byte) 0);
      } else {
        hashed.put((byte) 1).putInt(field.length).put(field);
      }
    }
    MessageDigest digest = Sha256.digest();
    digest.update(hashed.flip());
    return digest.digest();
  }

  private static byte[] number(long value) {
    return ByteBuffer.allocate(Long.BYTES).putLong(value).array();
  }

  private static byte[] text(@Nullable String text) {
    return text == null ? ABSENT : text.getBytes(StandardCharsets.UTF_8);
  }
}
