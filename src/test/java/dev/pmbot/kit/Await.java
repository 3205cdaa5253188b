package dev.pmbot.kit;

import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/** Waits for what must come, and fails with a message when it does not come in time. */
public final class Await {
  /**
   * Far longer than anything takes on a machine that is busy; only a failing test waits it out.
   * {@code -Dpmbot.test.patience} has it longer still, in seconds.
   */
  public static final Duration PATIENCE =
      Duration.ofSeconds(Long.getLong("pmbot.test.patience", 30));

  private static final long LOOK_AGAIN_MILLIS = 5;

  private Await() {}

  /** Waits until a condition holds. */
  public static void until(String what, BooleanSupplier condition) {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadline > 0) {
        fail("waited " + PATIENCE.toSeconds() + " s in vain: " + what);
      }
      try {
        Thread.sleep(LOOK_AGAIN_MILLIS);
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        fail("interrupted while waiting: " + what);
      }
    }
  }

  /** What a future brings; the test fails when it fails or does not come. */
  public static <T> T value(String what, Future<T> future) {
    try {
      return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    } catch (TimeoutException late) {
      return fail("waited " + PATIENCE.toSeconds() + " s in vain: " + what);
    } catch (ExecutionException failure) {
      return fail(what + " failed", failure.getCause());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return fail("interrupted while waiting: " + what);
    }
  }

  /** What a future fails with; the test fails when it does not. */
  public static Throwable failure(String what, Future<?> future) {
    try {
      Object value = future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
      return fail(what + " should have failed, but brought " + value);
    } catch (TimeoutException late) {
      return fail("waited " + PATIENCE.toSeconds() + " s in vain: " + what);
    } catch (ExecutionException failure) {
      return failure.getCause();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return fail("interrupted while waiting: " + what);
    }
  }
}
