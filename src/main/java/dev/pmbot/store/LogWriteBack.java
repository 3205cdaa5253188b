package dev.pmbot.store;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes the write-ahead log back into the database, on a thread and a connection of its own, so
 * that the writer need not stop for it. Only to begin the log anew must the writer lend a hand:
 * while it goes on, there is always something behind what has been written back. It is asked when
 * next to nothing is left to do, so it stops for a moment only.
 *
 * <p>A reader that stays open keeps the log from beginning anew. That is said when the log has
 * become large, and tried again every few seconds, whether anything is written meanwhile or not: a
 * log that has become large goes when the reader goes.
 */
final class LogWriteBack implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(LogWriteBack.class);

  /** So many units in the log are written back, and fewer only once there has been a pause. */
  private static final int UNITS_AT_ONCE = 2_000;

  private static final long LONGEST_PAUSE_NANOS = TimeUnit.SECONDS.toNanos(2);
  // The file's size says how large the log is only until it has once begun anew; units vary.
  private static final long BYTES_AT_ONCE = 32L << 20;
  private static final int LOOK_MILLIS = 50;
  private static final int NEXT_TO_NOTHING_PAGES = 256;
  private static final int ANEW_FROM_PAGES = 32_768;
  private static final int LARGE_PAGES = 65_536;
  private static final long LARGE_BYTES = 256L << 20;

  /** How a pass ended: whether somebody was in its way, and the pages in the log and done. */
  record Pass(boolean hindered, int pages, int done) {}

  private final Sqlite sqlite;
  private final Runnable nudge;
  private final Thread thread = new Thread(this::run, "pmbot-write-back");
  private final Object lock = new Object();
  private int units;
  private long bytes;
  private boolean passing;
  private boolean closed;
  private boolean unfinished;
  private boolean warned;
  private boolean failing;
  private boolean anewFailing;
  private volatile boolean anew;

  /** With what makes the writer look up when nobody writes. */
  LogWriteBack(Sqlite sqlite, Runnable nudge) {
    this.sqlite = sqlite;
    this.nudge = nudge;
  }

  void start() {
    thread.start();
  }

  /** The writer has committed this many units. */
  void committed(int count) {
    synchronized (lock) {
      boolean wakes = units == 0 || (units < UNITS_AT_ONCE && units + count >= UNITS_AT_ONCE);
      units += count;
      if (wakes) {
        lock.notifyAll();
      }
    }
  }

  /** Holds a writer back that is faster than the disk, until what is being written back is. */
  void keepUp() {
    synchronized (lock) {
      try {
        while (passing && !closed && isLarge()) {
          lock.wait(LOOK_MILLIS);
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Whether the writer is to begin the log anew, between two groups. */
  boolean isToBeginAnew() {
    return anew;
  }

  /** Whether the log's file is larger than is ever needed when nobody is in the way. */
  boolean isLarge() {
    return sqlite.logBytes() > LARGE_BYTES;
  }

  /** How that went. */
  void begunAnew(Pass pass) {
    synchronized (lock) {
      anew = false;
      unfinished = pass.hindered;
      lock.notifyAll();
    }
    if (!pass.hindered) {
      anewFailing = false;
      if (warned) {
        warned = false;
        log.info("the write-ahead log has begun anew");
      }
    } else if (pass.pages >= LARGE_PAGES && !warned) {
      warned = true;
      log.warn(
          "a reader that stays open keeps the write-ahead log from beginning anew: {} MiB by now",
          pass.pages >> 8);
    }
  }

  /** It failed: a full disk, most likely. */
  void notBegunAnew(Exception failure) {
    begunAnew(new Pass(true, 0, 0));
    if (!anewFailing) {
      anewFailing = true;
      log.warn("the write-ahead log could not begin anew; it is tried again", failure);
    }
  }

  /** Ends the thread; what is left in the log is the closing writer's. */
  @Override
  public void close() {
    synchronized (lock) {
      closed = true;
      lock.notifyAll();
    }
    try {
      thread.join();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    PassStatement statement = null;
    while (awaitWork()) {
      try {
        statement = statement == null ? new PassStatement(sqlite.writer()) : statement;
        writeBack(statement);
        failing = false;
      } catch (SQLException | RuntimeException failure) {
        // Nothing is lost: the log keeps it, and the next time does it.
        if (!failing) {
          failing = true;
          log.warn(
              "the write-ahead log could not be written back; it is tried again: {}",
              failure.getMessage());
        }
        Sqlite.closeQuietly(statement);
        statement = null;
        synchronized (lock) {
          unfinished = true;
        }
      }
    }
    Sqlite.closeQuietly(statement);
  }

  /** Waits until enough is in the log, or something and then a pause; false at the end. */
  private boolean awaitWork() {
    synchronized (lock) {
      try {
        passing = false;
        lock.notifyAll();
        // While the writer begins the log anew, nobody else may write back.
        while (((units == 0 && !unfinished) || anew) && !closed) {
          lock.wait();
        }
        long begin = System.nanoTime();
        while (!closed
            && units < UNITS_AT_ONCE
            && System.nanoTime() - begin < LONGEST_PAUSE_NANOS
            && sqlite.logBytes() - bytes < BYTES_AT_ONCE) {
          lock.wait(LOOK_MILLIS);
        }
      } catch (InterruptedException interrupted) {
        closed = true;
      }
      units = 0;
      passing = !closed;
      return passing;
    }
  }

  private void writeBack(PassStatement statement) throws SQLException {
    Pass pass = statement.pass();
    if (pass.pages >= ANEW_FROM_PAGES) {
      // What the writer added meanwhile, and what it added while that was written back, and so on;
      // but a writer that is faster than this must wait.
      int before = 0;
      while (pass.done - before > NEXT_TO_NOTHING_PAGES && pass.pages < LARGE_PAGES) {
        before = pass.done;
        pass = statement.pass();
      }
    }
    boolean large = pass.pages >= ANEW_FROM_PAGES;
    synchronized (lock) {
      unfinished = pass.hindered || pass.done < pass.pages;
      anew = large;
    }
    if (large) {
      nudge.run();
    }
    bytes = sqlite.logBytes();
  }

  /** Writes back what nobody is in the way of; waits for none. */
  private static final class PassStatement implements AutoCloseable {
    private final Connection connection;
    private final PreparedStatement passive;

    PassStatement(Connection connection) throws SQLException {
      this.connection = connection;
      this.passive = connection.prepareStatement("PRAGMA wal_checkpoint(PASSIVE)");
    }

    Pass pass() throws SQLException {
      return LogWriteBack.pass(passive);
    }

    @Override
    public void close() {
      Sqlite.closeQuietly(passive);
      Sqlite.closeQuietly(connection);
    }
  }

  static Pass pass(PreparedStatement statement) throws SQLException {
    try (ResultSet row = statement.executeQuery()) {
      return new Pass(row.getInt(1) != 0, row.getInt(2), row.getInt(3));
    }
  }
}
