package dev.pmbot.kit;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The program itself on one data directory: it is killed and started again while its clients go on.
 * Each of its lives is a process with an address of its own.
 */
public final class MortalServer implements AutoCloseable {
  /** How a killed process ends. */
  private static final int KILLED = 137;

  private static final Duration LONGEST_START = Await.PATIENCE.multipliedBy(4);

  private final Path data;
  private final Object changing = new Object();
  private @Nullable ConfinedServer life;

  private MortalServer(Path home) {
    this.data = home.resolve("data");
  }

  /** A program whose home is that folder; it does not run yet. */
  public static MortalServer in(Path home) {
    return new MortalServer(home);
  }

  /** The data directory, which outlives every life. */
  public Path dataDirectory() {
    return data;
  }

  /**
   * Starts it, and waits until it serves.
   *
   * @param options for Java itself
   */
  public ConfinedServer start(String... options) {
    List<String> all = new ArrayList<>(List.of("-XX:+UseSerialGC"));
    all.addAll(List.of(options));
    ConfinedServer begun = ConfinedServer.start(data, all.toArray(String[]::new));
    synchronized (changing) {
      life = begun;
      changing.notifyAll();
    }
    return begun;
  }

  /** The present life; waits for one while there is none. */
  public ConfinedServer life() {
    return lifeOtherThan(null);
  }

  /** The life behind one that has ended, or is about to: waits for it. */
  public ConfinedServer lifeOtherThan(@Nullable ConfinedServer ended) {
    long deadline = System.nanoTime() + LONGEST_START.toNanos();
    synchronized (changing) {
      ConfinedServer current = life;
      while (current == null || current == ended) {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          throw new AssertionError("it does not answer, and nobody has ended it");
        }
        try {
          TimeUnit.NANOSECONDS.timedWait(changing, left);
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
          throw new AssertionError("interrupted while waiting for the server", interrupted);
        }
        current = life;
      }
      return current;
    }
  }

  /** The present life; none between two. Does not wait. */
  public @Nullable ConfinedServer lifeNow() {
    synchronized (changing) {
      return life;
    }
  }

  /** Kills it as {@code kill -9} does, wherever it is. It may also have halted by itself. */
  public void kill() {
    ConfinedServer ending = life();
    synchronized (changing) {
      life = null;
    }
    ending.kill();
    ending.disconnect();
    int code = ending.child().process().exitValue();
    if (code != KILLED) {
      throw new AssertionError("it ended by itself, with " + code + ": " + ending.child().errors());
    }
  }

  @Override
  public void close() {
    ConfinedServer last = lifeNow();
    if (last != null) {
      last.close();
    }
  }
}
