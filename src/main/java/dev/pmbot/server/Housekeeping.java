package dev.pmbot.server;

import dev.pmbot.store.Store;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.Time;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.Requests;
import java.util.concurrent.CompletionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Forgets the replies whose time is over, a few at a time. It waits while others write, but not for
 * ever: under a load that never ends the table must not grow for ever.
 */
public final class Housekeeping {
  /** Replies forgotten in one unit of work. */
  static final int SLICE = 256;

  private static final Logger log = LoggerFactory.getLogger(Housekeeping.class);
  private static final long LOOK_MILLIS = 1_000;
  private static final int SHORT_QUEUE = 32;
  private static final long STAND_BACK_MILLIS = 50;
  private static final long LONGEST_STANDING_BACK_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long PAUSE_MILLIS = 20;
  // The writer is ours for a fifth of the time at most.
  private static final int PAUSES_FOR_WORK = 4;

  private final Store store;
  private final Time time;
  private final ScheduledExecutorService timer;

  /** Over a database, with a clock and a timer. */
  public Housekeeping(Store store, Time time, ScheduledExecutorService timer) {
    this.store = store;
    this.time = time;
    this.timer = timer;
  }

  /** Begins, and goes on as long as the timer does. */
  public void begin() {
    later(LOOK_MILLIS, this::look);
  }

  private void look() {
    store
        .read(tx -> Requests.expired(tx, 1) > 0)
        .whenComplete(
            (any, failure) -> {
              if (failure == null && any) {
                forget(time.monotonicNanos());
              } else {
                later(LOOK_MILLIS, this::look);
              }
            });
  }

  /** Forgets a slice, as soon as few others wait to write, or has stood back long enough. */
  private void forget(long since) {
    long begin = time.monotonicNanos();
    if (store.waitingWrites() > SHORT_QUEUE && begin - since < LONGEST_STANDING_BACK_NANOS) {
      later(STAND_BACK_MILLIS, () -> forget(since));
      return;
    }
    store
        .write(Principal.SYSTEM, Store.NEVER, tx -> Requests.forget(tx, SLICE))
        .whenComplete(
            (count, failure) -> {
              long took = TimeUnit.NANOSECONDS.toMillis(time.monotonicNanos() - begin);
              if (failure == null && count == SLICE) {
                long pause = PAUSE_MILLIS + PAUSES_FOR_WORK * took;
                later(pause, () -> forget(time.monotonicNanos()));
              } else {
                if (failure != null) {
                  tell(failure);
                }
                later(LOOK_MILLIS, this::look);
              }
            });
  }

  private static void tell(Throwable failure) {
    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
    // The store has told of its own troubles, and of its end there is nothing to tell.
    if (!(cause instanceof StoreException)) {
      log.warn("expired replies could not be forgotten; it is tried again", cause);
    }
  }

  private void later(long millis, Runnable task) {
    try {
      timer.schedule(task, millis, TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException stopped) {
      // The server stops; the next start goes on.
      log.debug("housekeeping has ended");
    }
  }
}
