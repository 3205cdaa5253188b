package dev.pmbot.store;

import com.google.common.util.concurrent.MoreExecutors;
import dev.pmbot.files.CrashPoints;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.BooleanSupplier;

/** The database in a SQLite file. */
public final class SqliteStore implements Store {
  static final int READERS = 4;
  private static final Duration LONGEST_REPLIES = Duration.ofSeconds(2);

  private final Sqlite sqlite;
  private final Migrations.Facts facts;
  private final ExecutorService replies;
  private final GroupCommitWriter writer;
  private final Readers readers;

  /**
   * Opens the file, makes or migrates what is in it, and starts the threads.
   *
   * @throws StoreException when it is no database of ours, newer than the program, or cannot be
   *     opened
   */
  public SqliteStore(
      Path file,
      Synchronous synchronous,
      List<Class<?>> mappers,
      Ids ids,
      Time time,
      CrashPoints crashPoints) {
    sqlite = new Sqlite(file, synchronous);
    // Reading the mappers takes as long as migrating; neither needs the other.
    CompletableFuture<Sessions> reading =
        CompletableFuture.supplyAsync(() -> new Sessions(mappers));
    facts = Migrations.migrate(sqlite, ids, time);
    Sessions sessions = reading.join();
    replies = Executors.newSingleThreadExecutor(task -> new Thread(task, "pmbot-replies"));
    writer = new GroupCommitWriter(sqlite, sessions, time, replies, crashPoints);
    readers = new Readers(sqlite, sessions, time, READERS);
    writer.start();
  }

  @Override
  public <T> CompletableFuture<T> write(String actor, BooleanSupplier abandoned, Work<T> work) {
    return writer.submit(actor, abandoned, work);
  }

  @Override
  public <T> CompletableFuture<T> read(BooleanSupplier abandoned, Work<T> work) {
    return readers.submit(abandoned, work);
  }

  @Override
  public int waitingWrites() {
    return writer.waiting();
  }

  @Override
  public Size size() {
    return sqlite.size();
  }

  @Override
  public String incarnation() {
    return facts.incarnation();
  }

  @Override
  public String schemaVersion() {
    return facts.schemaVersion();
  }

  @Override
  public void close() {
    // Readers first: one that is still open would keep the log from being written back.
    readers.close();
    writer.close();
    MoreExecutors.shutdownAndAwaitTermination(replies, LONGEST_REPLIES);
  }
}
