package dev.pmbot.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import org.jspecify.annotations.Nullable;

/**
 * What tells a file that was looked at from one that was changed or replaced since.
 *
 * @param fileKey which file it is, where the file system can say
 * @param sizeBytes its length
 * @param modified when it was last written to, as finely as the file system keeps it
 */
public record Stamp(@Nullable Object fileKey, long sizeBytes, FileTime modified) {
  static Stamp of(Path file) throws IOException {
    BasicFileAttributes attributes =
        Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    return new Stamp(attributes.fileKey(), attributes.size(), attributes.lastModifiedTime());
  }
}
