package dev.pmbot.files;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Gives a finished file its final name, unless the name is taken. Moving would not do: Java's
 * {@code ATOMIC_MOVE} replaces what is there without a word, and looking first loses the race.
 */
final class ExclusiveName {
  private ExclusiveName() {}

  /**
   * Names a file by a hard link, or by an exclusive copy where the file system has no links. The
   * file keeps its old name as well.
   *
   * @param durable whether a copy is forced to disk
   * @throws NameTaken if the final name is taken
   */
  static void give(Path file, Path finalName, boolean durable, CrashPoints crash)
      throws IOException {
    crash.reached("rename.before");
    try {
      Files.createLink(finalName, file);
    } catch (FileAlreadyExistsException e) {
      throw taken(finalName);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (UnsupportedOperationException | FileSystemException e) {
      // Some file systems (FAT, some network and container mounts) have no hard links.
      giveByCopy(file, finalName, durable);
    }
    crash.reached("rename.after");
  }

  /** As {@link #give}; until it returns, a crash leaves a part of the file under the final name. */
  static void giveByCopy(Path file, Path finalName, boolean durable) throws IOException {
    FileChannel target;
    try {
      target = Disk.createPrivate(finalName);
    } catch (FileAlreadyExistsException e) {
      throw taken(finalName);
    }
    boolean whole = false;
    try (target;
        OutputStream output = Channels.newOutputStream(target);
        InputStream input = Files.newInputStream(file)) {
      input.transferTo(output);
      if (durable) {
        target.force(true);
      }
      whole = true;
    } finally {
      if (!whole) {
        Files.deleteIfExists(finalName);
      }
    }
  }

  private static NameTaken taken(Path finalName) {
    Path folder = finalName.getParent();
    String name = String.valueOf(finalName.getFileName());
    return new NameTaken(folder == null ? name : folder.getFileName() + "/" + name);
  }
}
