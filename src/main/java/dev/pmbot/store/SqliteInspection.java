package dev.pmbot.store;

import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * A database in a SQLite file that is only looked at, by the one who holds its directory. Nothing
 * in it changes; a log that a crash left is read with it, and written back when this is closed.
 */
public final class SqliteInspection implements Store {
  private final Sqlite sqlite;
  private final Migrations.Facts facts;
  private final Readers readers;

  /**
   * Opens the file.
   *
   * @throws StoreException when it is not there, is no database of ours, cannot be opened, or has
   *     another schema than this program's
   */
  public SqliteInspection(Path file, List<Class<?>> mappers, Time time) {
    this(file, new Sqlite(file, Synchronous.NORMAL), mappers, time);
  }

  private SqliteInspection(Path file, Sqlite sqlite, List<Class<?>> mappers, Time time) {
    if (!Files.exists(file)) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE, "there is no database " + file, null);
    }
    this.sqlite = sqlite;
    facts = Migrations.inspect(sqlite);
    readers = new Readers(sqlite, new Sessions(mappers), time, 1);
  }

  /**
   * Opens a file that nobody has open and that has no write-ahead log, for anyone: nothing is held,
   * and nothing is written.
   *
   * @throws StoreException as above
   */
  public static SqliteInspection untouched(Path file, Time time) {
    return new SqliteInspection(file, Sqlite.untouched(file), List.of(), time);
  }

  /**
   * Whether the next start would bring such a file's database up to date first.
   *
   * @throws StoreException when it is no database of ours, is newer, or cannot be opened
   */
  public static boolean isOlder(Path file) {
    return Migrations.isOlder(Sqlite.untouched(file));
  }

  /**
   * The version of the SQLite that this program brings, once it has taken everything that is asked
   * of it on a database of its own.
   *
   * @param scratch a file that may be made and is not there; it stays
   * @throws StoreException when its library cannot be loaded, or does not do as it is told
   */
  public static String tried(Path scratch) {
    try (Connection connection = new Sqlite(scratch, Synchronous.NORMAL).writer();
        Statement statement = connection.createStatement();
        ResultSet version = statement.executeQuery("SELECT sqlite_version()")) {
      return version.getString(1);
    } catch (SQLException | LinkageError failure) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE, "SQLite cannot be used: " + failure, failure);
    }
  }

  /**
   * Lets SQLite look for damage: everything, or only what it finds without looking into indexes.
   *
   * @param found told of each thing in SQLite's words, at most 100 of them
   * @throws StoreException when it cannot even look
   */
  public void integrity(boolean quick, Consumer<String> found) {
    query(
        quick ? "PRAGMA quick_check" : "PRAGMA integrity_check",
        row -> {
          String line = row.getString(1);
          if (!line.equals("ok")) {
            // The first line of a damaged page may say only which table it belongs to.
            found.accept(line.strip().replaceAll("\\s*\\n\\s*", "; "));
          }
        });
  }

  /** A row that names another which is not there. */
  public record BrokenReference(String table, String rowId, String missingFrom) {}

  /**
   * Looks for rows that name others which are not there.
   *
   * @throws StoreException when it cannot look
   */
  public void brokenReferences(Consumer<BrokenReference> found) {
    query(
        "PRAGMA foreign_key_check",
        row ->
            found.accept(
                new BrokenReference(
                    row.getString(1), String.valueOf(row.getString(2)), row.getString(3))));
  }

  /** Which of these triggers the database has not. */
  public List<String> missingTriggers(List<String> names) {
    List<String> missing = new ArrayList<>(names);
    query(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        row -> missing.remove(row.getString(1)));
    return missing;
  }

  private interface EachRow {
    void take(ResultSet row) throws SQLException;
  }

  private void query(String sql, EachRow each) {
    try (Connection connection = sqlite.reader();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      while (rows.next()) {
        each.take(rows);
      }
    } catch (SQLException failure) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "the database cannot be read: " + failure.getMessage(),
          failure);
    }
  }

  /** Fails: nothing is written here. */
  @Override
  public <T> CompletableFuture<T> write(String actor, BooleanSupplier abandoned, Work<T> work) {
    return CompletableFuture.failedFuture(
        new StoreException(
            StoreException.Kind.UNAVAILABLE, "the database is only looked at", null));
  }

  @Override
  public <T> CompletableFuture<T> read(BooleanSupplier abandoned, Work<T> work) {
    return readers.submit(abandoned, work);
  }

  @Override
  public int waitingWrites() {
    return 0;
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
    readers.close();
  }
}
