package dev.pmbot.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Sees to it that one server at a time works in a data directory. */
final class DirectoryLock implements AutoCloseable {
  /**
   * The lock files that this process holds. Looked up before a file is opened: on POSIX, closing
   * any channel on a file drops the process's lock on it, so that a mere second try would free the
   * first.
   */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path file;
  private final FileChannel channel;

  private DirectoryLock(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * Takes the lock, or says who has it.
   *
   * @param file the lock file, below a path without links; created if need be, never removed
   * @throws DataDirectoryProblem if another server, or this process, holds it
   */
  static DirectoryLock take(Path file) throws IOException {
    long self = ProcessHandle.current().pid();
    if (!HELD.add(file)) {
      throw held(file, Optional.of(self));
    }
    boolean taken = false;
    try {
      FileChannel channel = open(file);
      try {
        FileLock lock = channel.tryLock();
        if (lock == null) {
          throw held(file, holder(file));
        }
        channel.truncate(0);
        channel.write(ByteBuffer.wrap((self + "\n").getBytes(StandardCharsets.US_ASCII)), 0);
        taken = true;
        return new DirectoryLock(file, channel);
      } finally {
        if (!taken) {
          channel.close();
        }
      }
    } finally {
      if (!taken) {
        HELD.remove(file);
      }
    }
  }

  /**
   * Who has the lock, as what {@link #take} would say; nothing if nobody has. Leaves the file as it
   * is.
   */
  static Optional<DataDirectoryProblem> holderOf(Path file) throws IOException {
    if (HELD.contains(file)) {
      return Optional.of(held(file, Optional.of(ProcessHandle.current().pid())));
    }
    if (!Disk.exists(file)) {
      return Optional.empty();
    }
    try (FileChannel channel =
            FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
        FileLock shared = channel.tryLock(0, Long.MAX_VALUE, true)) {
      return shared == null ? Optional.of(held(file, holder(file))) : Optional.empty();
    }
  }

  @Override
  public void close() throws IOException {
    // Once only: by the second time another may hold it.
    if (channel.isOpen()) {
      channel.close();
      HELD.remove(file);
    }
  }

  private static FileChannel open(Path file) throws IOException {
    if (!Disk.exists(file)) {
      try {
        return Disk.createPrivate(file);
      } catch (FileAlreadyExistsException e) {
        // Another server was faster; the lock decides.
      }
    }
    return FileChannel.open(file, Set.of(StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS));
  }

  private static Optional<Long> holder(Path file) {
    try {
      return Optional.of(Long.parseLong(Files.readString(file, StandardCharsets.US_ASCII).strip()));
    } catch (IOException | NumberFormatException e) {
      return Optional.empty();
    }
  }

  private static DataDirectoryProblem held(Path file, Optional<Long> process) {
    Path controlPlane = file.getParent();
    Path directory = controlPlane == null ? file : controlPlane.getParent();
    return new DataDirectoryProblem(
        "Another server%s holds the data directory %s; stop it, or name another directory."
            .formatted(process.map(id -> " (pid " + id + ")").orElse(""), directory));
  }
}
