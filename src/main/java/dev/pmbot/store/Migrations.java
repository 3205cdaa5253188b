package dev.pmbot.store;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HexFormat;
import java.util.Map;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.flywaydb.core.api.MigrationInfoService;

/**
 * Brings a database to this program's schema, and refuses one that is not ours or newer than the
 * program.
 */
final class Migrations {
  private static final Map<String, String> SQLITE =
      Map.of("long", "INTEGER", "bytes", "BLOB", "key", "TEXT", "strict", "STRICT");

  private Migrations() {}

  /** What stands in a database that is ready. */
  record Facts(String incarnation, String schemaVersion) {}

  static Facts migrate(Sqlite sqlite, Ids ids, Time time) {
    refuseForeign(sqlite);
    Flyway flyway = flyway(sqlite);
    MigrationInfoService known = flyway.info();
    refuseNewer(known);
    String version;
    try {
      version = flyway.migrate().targetSchemaVersion;
    } catch (FlywayException failure) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "the database could not be migrated: " + failure.getMessage(),
          failure);
    }
    if (version == null) {
      version = String.valueOf(known.current().getVersion()); // It was there already.
    }
    return new Facts(incarnation(sqlite, ids, time), version);
  }

  /** What stands in a database that must be at this program's schema already. Changes nothing. */
  static Facts inspect(Sqlite sqlite) {
    refuseForeign(sqlite);
    MigrationInfoService known = flyway(sqlite).info();
    refuseNewer(known);
    if (known.current() == null || known.pending().length > 0) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "the database is older than this program: start `serve` once, which brings it up to date, or use the"
              + " program that made it",
          null);
    }
    try (Connection connection = sqlite.reader()) {
      return new Facts(incarnation(connection), known.current().getVersion().getVersion());
    } catch (SQLException failure) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE, "the database's own facts cannot be read", failure);
    }
  }

  private static Flyway flyway(Sqlite sqlite) {
    return Flyway.configure()
        .dataSource(sqlite.url(), "", "")
        .locations("classpath:db/migration/common", "classpath:db/migration/sqlite")
        .placeholders(SQLITE)
        .ignoreMigrationPatterns(new String[0])
        .load();
  }

  private static void refuseNewer(MigrationInfoService known) {
    for (MigrationInfo migration : known.all()) {
      if (migration.getState().isApplied() && !migration.getState().isResolved()) {
        throw new StoreException(
            StoreException.Kind.UNAVAILABLE,
            "the database is newer than this program: it has migration "
                + migration.getVersion()
                + ", which this program does not know. Use the program that made it, or a newer one.",
            null);
      }
    }
  }

  private static void refuseForeign(Sqlite sqlite) {
    try (Connection connection = sqlite.writer();
        Statement statement = connection.createStatement();
        ResultSet tables =
            statement.executeQuery(
                "SELECT count(*), count(CASE WHEN name = 'database_info' THEN 1 END),"
                    + " count(CASE WHEN name = 'flyway_schema_history' THEN 1 END)"
                    + " FROM sqlite_master WHERE type = 'table'")) {
      if (tables.getInt(1) > 0 && tables.getInt(2) == 0 && tables.getInt(3) == 0) {
        throw new StoreException(
            StoreException.Kind.UNAVAILABLE,
            "the file is a SQLite database, but not one of pm-bot's; name another data directory",
            null);
      }
    } catch (SQLException failure) {
      throw new StoreException(
          StoreException.Kind.UNAVAILABLE,
          "the file cannot be opened as a SQLite database: " + failure.getMessage(),
          failure);
    }
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
