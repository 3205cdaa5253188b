package dev.pmbot.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The one directory in which a server keeps everything. Open means held: no other server, and no
 * second one in this process, can open it until it is closed or the process ends.
 *
 * <p>Folders with secrets in them ({@code control_plane/}, its {@code keys/} and {@code native/},
 * and {@code tokens/}) are for the owner alone, mode 0700, whatever they were before.
 */
public final class DataDirectory implements AutoCloseable {
  private static final Pattern SECRET_NAME = Pattern.compile("[a-z0-9][a-z0-9_.-]{0,99}");
  private static final Pattern IN_A_NEW_DIRECTORY =
      Pattern.compile("README(\\.[A-Za-z]{1,10})?|\\.gitignore|pmbot\\.toml");
  private static final String CONTROL_PLANE = "control_plane";

  /** Native code, the database's index of its log, a few small files; in bytes. */
  private static final long ROOM_TO_START = 4L << 20;

  private final Path root;
  private final boolean created;
  private final DirectoryLock lock;

  private DataDirectory(Path root, boolean created, DirectoryLock lock) {
    this.root = root;
    this.created = created;
    this.lock = lock;
  }

  /**
   * Opens a data directory, making it if it is not there, is empty, or holds only a README, a
   * {@code .gitignore} and settings. What an earlier server had not finished writing is removed.
   *
   * @throws DataDirectoryProblem if the directory holds something else and was never ours, if
   *     another server holds it, or if the system does not let us in
   */
  public static DataDirectory open(Path directory) {
    try {
      Files.createDirectories(directory);
      Path root = directory.toRealPath();
      boolean created = isNew(root);
      if (!created && !Disk.isRealFolder(root.resolve(CONTROL_PLANE))) {
        throw new DataDirectoryProblem(
            "%s is not empty and not a data directory of this server; name an empty directory, or"
                    .formatted(root)
                + " one that does not exist yet.");
      }
      // The first of all folders: with it a first start that was cut short is recognised as ours.
      Disk.makePrivateFolder(root.resolve(CONTROL_PLANE));
      DirectoryLock lock = DirectoryLock.take(root.resolve(CONTROL_PLANE).resolve("lock"));
      return prepared(new DataDirectory(root, created, lock));
    } catch (IOException e) {
      throw new DataDirectoryProblem(
          "The data directory %s cannot be used: %s".formatted(directory, e), e);
    }
  }

  /**
   * Opens a data directory to look at it: held as {@link #open} holds it, but nothing in it is
   * made, narrowed or removed.
   *
   * @throws DataDirectoryProblem if it is not there or not ours, if another server holds it, or if
   *     the system does not let us in
   */
  public static DataDirectory inspect(Path directory) {
    try {
      if (!Files.isDirectory(directory)) {
        throw new DataDirectoryProblem("There is no data directory %s.".formatted(directory));
      }
      Path root = directory.toRealPath();
      Path controlPlane = root.resolve(CONTROL_PLANE);
      if (!Disk.isRealFolder(controlPlane)) {
        throw new DataDirectoryProblem(
            "%s is not a data directory of this server.".formatted(root));
      }
      return new DataDirectory(root, false, DirectoryLock.take(controlPlane.resolve("lock")));
    } catch (IOException e) {
      throw new DataDirectoryProblem(
          "The data directory %s cannot be looked at: %s".formatted(directory, e), e);
    }
  }

  /** What a directory is to a server. */
  public enum Kind {
    /** It is not there, or as good as empty: it may become a server's. */
    NEW,
    /** It is a server's, or was. */
    OURS,
    /** It holds something else. */
    FOREIGN
  }

  /**
   * What a directory is, without touching it.
   *
   * @throws DataDirectoryProblem if the system does not let us look
   */
  public static Kind kindOf(Path directory) {
    try {
      if (Disk.isRealFolder(directory.resolve(CONTROL_PLANE))) {
        return Kind.OURS;
      }
      boolean mayBecome =
          !Files.exists(directory) || (Files.isDirectory(directory) && isNew(directory));
      return mayBecome ? Kind.NEW : Kind.FOREIGN;
    } catch (IOException e) {
      throw new DataDirectoryProblem(
          "The data directory %s cannot be looked at: %s".formatted(directory, e), e);
    }
  }

  /**
   * Who works in a directory that is ours, without touching it; nothing if nobody does.
   *
   * @throws DataDirectoryProblem if the system does not let us look
   */
  public static Optional<String> holderOf(Path directory) {
    try {
      return DirectoryLock.holderOf(directory.toRealPath().resolve(CONTROL_PLANE).resolve("lock"))
          .map(held -> String.valueOf(held.getMessage()));
    } catch (IOException e) {
      throw new DataDirectoryProblem(
          "The data directory %s cannot be looked at: %s".formatted(directory, e), e);
    }
  }

  /** The directory itself, absolute and without links. */
  public Path root() {
    return root;
  }

  /** Whether the directory was new when it was opened. */
  public boolean isNew() {
    return created;
  }

  /** Where the database and what belongs to it lies. */
  public Path controlPlane() {
    return root.resolve(CONTROL_PLANE);
  }

  /** Where keys lie. */
  public Path keys() {
    return controlPlane().resolve("keys");
  }

  /** Where tokens lie. */
  public Path tokens() {
    return root.resolve("tokens");
  }

  /** The root of artifacts. */
  public Path artifacts() {
    return root.resolve("artifacts");
  }

  /** The root of checkpoints. */
  public Path checkpoints() {
    return root.resolve("checkpoints");
  }

  /**
   * A secret of this server, made at random when it is asked for the first time and the same ever
   * after; kept in {@code control_plane/keys/} with mode 0600.
   *
   * @param name what it is for: lower-case letters, digits, dots, underscores and hyphens
   * @param bytes how long it is
   * @throws DataDirectoryProblem if it cannot be read or made, or has another length
   */
  public byte[] secret(String name, int bytes) {
    if (!SECRET_NAME.matcher(name).matches()) {
      throw new IllegalArgumentException("not a name for a secret: " + name);
    }
    Path file = keys().resolve(name);
    try {
      if (!Disk.exists(file)) {
        byte[] fresh = new byte[bytes];
        new SecureRandom().nextBytes(fresh);
        PrivateFiles.create(file, fresh);
      }
      byte[] secret = PrivateFiles.read(file);
      if (secret.length != bytes) {
        throw new DataDirectoryProblem(
            "The key %s has %d bytes and must have %d; put the right one back from a backup."
                .formatted(file, secret.length, bytes));
      }
      return secret;
    } catch (IOException e) {
      throw new DataDirectoryProblem("The key %s cannot be used: %s".formatted(file, e), e);
    }
  }

  /**
   * Makes libraries unpack their native code below this directory, so that a temporary folder which
   * forbids running programs does no harm. To be called before any of them is used; a property that
   * the operator has set is left alone. What servers that were killed have unpacked goes.
   *
   * @throws DataDirectoryProblem if the folder cannot be made, or there is no room for them
   */
  public void useForNativeLibraries() {
    Path folder = controlPlane().resolve("native");
    try {
      Disk.makePrivateFolder(folder);
      Disk.empty(folder);
      long room = Files.getFileStore(folder).getUsableSpace();
      if (room < ROOM_TO_START) {
        // Said here, for the libraries themselves only say that they could not be loaded.
        throw new DataDirectoryProblem(
            "%s is on a disk that is full: %d KiB are free, and a start takes %d. Make room there first."
                .formatted(root, room >> 10, ROOM_TO_START >> 10));
      }
    } catch (IOException e) {
      throw new DataDirectoryProblem("The folder %s cannot be made: %s".formatted(folder, e), e);
    }
    NativeLibraries.unpackInto(folder);
  }

  /** Lets another server have the directory. */
  @Override
  public void close() {
    try {
      lock.close();
    } catch (IOException e) {
      throw new DataDirectoryProblem("The lock of %s cannot be released: %s".formatted(root, e), e);
    }
  }

  private static DataDirectory prepared(DataDirectory directory) throws IOException {
    boolean ready = false;
    try {
      Disk.makePrivateFolder(directory.keys());
      Disk.makePrivateFolder(directory.tokens());
      for (Path store : List.of(directory.artifacts(), directory.checkpoints())) {
        Files.createDirectories(store);
        Path incoming = store.resolve(FileStore.INCOMING);
        if (!Disk.makeFolder(incoming) && !Disk.isRealFolder(incoming)) {
          throw new DataDirectoryProblem(
              "%s is a link or a file; it must be a folder.".formatted(incoming));
        }
        Disk.empty(incoming);
      }
      ready = true;
      return directory;
    } finally {
      if (!ready) {
        directory.close();
      }
    }
  }

  private static boolean isNew(Path root) throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> entries = Files.list(root)) {
      entries.forEach(entry -> names.add(String.valueOf(entry.getFileName())));
    }
    return names.stream().allMatch(name -> IN_A_NEW_DIRECTORY.matcher(name).matches());
  }
}
