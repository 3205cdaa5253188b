package dev.pmbot.kit;

import dev.pmbot.files.CrashPoints;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Holds the thread that writes just before a commit, so that a test decides what gathers in the
 * next group. Open until it is closed.
 */
public final class Gate implements CrashPoints {
  private final AtomicInteger commits = new AtomicInteger();
  private volatile CountDownLatch open = new CountDownLatch(0);
  private volatile CountDownLatch held = new CountDownLatch(0);

  @Override
  public void reached(String point) {
    if (!point.equals("commit.before")) {
      return;
    }
    commits.incrementAndGet();
    held.countDown();
    try {
      if (!open.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        throw new IllegalStateException("the test never opened the gate");
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Closes it: the next commit waits before it. */
  public void close() {
    held = new CountDownLatch(1);
    open = new CountDownLatch(1);
  }

  /** Waits until a commit waits. */
  public void awaitHeld() {
    try {
      if (!held.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("no commit came to the gate");
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while waiting for a commit", interrupted);
    }
  }

  /** Lets whatever waits, and all that comes, pass. */
  public void open() {
    open.countDown();
  }

  /** How many commits came here. */
  public int commits() {
    return commits.get();
  }
}
