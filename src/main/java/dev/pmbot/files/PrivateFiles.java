package dev.pmbot.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;

/**
 * Small files that only their owner may read (mode 0600): keys, tokens, where the server is. Each
 * is written aside, forced to disk and then named, so that a crash leaves the old one, the new one
 * or none, but no half.
 */
public final class PrivateFiles {
  private static final int MAXIMUM_BYTES = 64 * 1024;

  private PrivateFiles() {}

  /**
   * Creates a file; one that is there already is left as it is.
   *
   * @param file where; its folder must be there
   * @throws NameTaken if a file of that name is there
   * @throws IOException if it cannot be written
   */
  public static void create(Path file, byte[] content) throws IOException {
    Path aside = writeAside(file, content);
    try {
      ExclusiveName.give(aside, file, true, CrashPoints.NONE);
    } finally {
      Files.deleteIfExists(aside);
    }
    Disk.force(folderOf(file));
  }

  /**
   * Creates a file or replaces the one that is there, in one step.
   *
   * @param file where; its folder must be there
   * @throws IOException if it cannot be written
   */
  public static void replace(Path file, byte[] content) throws IOException {
    Path aside = writeAside(file, content);
    try {
      Files.move(aside, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(aside);
    }
    Disk.force(folderOf(file));
  }

  /**
   * Reads a file.
   *
   * @throws IOException if it is not there, is a link, is longer than 64 KiB or cannot be read
   */
  public static byte[] read(Path file) throws IOException {
    try (var content = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
      byte[] bytes = content.readNBytes(MAXIMUM_BYTES + 1);
      if (bytes.length > MAXIMUM_BYTES) {
        throw new IOException(file + " is longer than " + MAXIMUM_BYTES + " bytes");
      }
      return bytes;
    }
  }

  /**
   * Whether nobody but its owner may do anything with a file; yes where the system knows no such
   * rights.
   *
   * @throws IOException if it cannot be looked at
   */
  public static boolean isPrivate(Path file) throws IOException {
    PosixFileAttributeView view =
        Files.getFileAttributeView(file, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
    return view == null
        || view.readAttributes().permissions().stream()
            .allMatch(permission -> permission.name().startsWith("OWNER_"));
  }

  private static Path writeAside(Path file, byte[] content) throws IOException {
    // A name of its own: several servers share the folder in which they say where they are.
    Path aside = Disk.makeTemporary(folderOf(file), "." + file.getFileName() + ".");
    try (FileChannel channel = FileChannel.open(aside, StandardOpenOption.WRITE)) {
      ByteBuffer buffer = ByteBuffer.wrap(content);
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
      channel.force(true);
    }
    return aside;
  }

  private static Path folderOf(Path file) {
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null) {
      throw new IllegalArgumentException("a file lies in a folder");
    }
    return folder;
  }
}
