package dev.pmbot.kit;

import dev.pmbot.files.Sha256;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** Whole folders of a stopped server. */
public final class Folders {
  private Folders() {}

  /** Copies a folder with all that is in it; rights are kept, links are copied as links. */
  public static void copy(Path from, Path to) {
    for (Path path : all(from)) {
      Path target = to.resolve(from.relativize(path).toString());
      try {
        Files.copy(path, target, StandardCopyOption.COPY_ATTRIBUTES);
      } catch (IOException failure) {
        throw new UncheckedIOException(failure);
      }
    }
  }

  /** Every file below a folder by its path there, with the SHA-256 of what it holds. */
  public static Map<String, String> contents(Path folder) {
    Map<String, String> contents = new TreeMap<>();
    for (Path path : all(folder)) {
      if (Files.isRegularFile(path)) {
        try {
          contents.put(
              folder.relativize(path).toString(),
              HexFormat.of().formatHex(Sha256.of(Files.readAllBytes(path))));
        } catch (IOException failure) {
          throw new UncheckedIOException(failure);
        }
      }
    }
    return contents;
  }

  private static List<Path> all(Path folder) {
    try (Stream<Path> paths = Files.walk(folder)) {
      return paths.sorted().toList();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }
}
