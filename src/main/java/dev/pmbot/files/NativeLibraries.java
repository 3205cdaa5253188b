package dev.pmbot.files;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Where sqlite-jdbc and Netty unpack their native code. */
final class NativeLibraries {
  private static final List<String> PROPERTIES =
      List.of("org.sqlite.tmpdir", "io.grpc.netty.shaded.io.netty.native.workdir");

  /** What we set ourselves may be set again, when one process opens several directories in turn. */
  private static @Nullable String setByUs;

  private NativeLibraries() {}

  static synchronized void unpackInto(Path folder) {
    for (String property : PROPERTIES) {
      String current = System.getProperty(property);
      if (current == null || Objects.equals(current, setByUs)) {
        System.setProperty(property, folder.toString());
      }
    }
    setByUs = folder.toString();
  }
}
