package dev.pmbot.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.security.MessageDigest;

/** A file that is read part by part, to say what it holds. For one thread at a time. */
public final class Hashing implements AutoCloseable {
  private static final int BUFFER_BYTES = 128 * 1024;

  private final FileChannel channel;
  private final Stamp stamp;
  private final CrashPoints crash;
  private final MessageDigest digest = Sha256.digest();
  private long size;

  Hashing(FileChannel channel, Stamp stamp, CrashPoints crash) {
    this.channel = channel;
    this.stamp = stamp;
    this.crash = crash;
  }

  /** What the file was just before it was opened. */
  public Stamp stamp() {
    return stamp;
  }

  /**
   * Reads on, for about so many bytes. A file that grows all the time is read only until it is seen
   * to have grown.
   *
   * @return whether there is more
   * @throws IOException if it cannot be read
   */
  public boolean read(long bytes) throws IOException {
    crash.reached("hash.part");
    // Made anew: many files may be under way, few are being read.
    ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
    for (long left = bytes; left > 0; left -= buffer.limit()) {
      if (channel.read(buffer.clear()) < 0) {
        return false;
      }
      digest.update(buffer.flip());
      size += buffer.limit();
      if (size > stamp.sizeBytes()) {
        return false;
      }
    }
    return true;
  }

  /** Says what was read, once. */
  public Hashed finish() {
    return new Hashed(Sha256.hexadecimal(digest.digest()), size);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
