package dev.pmbot.server;

import com.sun.management.UnixOperatingSystemMXBean;
import dev.pmbot.files.Mounts;
import dev.pmbot.files.Mounts.Mount;
import dev.pmbot.store.SqliteInspection;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.Time;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/** Whether a machine gives a server what it needs, whatever the server's data is. */
final class MachineCheck {
  private static final long LITTLE_ROOM_BYTES = 1L << 30;
  private static final long NO_ROOM_BYTES = 64L << 20;
  private static final long FEW_FILES = 1_024;

  /** The machines that these are on need not agree about locks, and a database needs that. */
  private static final Set<String> OVER_A_NETWORK =
      Set.of("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs");

  private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs");
  private static final Instant WRITTEN = Instant.parse("2026-01-01T00:00:00Z");

  private final Consumer<Finding> found;

  MachineCheck(Consumer<Finding> found) {
    this.found = found;
  }

  void java() {
    Runtime runtime = Runtime.getRuntime();
    found.accept(
        Finding.ok(
            "java",
            "%s of %s, %d processors, up to %d MiB of heap"
                .formatted(
                    Runtime.version(),
                    System.getProperty("java.vendor", "unknown"),
                    runtime.availableProcessors(),
                    runtime.maxMemory() >> 20)));
  }

  void openFiles() {
    if (ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix) {
      long most = unix.getMaxFileDescriptorCount();
      String said = "the system lets this process have " + most + " open";
      found.accept(
          most < FEW_FILES
              ? Finding.warn(
                  "open files",
                  said + ", and each client takes one: raise it with ulimit -n, or LimitNOFILE")
              : Finding.ok("open files", said));
    }
  }

  /** The file system that the data is on, or will be. */
  void disk(Path existing) {
    Optional<Mount> mount = Mounts.of(existing);
    String type = mount.map(Mount::type).orElse("of a kind that the system does not tell");
    if (OVER_A_NETWORK.contains(type)) {
      found.accept(
          Finding.warn(
              "file system",
              type
                  + ", over a network: its locks may not keep two servers apart; use a local disk"));
    } else if (IN_MEMORY.contains(type)) {
      found.accept(
          Finding.warn("file system", type + ", in memory: all is lost when this machine stops"));
    } else if (mount.isPresent() && mount.get().options().contains("ro")) {
      found.accept(
          Finding.fail(
              "file system", mount.get().point() + " is mounted to be read only; remount it"));
    } else {
      found.accept(Finding.ok("file system", type));
    }
    if (mount.isPresent() && mount.get().options().contains("noexec")) {
      found.accept(
          Finding.fail(
              "native code",
              mount.get().point()
                  + " is mounted noexec, so SQLite's library cannot be loaded from there: name a folder that"
                  + " allows it, java -Dorg.sqlite.tmpdir=FOLDER"
                  + " -Dio.grpc.netty.shaded.io.netty.native.workdir=FOLDER -jar …"));
    }
    long free = existing.toFile().getUsableSpace();
    String said = (free >> 20) + " MiB are free";
    if (free < NO_ROOM_BYTES) {
      found.accept(Finding.fail("room", said + ": make room, or writes are soon refused"));
    } else if (free < LITTLE_ROOM_BYTES) {
      found.accept(Finding.warn("room", said + ": make room"));
    } else {
      found.accept(Finding.ok("room", said));
    }
  }

  /** Whether SQLite does what is asked of it, tried in the temporary folder. */
  void sqlite() {
    try {
      Path folder = Files.createTempDirectory("pmbot-doctor");
      Path scratch = folder.resolve("scratch.sqlite3");
      try {
        found.accept(
            Finding.ok(
                "sqlite", SqliteInspection.tried(scratch) + ", takes WAL and all other settings"));
      } catch (StoreException refused) {
        found.accept(Finding.fail("sqlite", String.valueOf(refused.getMessage())));
      } finally {
        try (var files = Files.newDirectoryStream(folder)) {
          for (Path file : files) {
            Files.delete(file);
          }
        }
        Files.delete(folder);
      }
    } catch (IOException | UncheckedIOException full) {
      found.accept(
          Finding.warn("sqlite", "not tried, for the temporary folder cannot be used: " + full));
    }
  }

  /** Whether the address is free. */
  void port(String host, int port) {
    String address = host + ":" + port;
    if (port == 0) {
      found.accept(Finding.ok("port", "any free one"));
      return;
    }
    try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getByName(host))) {
      found.accept(Finding.ok("port", host + ":" + socket.getLocalPort() + " is free"));
    } catch (IOException taken) {
      String who = Probe.serves(address) ? "another server of ours" : "another program";
      found.accept(
          Finding.fail(
              "port",
              "%s cannot be listened on (%s): perhaps %s has it; stop that, or choose with --port"
                  .formatted(address, taken.getMessage(), who)));
    }
  }

  /**
   * Whether the time can be right.
   *
   * @param written when something here was last written, if anything was
   */
  void clock(Time time, Optional<Instant> written) {
    Instant now = Instant.EPOCH.plus(time.nowMicros(), ChronoUnit.MICROS);
    if (now.isBefore(WRITTEN)) {
      found.accept(
          Finding.fail("clock", now + " is before this program was written; set the clock"));
    } else if (written.isPresent() && written.get().isAfter(now.plus(1, ChronoUnit.MINUTES))) {
      found.accept(
          Finding.warn(
              "clock",
              "it is said to be %s, but the database was written at %s: one of them was wrong"
                  .formatted(now, written.get())));
    } else {
      found.accept(Finding.ok("clock", now.truncatedTo(ChronoUnit.SECONDS).toString()));
    }
  }
}
