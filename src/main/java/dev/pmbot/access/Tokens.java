package dev.pmbot.access;

import dev.pmbot.files.DataDirectoryProblem;
import dev.pmbot.files.PrivateFiles;
import dev.pmbot.files.Sha256;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Time;
import dev.pmbot.wire.Principal.Role;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The three tokens, one file a role. Only their hashes are held in memory. A file that is replaced
 * counts within a second, without a restart.
 */
public final class Tokens {
  private static final Logger log = LoggerFactory.getLogger(Tokens.class);
  private static final long LOOK_AGAIN_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Path folder;
  private final Time time;
  private volatile Map<Role, byte[]> hashes;
  private volatile long lookedAt;
  private volatile boolean failing;

  /**
   * Makes the tokens that are missing, and reads them.
   *
   * @throws DataDirectoryProblem when they cannot be made or read
   */
  public Tokens(Path folder, Ids ids, Time time) {
    this.folder = folder;
    this.time = time;
    try {
      for (Role role : Role.values()) {
        if (!Files.exists(file(role))) {
          String token = "pmbot_" + name(role) + "_" + ids.token() + ids.token();
          PrivateFiles.create(file(role), (token + "\n").getBytes(StandardCharsets.UTF_8));
        }
      }
      hashes = read();
      lookedAt = time.monotonicNanos();
    } catch (IOException failure) {
      throw new DataDirectoryProblem(
          "the tokens in " + folder + " cannot be used: " + failure, failure);
    }
  }

  /** Where a role's token lies. */
  public Path file(Role role) {
    return folder.resolve(name(role) + ".token");
  }

  private static String name(Role role) {
    return role.name().toLowerCase(Locale.ROOT);
  }

  private Map<Role, byte[]> read() throws IOException {
    Map<Role, byte[]> read = new EnumMap<>(Role.class);
    for (Role role : Role.values()) {
      String token = new String(PrivateFiles.read(file(role)), StandardCharsets.UTF_8).strip();
      if (token.isEmpty()) {
        throw new IOException(file(role) + " is empty");
      }
      read.put(role, hash(token));
    }
    return read;
  }

  private static byte[] hash(String token) {
    return Sha256.of(token.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Whose token it is; nobody's when no role has it. Takes as long for a wrong one as for a right
   * one.
   */
  @Nullable Role role(String token) {
    refresh();
    byte[] hash = hash(token);
    Role found = null;
    for (Map.Entry<Role, byte[]> entry : hashes.entrySet()) {
      if (MessageDigest.isEqual(entry.getValue(), hash)) {
        found = entry.getKey();
      }
    }
    return found;
  }

  private void refresh() {
    long now = time.monotonicNanos();
    if (now - lookedAt < LOOK_AGAIN_NANOS) {
      return;
    }
    lookedAt = now;
    try {
      hashes = read();
      failing = false;
    } catch (IOException failure) {
      if (!failing) {
        failing = true;
        log.warn("the tokens cannot be read again; those read before still count", failure);
      }
    }
  }
}
