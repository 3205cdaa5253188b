package dev.pmbot.store;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HexFormat;
import java.util.Map;
import java.util.stream.Collectors;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.flywaydb.core.api.MigrationInfoService;
import org.flywaydb.core.api.output.ValidateResult;
import org.jspecify.annotations.Nullable;

/**
 * Brings a database to this program's schema, and refuses one that is not ours or newer than the
 * program.
 */
final class Migrations {
  private static final Map<String, String> SQLITE =
      Map.of("long", "INTEGER", "bytes", "BLOB", "key", "TEXT", "strict", "STRICT");

  private static final String OLDER =
      "the database is older than this program: start `serve` once, which brings it up to date, or use the"
          + " program that made it";

  private Migrations() {}

  /** What stands in a database that is ready. */
  record Facts(String incarnation, String schemaVersion) {}

  static Facts migrate(Sqlite sqlite, Ids ids, Time time) {
    try (Connection connection = sqlite.writer()) {
      refuseForeign(connection);
    } catch (SQLException failure) {
      throw unreadable(failure);
    }
    Flyway flyway = flyway(sqlite);
    MigrationInfoService known = known(flyway);
    String version;
    try {
      version = flyway.migrate().targetSchemaVersion;
    } catch (FlywayException failure) {
      refuseDamaged(sqlite);
      throw unusable("the database could not be migrated: " + inOneLine(failure), failure);
    }
    if (version == null) {
      version = String.valueOf(known.current().getVersion()); // It was there already.
    }
    return new Facts(incarnation(sqlite, ids, time), version);
  }

  /** What stands in a database that must be at this program's schema already. Changes nothing. */
  static Facts inspect(Sqlite sqlite) {
    try (Connection connection = sqlite.reader()) {
      refuseForeign(connection);
      MigrationInfoService known = known(flyway(sqlite));
      if (isOlder(known)) {
        throw unusable(OLDER, null);
      }
      refuseDamaged(sqlite);
      return new Facts(incarnation(connection), known.current().getVersion().getVersion());
    } catch (FlywayException failure) {
      throw damaged(inOneLine(failure), failure);
    } catch (SQLException failure) {
      throw unreadable(failure);
    }
  }

  private static Flyway flyway(Sqlite sqlite, String... ignored) {
    return Flyway.configure()
        .dataSource(sqlite.url(), "", "")
        .locations("classpath:db/migration/common", "classpath:db/migration/sqlite")
        .placeholders(SQLITE)
        .ignoreMigrationPatterns(ignored)
        .load();
  }

  /** Whether a database of ours lacks what this program would add to it. Changes nothing. */
  static boolean isOlder(Sqlite sqlite) {
    try (Connection connection = sqlite.reader()) {
      refuseForeign(connection);
      return isOlder(known(flyway(sqlite)));
    } catch (SQLException failure) {
      throw unreadable(failure);
    }
  }

  private static boolean isOlder(MigrationInfoService known) {
    return known.current() == null || known.pending().length > 0;
  }

  /** What the database says was done to it, and what this program would do. */
  private static MigrationInfoService known(Flyway flyway) {
    MigrationInfoService known;
    try {
      known = flyway.info();
    } catch (FlywayException failure) {
      throw damaged(inOneLine(failure), failure);
    } catch (RuntimeException failure) {
      // Flyway trips over a table that has not the columns which it expects.
      throw damaged("it is not a table of Flyway's", failure);
    }
    for (MigrationInfo migration : known.all()) {
      if (migration.getState().isApplied() && !migration.getState().isResolved()) {
        throw unusable(
            "the database is newer than this program: it has migration "
                + migration.getVersion()
                + ", which this program does not know. Use the program that made it, or a newer one.",
            null);
      }
    }
    return known;
  }

  /** Whether what the record says was done is what this program would have done. */
  private static void refuseDamaged(Sqlite sqlite) {
    ValidateResult record = flyway(sqlite, "*:pending").validateWithResult();
    if (!record.validationSuccessful) {
      // The first line says what is wrong; the others name Flyway's switches, which are not ours.
      throw damaged(
          record.invalidMigrations.stream()
              .map(invalid -> invalid.errorDetails.errorMessage.lines().findFirst().orElse(""))
              .collect(Collectors.joining("; ")),
          null);
    }
  }

  private static void refuseForeign(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet tables =
            statement.executeQuery(
                "SELECT count(*), count(CASE WHEN name = 'database_info' THEN 1 END),"
                    + " count(CASE WHEN name = 'flyway_schema_history' THEN 1 END)"
                    + " FROM sqlite_master WHERE type = 'table'")) {
      if (tables.getInt(1) > 0 && tables.getInt(3) == 0) {
        throw tables.getInt(2) == 0
            ? unusable(
                "the file is a SQLite database, but not one of pm-bot's; name another data directory",
                null)
            : damaged("the table is gone", null);
      }
    }
  }

  private static StoreException unreadable(SQLException failure) {
    return unusable(
        "the file cannot be opened as a SQLite database: " + failure.getMessage(), failure);
  }

  private static StoreException damaged(String how, @Nullable Throwable cause) {
    return unusable(
        "the database's record of its migrations (flyway_schema_history) is damaged: "
            + how
            + "; put a backup back",
        cause);
  }

  private static StoreException unusable(String message, @Nullable Throwable cause) {
    return new StoreException(StoreException.Kind.UNAVAILABLE, message, cause);
  }

  /** What the database said, if it said something; else what Flyway did, which takes many lines. */
  private static String inOneLine(FlywayException failure) {
    String said = String.valueOf(failure.getMessage());
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof SQLException database) {
        said = String.valueOf(database.getMessage());
      }
    }
    return said.lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty() && !line.matches("-+"))
        .collect(Collectors.joining("; "));
  }

  private static String incarnation(Sqlite sqlite, Ids ids, Time time) {
    try (Connection connection = sqlite.writer()) {
      try (PreparedStatement insert =
          connection.prepareStatement(
              "INSERT INTO database_info (singleton, incarnation, created_at) VALUES (1, ?, ?)"
                  + " ON CONFLICT DO NOTHING")) {
        insert.setString(1, HexFormat.of().formatHex(ids.bytes(8)));
        insert.setLong(2, time.nowMicros());
        insert.execute();
      }
      return incarnation(connection);
    } catch (SQLException failure) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE, "the database's own facts cannot be read", failure);
    }
  }

  private static String incarnation(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT incarnation FROM database_info")) {
      return row.getString(1);
    }
  }
}
