package dev.pmbot.artifact;

import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.Await;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Holds the thread that reads a file before a part of it, so that a test decides what happens then.
 */
final class HashingGate implements CrashPoints {
  private int parts;
  private int holdAt;
  private boolean holdAll;
  private CountDownLatch held = new CountDownLatch(0);
  private CountDownLatch open = new CountDownLatch(0);

  @Override
  public void reached(String point) {
    if (!point.equals("hash.part")) {
      return;
    }
    CountDownLatch waitFor;
    synchronized (this) {
      parts++;
      if (parts != holdAt && !holdAll) {
        return;
      }
      held.countDown();
      waitFor = open;
    }
    try {
      if (!waitFor.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        throw new IllegalStateException("the test never opened the gate");
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Holds the thread that comes to a part, the first being 1, and no other. */
  synchronized void holdAt(int part) {
    held = new CountDownLatch(1);
    open = new CountDownLatch(1);
    holdAt = parts + part;
  }

  /** Holds every thread that comes to a part from now on. */
  synchronized void holdAll() {
    held = new CountDownLatch(1);
    open = new CountDownLatch(1);
    holdAll = true;
  }

  /** Waits until a thread is held. */
  void awaitHeld() {
    CountDownLatch waitFor;
    synchronized (this) {
      waitFor = held;
    }
    Await.until("a file is being read", () -> waitFor.getCount() == 0);
  }

  /** Lets them go on. */
  synchronized void open() {
    holdAll = false;
    open.countDown();
  }

  /** How many parts were read, or are about to be. */
  synchronized int parts() {
    return parts;
  }
}
