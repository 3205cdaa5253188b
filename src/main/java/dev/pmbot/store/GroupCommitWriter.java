package dev.pmbot.store;

import com.google.common.util.concurrent.Uninterruptibles;
import dev.pmbot.files.CrashPoints;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import org.apache.ibatis.session.SqlSession;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one thread that writes. It takes what is waiting, does it all in one transaction, commits
 * once, and only then lets anyone be answered.
 *
 * <p>Most often nothing fails, so the units of a group are first done together. If one throws, all
 * is undone, and each is done again under a savepoint of its own: what fails then is undone alone.
 * When the transaction itself is gone (a full disk takes all of it, not the savepoint), no further
 * unit of the group may run: its savepoint would be a transaction of its own and commit alone. The
 * group fails, and connection and session are thrown away.
 */
final class GroupCommitWriter implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(GroupCommitWriter.class);
  static final int LARGEST_GROUP = 256;
  static final int LONGEST_QUEUE = 4096;
  private static final int BRIEFLY_MILLIS = 50;

  /** The last thing in the queue once it is closed. */
  private static final Unit<?> END = new Unit<>("system", Store.NEVER, tx -> Boolean.TRUE);

  /** Makes the writer look up when nobody writes. */
  private static final Unit<?> NUDGE = new Unit<>("system", Store.NEVER, tx -> Boolean.TRUE);

  private final Sqlite sqlite;
  private final Sessions sessions;
  private final Time time;
  private final Executor replies;
  private final CrashPoints crashPoints;
  private final LogWriteBack writeBack;
  private final SlowCommits slowCommits = new SlowCommits();
  private final WriteTrouble trouble;
  private final BlockingQueue<Unit<?>> queue = new ArrayBlockingQueue<>(LONGEST_QUEUE);
  private final Thread thread = new Thread(this::run, "pmbot-writer");
  private final Object closing = new Object();
  private boolean closed;
  private @Nullable Session session;

  GroupCommitWriter(
      Sqlite sqlite, Sessions sessions, Time time, Executor replies, CrashPoints crashPoints) {
    this.sqlite = sqlite;
    this.sessions = sessions;
    this.time = time;
    this.replies = replies;
    this.crashPoints = crashPoints;
    // Where the queue is full there is no need to: the writer looks up after each group.
    this.writeBack = new LogWriteBack(sqlite, () -> queue.offer(NUDGE));
    this.trouble = new WriteTrouble(time);
  }

  void start() {
    thread.start();
    writeBack.start();
  }

  <T> CompletableFuture<T> submit(String actor, BooleanSupplier abandoned, Work<T> work) {
    Unit<T> unit = new Unit<>(actor, abandoned, work);
    // Under the lock, so that nothing can enter the queue behind the mark that ends it.
    synchronized (closing) {
      if (closed) {
        unit.fail(new StoreException(StoreException.Kind.CLOSED, "the server is stopping", null));
      } else if (!queue.offer(unit)) {
        unit.fail(
            new StoreException(
                StoreException.Kind.QUEUE_FULL,
                LONGEST_QUEUE + " writes are waiting already",
                null));
      }
    }
    return unit.future;
  }

  int waiting() {
    return queue.size();
  }

  /** Finishes what is waiting, writes the log back into the database, and ends the thread. */
  @Override
  public void close() {
    synchronized (closing) {
      if (closed) {
        return;
      }
      closed = true;
    }
    Uninterruptibles.putUninterruptibly(queue, END);
    Uninterruptibles.joinUninterruptibly(thread);
  }

  private void run() {
    List<Unit<?>> group = new ArrayList<>(LARGEST_GROUP);
    boolean ended = false;
    while (!ended) {
      group.add(Uninterruptibles.takeUninterruptibly(queue));
      queue.drainTo(group, LARGEST_GROUP - 1);
      ended = group.remove(END);
      group.removeIf(unit -> unit == NUDGE);
      if (!group.isEmpty()) {
        carryOut(group);
        group.clear();
      }
      writeBack.keepUp();
      if (writeBack.isToBeginAnew()) {
        beginLogAnew();
      }
    }
    writeBack.close();
    checkpointAndClose();
  }

  private void carryOut(List<Unit<?>> group) {
    Session current;
    try {
      current = session();
      current.execute("BEGIN IMMEDIATE");
    } catch (SQLException | RuntimeException failure) {
      failAll(group, "BEGIN", StoreException.Kind.UNAVAILABLE, failure);
      return;
    }
    if (!tryTogether(current, group)) {
      try {
        current = begunAgain(current);
      } catch (SQLException | RuntimeException failure) {
        failAll(group, "BEGIN", StoreException.Kind.UNAVAILABLE, failure);
        return;
      }
      for (Unit<?> unit : group) {
        Throwable broken = unit.isAbandoned() ? null : carryOut(current, unit);
        if (broken != null) {
          failAll(group, "the transaction", StoreException.Kind.OUTCOME_UNKNOWN, broken);
          return;
        }
      }
    }
    long begin = time.monotonicNanos();
    try {
      crashPoints.reached("commit.before");
      current.execute("COMMIT");
    } catch (SQLException | RuntimeException failure) {
      failAll(group, "COMMIT", StoreException.Kind.OUTCOME_UNKNOWN, failure);
      return;
    }
    long end = time.monotonicNanos();
    slowCommits.took(end - begin, end);
    trouble.over();
    writeBack.committed(group.size());
    for (Unit<?> unit : group) {
      unit.runCommitted();
    }
    crashPoints.reached("commit.after");
    // With nobody waiting, handing one answer to another thread would only take time.
    Executor answering = group.size() == 1 && queue.isEmpty() ? Runnable::run : replies;
    for (Unit<?> unit : group) {
      unit.answer(answering);
    }
  }

  /** Whether all units went well. */
  private boolean tryTogether(Session current, List<Unit<?>> group) {
    Tx.Shared shared = new Tx.Shared();
    try {
      for (Unit<?> unit : group) {
        if (!unit.isAbandoned()) {
          unit.run(new Tx(current.mappers, unit.actor, time.nowMicros(), shared, true));
        }
      }
      shared.end();
      return true;
    } catch (Throwable failure) {
      log.debug("a group is done again, each unit alone", failure);
      group.forEach(Unit::undo);
      return false;
    }
  }

  /**
   * A full disk may have rolled back already; then, or if it cannot be, a new connection is sure.
   */
  private Session begunAgain(Session current) throws SQLException {
    try {
      current.execute("ROLLBACK");
    } catch (SQLException gone) {
      discardSession();
    }
    Session next = session();
    next.execute("BEGIN IMMEDIATE");
    return next;
  }

  /**
   * What broke the transaction; none when it still stands. The unit's own success or failure is
   * kept in it.
   */
  private @Nullable Throwable carryOut(Session current, Unit<?> unit) {
    try {
      current.execute("SAVEPOINT unit");
      unit.run(new Tx(current.mappers, unit.actor, time.nowMicros()));
      current.execute("RELEASE unit");
      return null;
    } catch (Throwable failure) {
      unit.undo();
      unit.outcome = Sqlite.explain(failure);
      try {
        current.execute("ROLLBACK TO unit");
        current.execute("RELEASE unit");
        return null;
      } catch (SQLException gone) {
        return failure;
      }
    }
  }

  /** Nobody of the group is told that it succeeded, and the connection is not trusted again. */
  private void failAll(
      List<Unit<?>> group, String where, StoreException.Kind otherwise, Throwable failure) {
    discardSession();
    // A full disk takes back all that was not committed, so nobody need wonder what came of it.
    StoreException.Kind kind =
        Sqlite.explain(failure) instanceof StoreException known
                && known.kind() == StoreException.Kind.DISK_FULL
            ? StoreException.Kind.DISK_FULL
            : otherwise;
    trouble.met(kind, where, failure);
    StoreException told = new StoreException(kind, message(kind, where), failure);
    for (Unit<?> unit : group) {
      if (!(unit.outcome instanceof StoreException)) {
        unit.outcome = told;
      }
      unit.answer(replies);
    }
  }

  private static String message(StoreException.Kind kind, String where) {
    return switch (kind) {
      case DISK_FULL -> Sqlite.FULL;
      case OUTCOME_UNKNOWN -> where + " failed; ask again with the same request_id";
      case UNAVAILABLE, QUEUE_FULL, ABANDONED, CLOSED -> Sqlite.NO_ANSWER;
    };
  }

  private Session session() throws SQLException {
    if (session == null) {
      Connection connection = sqlite.writer();
      session = new Session(connection, sessions.over(connection));
    }
    return session;
  }

  private void discardSession() {
    Session broken = session;
    session = null;
    if (broken != null) {
      broken.close();
    }
  }

  /** Waits for readers, but not long: one that stays is somebody else's to end. */
  private void beginLogAnew() {
    try {
      writeBack.begunAnew(session().beginLogAnew(writeBack.isLarge()));
    } catch (SQLException | RuntimeException failure) {
      writeBack.notBegunAnew(failure);
      discardSession();
    }
  }

  private void checkpointAndClose() {
    try {
      session().execute("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (SQLException | RuntimeException failure) {
      log.warn("the log could not be written back; the next start does it", failure);
    }
    discardSession();
  }

  /**
   * A connection with the statements that bound transactions, prepared once: each unit runs two of
   * them.
   */
  private static final class Session {
    final Connection connection;
    final SqlSession mappers;
    private final Map<String, PreparedStatement> bounds = new HashMap<>();

    Session(Connection connection, SqlSession mappers) {
      this.connection = connection;
      this.mappers = mappers;
    }

    void execute(String sql) throws SQLException {
      prepared(sql).execute();
    }

    /**
     * Of a file that has become large, nothing is kept: it may be long until it is needed again.
     */
    LogWriteBack.Pass beginLogAnew(boolean fromNothing) throws SQLException {
      Sqlite.setBusyTimeout(connection, BRIEFLY_MILLIS);
      try {
        return LogWriteBack.pass(
            prepared(
                fromNothing
                    ? "PRAGMA wal_checkpoint(TRUNCATE)"
                    : "PRAGMA wal_checkpoint(RESTART)"));
      } finally {
        Sqlite.setBusyTimeout(connection, Sqlite.BUSY_TIMEOUT_MILLIS);
      }
    }

    private PreparedStatement prepared(String sql) throws SQLException {
      PreparedStatement statement = bounds.get(sql);
      if (statement == null) {
        statement = connection.prepareStatement(sql);
        bounds.put(sql, statement);
      }
      return statement;
    }

    void close() {
      bounds.values().forEach(Sqlite::closeQuietly);
      Sqlite.closeQuietly(connection);
    }
  }

  private static final class Unit<T> {
    final String actor;
    final BooleanSupplier abandoned;
    final Work<T> work;
    final CompletableFuture<T> future = new CompletableFuture<>();
    List<Runnable> committed = List.of();
    @Nullable T result;
    @Nullable Throwable outcome;

    Unit(String actor, BooleanSupplier abandoned, Work<T> work) {
      this.actor = actor;
      this.abandoned = abandoned;
      this.work = work;
    }

    boolean isAbandoned() {
      boolean gone = abandoned.getAsBoolean();
      if (gone) {
        outcome = StoreException.abandoned();
      }
      return gone;
    }

    void undo() {
      result = null;
      outcome = null;
      committed = List.of();
    }

    void run(Tx tx) {
      result = work.in(tx);
      tx.end();
      committed = tx.committed();
    }

    void runCommitted() {
      for (Runnable action : committed) {
        try {
          action.run();
        } catch (RuntimeException failure) {
          log.error("what follows a commit failed", failure);
        }
      }
    }

    void answer(Executor replies) {
      replies.execute(
          () -> {
            if (outcome != null) {
              future.completeExceptionally(outcome);
            } else {
              future.complete(result);
            }
          });
    }

    void fail(StoreException failure) {
      future.completeExceptionally(failure);
    }
  }
}
