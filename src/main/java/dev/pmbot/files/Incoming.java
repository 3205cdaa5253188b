package dev.pmbot.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/**
 * A file on its way in: write, {@link #finish}, {@link #place}, and close in any case. One that is
 * closed without having been placed leaves nothing behind. For one thread.
 */
public final class Incoming implements AutoCloseable {
  private final FileStore store;
  private final Path temporary;
  private final long maximumBytes;
  private final MessageDigest digest = Sha256.digest();
  private final FileChannel channel;
  private long size;
  private @Nullable Hashed hashed;
  private boolean placed;

  Incoming(FileStore store, Path temporary, long maximumBytes) throws IOException {
    this.store = store;
    this.temporary = temporary;
    this.maximumBytes = maximumBytes;
    try {
      channel = FileChannel.open(temporary, StandardOpenOption.WRITE);
    } catch (IOException failure) {
      Files.deleteIfExists(temporary);
      throw failure;
    }
  }

  /** How many bytes have been written. */
  public long sizeBytes() {
    return size;
  }

  /**
   * Appends what remains in a buffer.
   *
   * @throws FileTooLarge if the file would become longer than allowed; nothing of this is written
   * @throws IllegalStateException after {@link #finish}
   * @throws IOException if it cannot be written
   */
  public void write(ByteBuffer content) throws IOException {
    if (hashed != null) {
      throw new IllegalStateException("the file is finished");
    }
    if (content.remaining() > maximumBytes - size) {
      throw new FileTooLarge(maximumBytes);
    }
    size += content.remaining();
    digest.update(content.duplicate());
    while (content.hasRemaining()) {
      channel.write(content);
    }
  }

  /**
   * Appends a part of an array; see {@link #write(ByteBuffer)}.
   *
   * @throws FileTooLarge if the file would become longer than allowed
   * @throws IOException if it cannot be written
   */
  public void write(byte[] content, int offset, int length) throws IOException {
    write(ByteBuffer.wrap(content, offset, length));
  }

  /**
   * Ends the content, forces it to disk if the store is durable, and says what it is. Asked again,
   * it says the same.
   *
   * @throws IOException if what was written cannot be kept
   */
  public Hashed finish() throws IOException {
    if (hashed == null) {
      if (store.isDurable()) {
        channel.force(true);
      }
      channel.close();
      hashed = new Hashed(Sha256.hexadecimal(digest.digest()), size);
    }
    return hashed;
  }

  /**
   * Gives the finished file its final name. After {@link NameTaken} another name may be tried.
   *
   * @param folder the folder directly below the root, made if need be
   * @param name what {@link ArtifactNames#check} lets pass, or {@link ArtifactNames#numbered} gave
   * @return where it is now
   * @throws NameTaken if a file of that name is there; it is left as it is
   * @throws NameProblem if folder or name are not allowed, or the folder is a link
   * @throws IllegalStateException before {@link #finish}, and if it was placed already
   * @throws IOException if it cannot be named
   */
  public Path place(String folder, String name) throws IOException {
    if (hashed == null || placed) {
      throw new IllegalStateException("a file is placed once, after it is finished");
    }
    Path place = store.place(temporary, folder, name);
    placed = true;
    return place;
  }

  /** Removes what was written unless it was placed. */
  @Override
  public void close() throws IOException {
    channel.close();
    if (!placed) {
      Files.deleteIfExists(temporary);
    }
  }
}
