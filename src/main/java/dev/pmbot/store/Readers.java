package dev.pmbot.store;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.apache.ibatis.session.SqlSession;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A few threads that read, each with a connection of its own that cannot write. */
final class Readers implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Readers.class);
  private static final int LONGEST_QUEUE = 16_384;

  private final Sqlite sqlite;
  private final Sessions sessions;
  private final Time time;
  private final ThreadPoolExecutor threads;
  private final Set<Reader> open = ConcurrentHashMap.newKeySet();
  private final ThreadLocal<@Nullable Reader> mine = new ThreadLocal<>();

  Readers(Sqlite sqlite, Sessions sessions, Time time, int count) {
    this.sqlite = sqlite;
    this.sessions = sessions;
    this.time = time;
    AtomicInteger number = new AtomicInteger();
    threads =
        new ThreadPoolExecutor(
            count,
            count,
            0,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(LONGEST_QUEUE),
            task -> new Thread(task, "pmbot-reader-" + number.incrementAndGet()));
  }

  <T> CompletableFuture<T> submit(BooleanSupplier abandoned, Work<T> work) {
    CompletableFuture<T> future = new CompletableFuture<>();
    try {
      threads.execute(() -> carryOut(abandoned, work, future));
    } catch (RejectedExecutionException refused) {
      StoreException.Kind kind =
          threads.isShutdown() ? StoreException.Kind.CLOSED : StoreException.Kind.QUEUE_FULL;
      future.completeExceptionally(new StoreException(kind, "no read can be taken on", refused));
    }
    return future;
  }

  private <T> void carryOut(BooleanSupplier abandoned, Work<T> work, CompletableFuture<T> future) {
    // Who has waited in vain and left must not take the turn of those who still wait: under more
    // reads than can be done, nobody would be served any more.
    if (abandoned.getAsBoolean()) {
      future.completeExceptionally(StoreException.abandoned());
      return;
    }
    T result;
    try {
      result = read(work);
    } catch (Throwable failure) {
      future.completeExceptionally(Sqlite.explain(failure));
      return;
    }
    future.complete(result);
  }

  private <T> T read(Work<T> work) throws SQLException {
    Reader reader = reader();
    boolean ended = false;
    try {
      reader.statement.execute("BEGIN");
      T result = work.in(new Tx(reader.session, "system", time.nowMicros()));
      reader.statement.execute("ROLLBACK");
      ended = true;
      return result;
    } finally {
      if (!ended) {
        // A failed read may have lost its transaction or not; a fresh connection is certain.
        mine.remove();
        open.remove(reader);
        reader.close();
      }
    }
  }

  private Reader reader() throws SQLException {
    Reader reader = mine.get();
    if (reader == null) {
      Connection connection = sqlite.reader();
      reader = new Reader(connection, connection.createStatement(), sessions.over(connection));
      open.add(reader);
      mine.set(reader);
    }
    return reader;
  }

  /** Finishes what is waiting and closes the connections. */
  @Override
  public void close() {
    threads.shutdown();
    try {
      if (!threads.awaitTermination(10, TimeUnit.SECONDS)) {
        log.warn("a read is still running after 10 s; its connection is closed under it");
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    open.forEach(Reader::close);
  }

  private record Reader(Connection connection, Statement statement, SqlSession session) {
    void close() {
      Sqlite.closeQuietly(statement);
      Sqlite.closeQuietly(connection);
    }
  }
}
