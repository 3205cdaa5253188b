package dev.pmbot.kit;

import io.grpc.netty.shaded.io.netty.buffer.Unpooled;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.Http2Exception;
import io.grpc.netty.shaded.io.netty.handler.codec.http2.Http2Headers;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * A client that speaks HTTP/2 by hand, to stop where a real one would go on: in the middle of a
 * message, or before it reads an answer. It lets the server send as much as it likes.
 */
public final class RawConnection implements AutoCloseable {
  private static final int DATA = 0;
  private static final int HEADERS = 1;
  private static final int SETTINGS = 4;
  private static final int WINDOW_UPDATE = 8;
  private static final int END_STREAM = 1;
  private static final int END_HEADERS = 4;
  private static final int ACKNOWLEDGED = 1;
  private static final int WINDOW_OF_STREAMS = 4;
  private static final int FRAME_BYTES = 16_384;
  private static final int FIRST_WINDOW_BYTES = 65_535;

  private final Socket socket;
  private final DataOutputStream out;
  private final DataInputStream in;
  private final String token;
  private final DefaultHttp2HeadersDecoder decoder = new DefaultHttp2HeadersDecoder();
  private int stream = -1;
  private String status = "";

  private RawConnection(Socket socket, String token) throws IOException {
    this.socket = socket;
    this.token = token;
    this.out = new DataOutputStream(socket.getOutputStream());
    this.in = new DataInputStream(socket.getInputStream());
    socket.setSoTimeout((int) Await.PATIENCE.toMillis());
    out.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
    frame(SETTINGS, 0, 0, setting(WINDOW_OF_STREAMS, Integer.MAX_VALUE));
    frame(SETTINGS, ACKNOWLEDGED, 0, new byte[0]);
    frame(WINDOW_UPDATE, 0, 0, number(Integer.MAX_VALUE - FIRST_WINDOW_BYTES));
  }

  /** Connects to {@code host:port}. */
  public static RawConnection to(String address, String token) {
    int colon = address.lastIndexOf(':');
    try {
      return new RawConnection(
          new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1))),
          token);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static byte[] number(int value) {
    return new byte[] {
      (byte) (value >>> 24), (byte) (value >>> 16), (byte) (value >>> 8), (byte) value
    };
  }

  private static byte[] setting(int id, int value) {
    byte[] setting = new byte[6];
    setting[1] = (byte) id;
    System.arraycopy(number(value), 0, setting, 2, 4);
    return setting;
  }

  private void frame(int type, int flags, int streamId, byte[] payload) throws IOException {
    out.writeByte(payload.length >>> 16);
    out.writeShort(payload.length);
    out.writeByte(type);
    out.writeByte(flags);
    out.writeInt(streamId);
    out.write(payload);
    out.flush();
  }

  /** A header as it is, neither indexed nor packed. */
  private static void header(ByteArrayOutputStream block, String name, String value) {
    block.write(0);
    for (String text : new String[] {name, value}) {
      byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
      // A number that does not fit into seven bits is continued.
      if (bytes.length < 127) {
        block.write(bytes.length);
      } else {
        block.write(127);
        block.write(bytes.length - 127);
      }
      block.writeBytes(bytes);
    }
  }

  /** Begins a call: {@code pmbot.v1.RunService/GetRun}. */
  public void begin(String method) {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    header(block, ":method", "POST");
    header(block, ":scheme", "http");
    header(block, ":path", "/" + method);
    header(block, ":authority", "localhost");
    header(block, "content-type", "application/grpc");
    header(block, "te", "trailers");
    header(block, "authorization", "Bearer " + token);
    stream += 2;
    status = "";
    try {
      frame(HEADERS, END_HEADERS, stream, block.toByteArray());
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The first bytes of a message that is to be so large. */
  public void sendPart(int size, int bytes) {
    byte[] part = new byte[5 + bytes];
    System.arraycopy(number(size), 0, part, 1, 4);
    try {
      for (int from = 0; from < part.length; from += FRAME_BYTES) {
        int to = Math.min(part.length, from + FRAME_BYTES);
        frame(DATA, 0, stream, java.util.Arrays.copyOfRange(part, from, to));
      }
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The whole request. */
  public void send(byte[] message) {
    byte[] whole = new byte[5 + message.length];
    System.arraycopy(number(message.length), 0, whole, 1, 4);
    System.arraycopy(message, 0, whole, 5, message.length);
    try {
      frame(DATA, END_STREAM, stream, whole);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** How the last call has ended, as {@code code message}; empty: it has not. */
  public String ended() {
    try {
      while (status.isEmpty() && in.available() > 0) {
        read();
      }
      return status;
    } catch (IOException | Http2Exception failure) {
      throw new AssertionError("the connection is gone", failure);
    }
  }

  private void read() throws IOException, Http2Exception {
    int size = in.readUnsignedByte() << 16 | in.readUnsignedShort();
    int type = in.readUnsignedByte();
    int flags = in.readUnsignedByte();
    int streamId = in.readInt();
    byte[] payload = in.readNBytes(size);
    if (type == HEADERS) {
      Http2Headers headers = decoder.decodeHeaders(streamId, Unpooled.wrappedBuffer(payload));
      if ((flags & END_STREAM) != 0) {
        status = headers.get("grpc-status") + " " + headers.get("grpc-message");
      }
    }
  }

  @Override
  public void close() {
    try {
      socket.close();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }
}
