package dev.pmbot.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** How file systems are mounted, where the system tells. */
public final class Mounts {
  private static final Path TABLE = Path.of("/proc/self/mounts");

  private Mounts() {}

  /**
   * A file system as it is mounted.
   *
   * @param type as {@code mount} names it, such as ext4 or nfs4
   * @param options as {@code mount} names them, such as noexec
   */
  public record Mount(Path point, String type, List<String> options) {}

  /** The one that a path which exists is on. */
  public static Optional<Mount> of(Path path) {
    try {
      return Files.isReadable(TABLE)
          ? of(path.toRealPath(), Files.readAllLines(TABLE))
          : Optional.empty();
    } catch (IOException unknown) {
      return Optional.empty();
    }
  }

  /**
   * From lines such as {@code tmpfs /tmp tmpfs rw,noexec 0 0}; the last mount on a point counts.
   */
  static Optional<Mount> of(Path path, List<String> table) {
    Mount deepest = null;
    for (String line : table) {
      String[] parts = line.split(" ", -1);
      if (parts.length > 3) {
        // A space in a name is written as an octal number.
        Path point = Path.of(parts[1].replace("\\040", " "));
        if (path.startsWith(point)
            && (deepest == null || point.getNameCount() >= deepest.point.getNameCount())) {
          deepest = new Mount(point, parts[2], List.of(parts[3].split(",")));
        }
      }
    }
    return Optional.ofNullable(deepest);
  }
}
