package dev.pmbot.files;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * The files below one root: {@code <folder>/<name>}. They are written aside, hashed on the way, and
 * named once they are whole; none is ever replaced. A URI of a file is its path below the root with
 * {@code /} between the parts.
 *
 * <p>May be used by many threads at once; each {@link Incoming} by one.
 */
public final class FileStore {
  /** The folder below a root in which files are written aside. */
  public static final String INCOMING = ".incoming";

  private static final int DEEPEST_URI = 16;

  private final Path root;
  private final boolean durable;
  private final CrashPoints crash;

  /**
   * @param root a folder of the data directory with its {@code .incoming/}
   * @param durable whether file and folder are forced to disk before a file counts as placed
   * @param crash told when a file gets its name and when a part of one is read; {@link
   *     CrashPoints#NONE} in production
   * @throws IOException if there is no such folder
   */
  public FileStore(Path root, boolean durable, CrashPoints crash) throws IOException {
    this.root = root.toRealPath();
    this.durable = durable;
    this.crash = crash;
    if (!Disk.isRealFolder(this.root.resolve(INCOMING))) {
      throw new NotDirectoryException(this.root.resolve(INCOMING).toString());
    }
  }

  private FileStore(Path root) {
    this.root = root;
    this.durable = false;
    this.crash = CrashPoints.NONE;
  }

  /** The files below a root that are only to be looked at; there may be none, and no root. */
  public static FileStore inspect(Path root) throws IOException {
    return new FileStore(Files.exists(root) ? root.toRealPath() : root);
  }

  /** The root, without links. */
  public Path root() {
    return root;
  }

  /**
   * Begins a new file.
   *
   * @param maximumBytes how long it may become
   * @throws IOException if it cannot be created
   */
  public Incoming begin(long maximumBytes) throws IOException {
    return new Incoming(this, Disk.makeTemporary(root.resolve(INCOMING), ""), maximumBytes);
  }

  /**
   * Opens a file for reading, at its beginning. The caller closes the channel.
   *
   * @param uri its path below the root
   * @throws NameProblem if the URI leads, or may lead, out of the root, or through a link
   * @throws NoSuchFileException if there is no regular file of that name
   * @throws IOException if it cannot be opened
   */
  public FileChannel open(String uri) throws IOException {
    Path file = resolve(uri);
    if (!Disk.isRealFile(file)) {
      throw new NoSuchFileException(uri);
    }
    return FileChannel.open(file, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
  }

  /**
   * Begins to read a file, to say what it holds. The caller closes it.
   *
   * @param uri its path below the root
   * @throws NameProblem as {@link #open}
   * @throws NoSuchFileException if there is no regular file of that name
   * @throws IOException if it cannot be opened
   */
  public Hashing hashing(String uri) throws IOException {
    Path file = resolve(uri);
    if (!Disk.isRealFile(file)) {
      throw new NoSuchFileException(uri);
    }
    Stamp stamp = Stamp.of(file);
    return new Hashing(open(uri), stamp, crash);
  }

  /**
   * Whether a file is still the one that was read, and as it was before it was opened.
   *
   * @param uri its path below the root
   * @throws IOException if it cannot be looked at
   */
  public boolean isStill(String uri, Stamp stamp) throws IOException {
    try {
      return Stamp.of(resolve(uri)).equals(stamp);
    } catch (NoSuchFileException | NameProblem gone) {
      return false;
    }
  }

  /**
   * Reads a file from beginning to end and says what it holds; empty if there is no such file.
   *
   * @param uri its path below the root
   * @throws NameProblem as {@link #open}
   * @throws IOException if it cannot be read
   */
  public Optional<Hashed> hash(String uri) throws IOException {
    try (Hashing hashing = hashing(uri)) {
      hashing.read(Long.MAX_VALUE);
      return Optional.of(hashing.finish());
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /**
   * How long a file is, in bytes; empty if there is no such file.
   *
   * @param uri its path below the root
   * @throws NameProblem as {@link #open}
   * @throws IOException if it cannot be looked at
   */
  public OptionalLong size(String uri) throws IOException {
    Path file = resolve(uri);
    return Disk.isRealFile(file) ? OptionalLong.of(Files.size(file)) : OptionalLong.empty();
  }

  /** Who is told what a walk meets. */
  @FunctionalInterface
  public interface Visitor {
    /** Something that is no folder, by its path below the root. */
    void met(String path) throws IOException;
  }

  /**
   * Meets everything below the root that is no folder, what is unfinished too. Links are met, not
   * followed. Takes as much memory as the folders are deep.
   *
   * @throws IOException what the visitor threw, or if a folder cannot be read
   */
  public void walk(Visitor visitor) throws IOException {
    if (!Files.exists(root)) {
      return;
    }
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            visitor.met(uri(file));
            return FileVisitResult.CONTINUE;
          }
        });
  }

  /**
   * Removes a file that was placed, when what it was for failed. Its folder stays: another file may
   * be on its way there. A file that is gone already is no problem.
   *
   * @param file what {@link Incoming#place} gave
   * @throws NameProblem if it is not a file of this store
   * @throws IOException if it cannot be removed
   */
  public void remove(Path file) throws IOException {
    Path resolved = resolve(uri(file));
    Files.deleteIfExists(resolved);
    Path folder = resolved.getParent();
    if (durable && folder != null && Disk.isRealFolder(folder)) {
      Disk.force(folder);
    }
  }

  /**
   * The URI of a file below the root.
   *
   * @throws NameProblem if it is not below the root
   */
  public String uri(Path file) {
    Path absolute = file.toAbsolutePath().normalize();
    if (!absolute.startsWith(root) || absolute.equals(root)) {
      throw new NameProblem("The file is not below the folder it must be in.");
    }
    StringBuilder uri = new StringBuilder();
    for (Path part : root.relativize(absolute)) {
      uri.append(uri.isEmpty() ? "" : "/").append(part);
    }
    return uri.toString();
  }

  boolean isDurable() {
    return durable;
  }

  /** Names a whole file and forgets its temporary name. */
  Path place(Path temporary, String folder, String name) throws IOException {
    ArtifactNames.checkFolder(folder);
    ArtifactNames.checkStored(name);
    Path target = root.resolve(folder);
    if (Disk.makeFolder(target) && durable) {
      Disk.force(root);
    }
    if (!Disk.isRealFolder(target)) {
      throw new NameProblem(
          "The folder `%s` is not a folder but a link or a file.".formatted(folder));
    }
    Path finalName = target.resolve(name);
    ExclusiveName.give(temporary, finalName, durable, crash);
    Files.deleteIfExists(temporary);
    if (durable) {
      Disk.force(target);
    }
    return finalName;
  }

  /**
   * Lets a path below a root pass whose parts are all names that this store could have given.
   * Whether something is there, and what, is another matter.
   *
   * @throws NameProblem if it is not
   */
  public static void check(String uri) {
    parts(uri);
  }

  private static List<String> parts(String uri) {
    List<String> parts = List.of(uri.split("/", -1));
    if (parts.size() > DEEPEST_URI) {
      throw new NameProblem("The path has more than %d parts.".formatted(DEEPEST_URI));
    }
    int last = parts.size() - 1;
    parts.subList(0, last).forEach(ArtifactNames::checkFolder);
    ArtifactNames.checkStored(parts.get(last));
    return parts;
  }

  private Path resolve(String uri) {
    Path path = root;
    for (String part : parts(uri)) {
      path = path.resolve(part);
      if (Files.isSymbolicLink(path)) {
        throw new NameProblem("The path leads through a link, which may lead anywhere.");
      }
    }
    return path;
  }
}
