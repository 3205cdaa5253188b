package dev.pmbot.feed;

import dev.pmbot.files.Sha256;
import dev.pmbot.wire.Problem;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;

/**
 * How far a stream has come: for each workspace the seq of the last event, the end of its
 * transaction, with the beginning of its hash; bound to the database's history and to the stream's
 * filter.
 *
 * @param incarnation the database's history
 * @param filter what the stream shows, digested
 * @param positions how far it has come in each workspace; one that is missing has not begun
 */
record Cursor(String incarnation, String filter, Map<String, Position> positions) {
  private static final int VERSION = 1;
  private static final int DIGEST_BYTES = 8;

  /** The place behind one event: its seq and the first eight bytes of its hash. */
  record Position(long seq, long hash) {
    static final Position START = new Position(0, 0);
  }

  String encode() {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      out.writeByte(VERSION);
      out.writeUTF(incarnation);
      out.writeUTF(filter);
      out.writeInt(positions.size());
      for (Map.Entry<String, Position> entry : new TreeMap<>(positions).entrySet()) {
        out.writeUTF(entry.getKey());
        out.writeLong(entry.getValue().seq());
        out.writeLong(entry.getValue().hash());
      }
      byte[] body = bytes.toByteArray();
      out.write(Sha256.of(body), 0, DIGEST_BYTES);
      return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes.toByteArray());
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
  }

  /**
   * What a client sent back.
   *
   * @throws Problem INVALID_CURSOR when no stream ever sent it
   */
  static Cursor decode(String text) {
    try {
      byte[] bytes = Base64.getUrlDecoder().decode(text.getBytes(StandardCharsets.UTF_8));
      int bodyLength = bytes.length - DIGEST_BYTES;
      if (bodyLength <= 0) {
        throw Problem.invalidCursor();
      }
      byte[] body = Arrays.copyOf(bytes, bodyLength);
      byte[] digest = Arrays.copyOfRange(bytes, bodyLength, bytes.length);
      if (!Arrays.equals(Arrays.copyOf(Sha256.of(body), DIGEST_BYTES), digest)) {
        throw Problem.invalidCursor();
      }
      DataInputStream in = new DataInputStream(new ByteArrayInputStream(body));
      if (in.readByte() != VERSION) {
        throw Problem.invalidCursor();
      }
      String incarnation = in.readUTF();
      String filter = in.readUTF();
      int count = in.readInt();
      Map<String, Position> positions = new TreeMap<>();
      for (int index = 0; index < count; index++) {
        positions.put(in.readUTF(), new Position(in.readLong(), in.readLong()));
      }
      if (in.available() > 0) {
        throw Problem.invalidCursor();
      }
      return new Cursor(incarnation, filter, positions);
    } catch (IOException | IllegalArgumentException damaged) {
      throw Problem.invalidCursor();
    }
  }
}
