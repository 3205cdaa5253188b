package dev.pmbot.store;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Locale;
import java.util.Properties;
import org.jspecify.annotations.Nullable;
import org.sqlite.SQLiteErrorCode;
import org.sqlite.SQLiteException;

/** What is SQLite's own: its connections and its errors. */
final class Sqlite {
  static final int BUSY_TIMEOUT_MILLIS = 5_000;
  static final String FULL = "the disk or the database is full; nothing was stored";
  static final String NO_ANSWER = "the database did not answer; nothing was stored";
  private static final long LARGEST_LOG_KEPT = 64L << 20;

  /**
   * Kibibytes that the writer may keep of the database, negative as SQLite has it. SQLite's own 2
   * MiB are too few: request ids are in no order, so that each touches another leaf of its tree.
   */
  private static final String WRITER_CACHE = "-16384";

  private final Path file;
  private final Path log;
  private final String url;
  private final Synchronous synchronous;
  private final boolean untouched;

  Sqlite(Path file, Synchronous synchronous) {
    this(file, "jdbc:sqlite:" + file.toAbsolutePath(), synchronous, false);
  }

  private Sqlite(Path file, String url, Synchronous synchronous, boolean untouched) {
    this.file = file;
    this.log = file.resolveSibling(file.getFileName() + "-wal");
    this.url = url;
    this.synchronous = synchronous;
    this.untouched = untouched;
  }

  /**
   * A file that nobody has open and that has no write-ahead log: it is read without a lock, and
   * nothing is written, not even beside it.
   */
  static Sqlite untouched(Path file) {
    String url = "jdbc:sqlite:file:" + file.toUri().getRawPath() + "?immutable=1";
    return new Sqlite(file, url, Synchronous.NORMAL, true);
  }

  String url() {
    return url;
  }

  /** The sizes of the files. */
  Store.Size size() {
    return new Store.Size(file.toFile().length(), logBytes());
  }

  /** The size of the write-ahead log's file; what is in it may be less. */
  long logBytes() {
    return log.toFile().length();
  }

  /**
   * A connection that may write. Its transactions are sent as statements: the driver must not
   * manage them.
   */
  Connection writer() throws SQLException {
    return open(false);
  }

  /** A connection that can only read. */
  Connection reader() throws SQLException {
    return open(true);
  }

  private Connection open(boolean queryOnly) throws SQLException {
    Properties properties = new Properties();
    // Nobody asks for generated keys, and the driver would run a statement after each insert to
    // know them.
    properties.setProperty("jdbc.get_generated_keys", "false");
    Connection connection = DriverManager.getConnection(url, properties);
    if (untouched) {
      return connection;
    }
    try {
      // Some of these are ignored without a word when they stand in the URL, so they are sent, and
      // read back.
      set(
          connection,
          "busy_timeout",
          Integer.toString(BUSY_TIMEOUT_MILLIS),
          Integer.toString(BUSY_TIMEOUT_MILLIS));
      set(connection, "journal_mode", "WAL", "wal");
      set(
          connection,
          "synchronous",
          synchronous.name(),
          synchronous == Synchronous.FULL ? "2" : "1");
      set(connection, "foreign_keys", "ON", "1");
      set(connection, "secure_delete", "ON", "1");
      set(connection, "temp_store", "MEMORY", "2");
      // Never by whoever happens to commit: see LogWriteBack.
      set(connection, "wal_autocheckpoint", "0", "0");
      set(
          connection,
          "journal_size_limit",
          Long.toString(LARGEST_LOG_KEPT),
          Long.toString(LARGEST_LOG_KEPT));
      if (queryOnly) {
        set(connection, "query_only", "ON", "1");
      } else {
        set(connection, "cache_size", WRITER_CACHE, WRITER_CACHE);
      }
      return connection;
    } catch (SQLException | RuntimeException failure) {
      closeQuietly(connection);
      throw failure;
    }
  }

  static void setBusyTimeout(Connection connection, int millis) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute("PRAGMA busy_timeout = " + millis);
    }
  }

  private static void set(Connection connection, String pragma, String value, String expected)
      throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute("PRAGMA " + pragma + " = " + value);
      try (ResultSet result = statement.executeQuery("PRAGMA " + pragma)) {
        String actual = result.next() ? result.getString(1) : "";
        if (!expected.equals(actual.toLowerCase(Locale.ROOT))) {
          throw new SQLException(
              "PRAGMA " + pragma + " is " + actual + " although " + value + " was set");
        }
      }
    }
  }

  static void closeQuietly(@Nullable AutoCloseable resource) {
    if (resource != null) {
      try {
        resource.close();
      } catch (Exception alreadyBroken) {
        // It is thrown away because it is broken; that closing it fails too tells nothing new.
        org.slf4j.LoggerFactory.getLogger(Sqlite.class)
            .debug("closing a broken connection failed", alreadyBroken);
      }
    }
  }

  /**
   * What a failed unit tells its caller: the database's own troubles as a {@link StoreException},
   * anything else as it is.
   */
  static Throwable explain(Throwable failure) {
    SQLiteException database = find(failure);
    if (database == null) {
      return failure;
    }
    // Extended codes keep the primary code in their low byte.
    int primary = database.getResultCode().code & 0xff;
    if (primary == SQLiteErrorCode.SQLITE_FULL.code) {
      return new StoreException(StoreException.Kind.DISK_FULL, FULL, failure);
    }
    if (primary == SQLiteErrorCode.SQLITE_IOERR.code
        || primary == SQLiteErrorCode.SQLITE_BUSY.code
        || primary == SQLiteErrorCode.SQLITE_LOCKED.code
        || primary == SQLiteErrorCode.SQLITE_READONLY.code
        || primary == SQLiteErrorCode.SQLITE_CANTOPEN.code
        || primary == SQLiteErrorCode.SQLITE_NOMEM.code
        || primary == SQLiteErrorCode.SQLITE_INTERRUPT.code) {
      return new StoreException(StoreException.Kind.UNAVAILABLE, NO_ANSWER, failure);
    }
    return failure;
  }

  private static @Nullable SQLiteException find(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof SQLiteException database) {
        return database;
      }
    }
    return null;
  }
}
