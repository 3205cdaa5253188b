package dev.pmbot.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class MountsTest {
  private static final List<String> TABLE =
      List.of(
          "overlay / overlay rw,relatime 0 0",
          "tmpfs /tmp tmpfs rw,nosuid,nodev,noexec 0 0",
          "/dev/sda1 /tmp/inner ext4 rw 0 0",
          "server:/export /mnt/my\\040disk nfs4 ro,noexec,relatime 0 0",
          "none /covered tmpfs rw,noexec 0 0",
          "none /covered xfs rw 0 0",
          "nonsense");

  @ParameterizedTest
  @CsvSource({
    "/home/me/data, overlay, rw",
    "/tmp, tmpfs, rw",
    "/tmp/data, tmpfs, rw",
    "/tmp/inner/data, ext4, rw",
    "/tmpfile, overlay, rw",
    "/mnt/my disk/data, nfs4, ro",
    "/covered/data, xfs, rw"
  })
  void theDeepestAndLastMountCounts(String path, String type, String firstOption) {
    Mounts.Mount mount = Mounts.of(Path.of(path), TABLE).orElseThrow();
    assertEquals(type, mount.type());
    assertEquals(firstOption, mount.options().get(0));
  }

  @Test
  void whatIsNotToldIsNotKnown() {
    assertEquals(Optional.empty(), Mounts.of(Path.of("/x"), List.of()));
    assertEquals(Optional.empty(), Mounts.of(Path.of("/no/such/path")));
  }

  @Test
  void thisMachineIsRead() {
    boolean tells = Files.isReadable(Path.of("/proc/self/mounts"));
    assertTrue(Mounts.of(Path.of(".")).isPresent() == tells);
  }
}
