package dev.pmbot.server;

import dev.pmbot.config.Config;
import dev.pmbot.files.DataDirectory;
import dev.pmbot.files.DataDirectoryProblem;
import dev.pmbot.files.Discovery;
import dev.pmbot.files.Discovery.Announcement;
import dev.pmbot.files.PrivateFiles;
import dev.pmbot.store.SqliteInspection;
import dev.pmbot.store.Store;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.Time;
import dev.pmbot.v1.GetServerInfoResponse;
import dev.pmbot.v1.Measurements;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Looks at what a server needs, whether one runs or not. Nothing in the data directory is changed
 * or held: a server that runs is asked, and a database is opened only when nobody has it and no log
 * of a crash waits beside it.
 */
public final class Doctor {
  private static final long LARGE_LOG_BYTES = 256L << 20;
  private static final long QUICKLY_READ_BYTES = 1L << 30;

  private final Config config;
  private final Time time;
  private final Consumer<Finding> found;
  private final MachineCheck machine;
  private final Path root;

  /**
   * Over what the server would run with.
   *
   * @param found told of each thing as soon as it was looked at
   */
  public Doctor(Config config, Time time, Consumer<Finding> found) {
    this.config = config;
    this.time = time;
    this.found = found;
    this.machine = new MachineCheck(found);
    this.root = real(config.dataDirectory().toAbsolutePath().normalize());
  }

  private static Path real(Path directory) {
    try {
      return directory.toRealPath();
    } catch (IOException notThere) {
      return directory;
    }
  }

  private void ok(String about, String said) {
    found.accept(Finding.ok(about, said));
  }

  private void warn(String about, String said) {
    found.accept(Finding.warn(about, said));
  }

  private void fail(String about, String said) {
    found.accept(Finding.fail(about, said));
  }

  /** Looks at everything. */
  public void examine() {
    machine.java();
    machine.openFiles();
    machine.disk(existing(root));
    machine.sqlite();
    machine.clock(time, lastWritten());
    try {
      switch (DataDirectory.kindOf(root)) {
        case NEW -> newDirectory();
        case FOREIGN ->
            fail(
                "data directory",
                root
                    + " is not empty and no data directory of this server; name another with --data");
        case OURS -> ours();
      }
    } catch (DataDirectoryProblem closed) {
      fail("data directory", String.valueOf(closed.getMessage()));
    }
  }

  private static Path existing(Path path) {
    Path existing = path;
    while (!Files.exists(existing) && existing.getParent() != null) {
      existing = existing.getParent();
    }
    return existing;
  }

  private Path database() {
    return root.resolve("control_plane").resolve("pmbot.sqlite3");
  }

  private Path log() {
    return database().resolveSibling(database().getFileName() + "-wal");
  }

  private Optional<Instant> lastWritten() {
    try {
      return Optional.of(Files.getLastModifiedTime(database()).toInstant());
    } catch (IOException none) {
      return Optional.empty();
    }
  }

  private void newDirectory() {
    Path existing = existing(root);
    if (Files.isWritable(existing)) {
      ok("data directory", root + " is new; the first start makes what it needs");
    } else {
      fail("data directory", "you may not write to " + existing + "; name another with --data");
    }
    machine.port(config.host(), config.port());
  }

  private void ours() {
    rights();
    Optional<String> holder = DataDirectory.holderOf(root);
    if (holder.isPresent()) {
      server(holder.get());
      return;
    }
    ok("data directory", root + ", no server has it");
    Optional<Announcement> left = Discovery.read(root.resolve(Discovery.FILE));
    if (left.isPresent()) {
      warn(
          "server",
          "the last one (pid %d) was killed, and clients may still look for it at %s; start one"
              .formatted(left.get().pid(), left.get().address()));
    }
    stoppedDatabase();
    machine.port(config.host(), config.port());
  }

  /** Secrets are for their owner, and the owner can work here. */
  private void rights() {
    List<Path> wide = new ArrayList<>();
    int secrets = 0;
    for (Path folder : List.of(root.resolve("tokens"), database().resolveSibling("keys"))) {
      try (var files = Files.newDirectoryStream(folder)) {
        for (Path file : files) {
          secrets++;
          if (!PrivateFiles.isPrivate(file)) {
            wide.add(file);
          }
        }
      } catch (IOException unreadable) {
        fail("secrets", folder + " cannot be read: " + unreadable + "; run this as its owner");
        return;
      }
    }
    if (wide.isEmpty()) {
      ok("secrets", secrets + " tokens and keys, readable by their owner alone");
    } else {
      fail(
          "secrets",
          "others may read %s: chmod 600, and delete what is a token, which makes a new one at the start"
              .formatted(wide));
    }
    for (Path folder : List.of(root, database().getParent(), root.resolve("artifacts"))) {
      if (Files.exists(folder) && !Files.isWritable(folder)) {
        fail("rights", "you may not write to " + folder + "; run this as its owner");
      }
    }
  }

  private void stoppedDatabase() {
    if (!Files.exists(database())) {
      warn("database", "there is none yet; the next start makes it");
      return;
    }
    long left = log().toFile().length();
    if (left > 0) {
      warn(
          "database",
          "the last server was killed and left a log of %d KiB, which the next start takes up; fsck looks at both"
              .formatted(left >> 10));
      return;
    }
    List<Finding> seen = new ArrayList<>();
    look(seen::add);
    // Whoever started meanwhile writes where this was reading: what was seen means nothing.
    Optional<String> holder = DataDirectory.holderOf(root);
    if (holder.isPresent()) {
      warn("database", "a server started while this was looking; look again");
    } else {
      seen.forEach(found);
    }
  }

  private void look(Consumer<Finding> seen) {
    try {
      if (SqliteInspection.isOlder(database())) {
        seen.accept(
            Finding.warn(
                "database",
                "it is older than this program; the next start brings it up to date: copy the directory first"));
      } else {
        lookForDamage(seen);
      }
    } catch (StoreException refused) {
      seen.accept(Finding.fail("database", String.valueOf(refused.getMessage())));
    }
  }

  private void lookForDamage(Consumer<Finding> seen) {
    try (SqliteInspection database = SqliteInspection.untouched(database(), time)) {
      Store.Size size = database.size();
      String what =
          "schema %s, which is this program's, %d MiB"
              .formatted(database.schemaVersion(), size.databaseBytes() >> 20);
      if (size.databaseBytes() > QUICKLY_READ_BYTES) {
        seen.accept(Finding.ok("database", what + "; fsck looks whether it is damaged"));
        return;
      }
      List<String> damage = new ArrayList<>();
      try {
        database.integrity(true, damage::add);
      } catch (StoreException unreadable) {
        damage.add(String.valueOf(unreadable.getMessage()));
      }
      seen.accept(
          damage.isEmpty()
              ? Finding.ok("database", what + ", no damage seen; fsck looks closer")
              : Finding.fail(
                  "database",
                  "it is damaged (%s); run fsck, and put a backup back".formatted(damage.get(0))));
    }
  }

  private void server(String holder) {
    Optional<Announcement> announced = Discovery.read(root.resolve(Discovery.FILE));
    if (announced.isEmpty()) {
      warn(
          "server",
          holder
              + " It does not say where it is: it is starting or stopping, or is another command.");
      return;
    }
    Announcement server = announced.get();
    ok("data directory", root + ", in use by the server with pid " + server.pid());
    ServerVisit visit = new ServerVisit(server.address(), root);
    Optional<GetServerInfoResponse> answer = visit.ask();
    if (answer.isEmpty()) {
      fail(
          "server",
          "pid %d has the directory, but %s does not answer: %s"
              .formatted(server.pid(), server.address(), visit.refusal()));
      return;
    }
    tell(server.address(), answer.get());
  }

  private void tell(String address, GetServerInfoResponse info) {
    String said = "%s serves, version %s".formatted(address, info.getVersion());
    if (info.getVersion().equals(Config.version())) {
      ok("server", said);
    } else {
      warn("server", said + ", but this program is " + Config.version() + "; restart it");
    }
    Measurements now = info.getMeasurements();
    ok(
        "database",
        "schema %s, %d MiB; it is the server's, so nobody else looks at it"
            .formatted(info.getSchemaVersion(), now.getDatabaseBytes() >> 20));
    String ahead = "%d MiB are written ahead".formatted(now.getLogBytes() >> 20);
    if (now.getLogBytes() > LARGE_LOG_BYTES) {
      warn("log", ahead + ": something reads for very long; the server's own log says since when");
    } else {
      ok("log", ahead);
    }
    ok(
        "load",
        "%d streams open, %d claims and %d writes waiting, %d MiB of heap used"
            .formatted(
                now.getOpenStreams(),
                now.getWaitingClaims(),
                now.getWaitingWrites(),
                now.getHeapUsedBytes() >> 20));
  }
}
