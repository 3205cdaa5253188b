package dev.pmbot.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.TestTime;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The specification's data model, walked: every table, column, status, key and index that it names
 * is there under its name, in SQLite and, made by the same migrations, in PostgreSQL.
 */
final class SchemaTest {
  /** Each table with its columns; the first is the primary key. */
  private static final String TABLES =
      """
      workspaces workspace_id name created_at settings_json
      repos repo_id workspace_id full_name default_branch status added_at last_sync_at
      repo_sync_state repo_id issues_cursor_updated_at prs_cursor_updated_at repo_head_sha last_indexed_sha last_error updated_at
      github_objects object_id repo_id kind number title state updated_at raw_json
      runs run_id workspace_id repo_id goal status graph_id thread_id agent_run_spec_json created_at updated_at
      approvals approval_id run_id kind status created_at resolved_at actor notes
      interrupts interrupt_id run_id thread_id kind risk payload_json status decision_json created_at resolved_at
      artifacts artifact_id run_id kind uri content_type hash title created_at
      changeset_bundles changeset_id run_id repo_id bundle_json status created_at updated_at applied_commit_sha
      audit_events event_id workspace_id run_id thread_id node_id type payload_json created_at prev_hash hash
      documents doc_id workspace_id repo_id source_type source_id revision content_hash created_at
      chunks chunk_id doc_id ordinal start_offset end_offset text_hash token_count
      embedding_records embedding_id chunk_id vector_store vector_point_id embedding_model created_at
      ingestion_jobs job_id workspace_id repo_id kind status stats_json error
      """;

  /** Each column that takes certain words only. Discussions, and a job's states, are in prose. */
  private static final String WORDS =
      """
      repos.status active disabled
      github_objects.kind issue pr discussion
      runs.status proposed approved running blocked completed failed cancelled rejected
      approvals.kind run_start tool_call spend publish changeset_apply
      approvals.status pending approved rejected
      interrupts.kind approve_tool_call approve_spend approve_publish question
      interrupts.risk low medium high
      interrupts.status pending approved rejected edited
      artifacts.kind changeset_bundle patch log tool_trace test_report pr_draft
      changeset_bundles.status proposed approved applied rejected
      documents.source_type file issue pr
      ingestion_jobs.kind full incremental
      ingestion_jobs.status queued running completed failed cancelled
      """;

  /** Each index, unique where it says so. Another may begin with these columns and go on. */
  private static final String INDEXES =
      """
      repos workspace_id full_name unique
      github_objects repo_id kind number unique
      github_objects repo_id kind updated_at
      runs workspace_id status updated_at
      runs repo_id status updated_at
      approvals run_id kind status
      interrupts workspace_id status created_at
      interrupts run_id status
      artifacts run_id kind created_at
      changeset_bundles repo_id status updated_at
      audit_events run_id created_at
      audit_events workspace_id created_at
      """;

  /** Each column that refers to another table. */
  private static final String REFERENCES =
      """
      repos.workspace_id workspaces
      repo_sync_state.repo_id repos
      github_objects.repo_id repos
      runs.workspace_id workspaces
      runs.repo_id repos
      approvals.run_id runs
      interrupts.run_id runs
      artifacts.run_id runs
      changeset_bundles.run_id runs
      changeset_bundles.repo_id repos
      audit_events.workspace_id workspaces
      documents.workspace_id workspaces
      documents.repo_id repos
      chunks.doc_id documents
      embedding_records.chunk_id chunks
      ingestion_jobs.workspace_id workspaces
      ingestion_jobs.repo_id repos
      """;

  private static final Pattern QUOTED = Pattern.compile("'([^']*)'");

  @TempDir static Path folder;
  private static EmbeddedPostgres postgres;
  private static Connection sqliteConnection;
  private static Connection postgresConnection;

  @BeforeAll
  static void migrate() throws IOException, SQLException {
    Path file = folder.resolve("schema.sqlite3");
    new SqliteStore(
            file,
            Synchronous.NORMAL,
            List.of(),
            new Ids(new TestTime()),
            new TestTime(),
            CrashPoints.NONE)
        .close();
    sqliteConnection = DriverManager.getConnection("jdbc:sqlite:" + file);
    try (Statement statement = sqliteConnection.createStatement()) {
      statement.execute("PRAGMA foreign_keys = ON");
    }

    postgres = EmbeddedPostgres.builder().start();
    Flyway.configure()
        .dataSource(postgres.getPostgresDatabase())
        .locations("classpath:db/migration/common", "classpath:db/migration/postgresql")
        .placeholders(
            Map.of("long", "BIGINT", "bytes", "BYTEA", "key", "TEXT COLLATE \"C\"", "strict", ""))
        .load()
        .migrate();
    postgresConnection = postgres.getPostgresDatabase().getConnection();
  }

  @AfterAll
  static void stop() throws IOException, SQLException {
    sqliteConnection.close();
    postgresConnection.close();
    postgres.close();
  }

  /** What a database's catalogue says. */
  private interface Catalogue {
    Connection connection();

    /** Each table's columns, those that may be absent with a question mark. */
    Map<String, Set<String>> tables() throws SQLException;

    /** The primary key of a table. */
    List<String> primaryKey(String table) throws SQLException;

    /** Each index as table and columns; expressions as they stand. */
    Set<String> indexes() throws SQLException;

    /** Each foreign key as {@code table.column table}. */
    Set<String> references() throws SQLException;

    /** The words that a column's check allows. */
    Set<String> words(String table, String column) throws SQLException;
  }

  static Stream<Catalogue> databases() {
    return Stream.of(new InSqlite(), new InPostgres());
  }

  private static List<List<String>> rows(Connection connection, String sql, String... parameters)
      throws SQLException {
    try (var statement = connection.prepareStatement(sql)) {
      for (int index = 0; index < parameters.length; index++) {
        statement.setString(index + 1, parameters[index]);
      }
      try (ResultSet result = statement.executeQuery()) {
        List<List<String>> rows = new ArrayList<>();
        while (result.next()) {
          List<String> row = new ArrayList<>();
          for (int column = 1; column <= result.getMetaData().getColumnCount(); column++) {
            row.add(String.valueOf(result.getString(column)));
          }
          rows.add(row);
        }
        return rows;
      }
    }
  }

  private static final class InSqlite implements Catalogue {
    @Override
    public Connection connection() {
      return sqliteConnection;
    }

    @Override
    public Map<String, Set<String>> tables() throws SQLException {
      Map<String, Set<String>> tables = new TreeMap<>();
      for (List<String> row :
          rows(
              sqliteConnection,
              "SELECT t.name, c.name || CASE WHEN c.\"notnull\" THEN '' ELSE '?' END"
                  + " FROM sqlite_master t, pragma_table_info(t.name) c"
                  + " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'"
                  + " AND t.name <> 'flyway_schema_history'")) {
        tables.computeIfAbsent(row.get(0), name -> new TreeSet<>()).add(row.get(1));
      }
      return tables;
    }

    @Override
    public List<String> primaryKey(String table) throws SQLException {
      return rows(
              sqliteConnection,
              "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk",
              table)
          .stream()
          .map(row -> row.get(0))
          .toList();
    }

    @Override
    public Set<String> indexes() throws SQLException {
      Set<String> indexes = new TreeSet<>();
      for (List<String> row :
          rows(
              sqliteConnection,
              "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
                  + " AND tbl_name <> 'flyway_schema_history'")) {
        indexes.add(index(row.get(0), row.get(1)));
      }
      return indexes;
    }

    @Override
    public Set<String> references() throws SQLException {
      return rows(
              sqliteConnection,
              "SELECT t.name || '.' || f.\"from\" || ' ' || f.\"table\""
                  + " FROM sqlite_master t, pragma_foreign_key_list(t.name) f"
                  + " WHERE t.type = 'table'")
          .stream()
          .map(row -> row.get(0))
          .collect(Collectors.toCollection(TreeSet::new));
    }

    @Override
    public Set<String> words(String table, String column) throws SQLException {
      String sql =
          rows(sqliteConnection, "SELECT sql FROM sqlite_master WHERE name = ?", table)
              .get(0)
              .get(0);
      Matcher check = Pattern.compile("\\(" + column + " IN\\s*\\(([^)]*)\\)").matcher(sql);
      return check.find() ? quoted(check.group(1)) : Set.of();
    }

    @Override
    public String toString() {
      return "SQLite";
    }
  }

  private static final class InPostgres implements Catalogue {
    @Override
    public Connection connection() {
      return postgresConnection;
    }

    @Override
    public Map<String, Set<String>> tables() throws SQLException {
      Map<String, Set<String>> tables = new TreeMap<>();
      for (List<String> row :
          rows(
              postgresConnection,
              "SELECT table_name, column_name || CASE is_nullable WHEN 'NO' THEN '' ELSE '?' END"
                  + " FROM information_schema.columns WHERE table_schema = 'public'"
                  + " AND table_name <> 'flyway_schema_history'")) {
        tables.computeIfAbsent(row.get(0), name -> new TreeSet<>()).add(row.get(1));
      }
      return tables;
    }

    @Override
    public List<String> primaryKey(String table) throws SQLException {
      return rows(
              postgresConnection,
              "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (number, place),"
                  + " pg_attribute a WHERE i.indisprimary AND i.indrelid = ?::regclass"
                  + " AND a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place",
              table)
          .stream()
          .map(row -> row.get(0))
          .toList();
    }

    @Override
    public Set<String> indexes() throws SQLException {
      Set<String> indexes = new TreeSet<>();
      for (List<String> row :
          rows(
              postgresConnection,
              "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
                  + " AND tablename <> 'flyway_schema_history' AND indexname NOT LIKE '%\\_pkey'")) {
        indexes.add(index(row.get(0), row.get(1)));
      }
      return indexes;
    }

    @Override
    public Set<String> references() throws SQLException {
      return rows(
              postgresConnection,
              "SELECT c.conrelid::regclass || '.' || a.attname || ' ' || c.confrelid::regclass"
                  + " FROM pg_constraint c, pg_attribute a"
                  + " WHERE c.contype = 'f' AND a.attrelid = c.conrelid AND a.attnum = c.conkey[1]")
          .stream()
          .map(row -> row.get(0))
          .collect(Collectors.toCollection(TreeSet::new));
    }

    @Override
    public Set<String> words(String table, String column) throws SQLException {
      return rows(
              postgresConnection,
              "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                  + " WHERE contype = 'c' AND conrelid = ?::regclass",
              table)
          .stream()
          .map(row -> row.get(0))
          .filter(check -> check.startsWith("CHECK ((" + column + " = ANY"))
          .map(SchemaTest::quoted)
          .flatMap(Set::stream)
          .collect(Collectors.toCollection(TreeSet::new));
    }

    @Override
    public String toString() {
      return "PostgreSQL";
    }
  }

  private static Set<String> quoted(String text) {
    Set<String> words = new TreeSet<>();
    Matcher matcher = QUOTED.matcher(text);
    while (matcher.find()) {
      words.add(matcher.group(1));
    }
    return words;
  }

  /** Table, columns and uniqueness of an index, from the statement that makes it. */
  private static String index(String table, String statement) {
    String unique = statement.startsWith("CREATE UNIQUE") ? " unique" : "";
    int begin = statement.indexOf('(');
    int depth = 0;
    int end = begin;
    do {
      depth += statement.charAt(end) == '(' ? 1 : statement.charAt(end) == ')' ? -1 : 0;
      end++;
    } while (depth > 0);
    String columns =
        Arrays.stream(statement.substring(begin + 1, end - 1).split(","))
            .map(column -> column.strip().replaceAll("\\((\\w+)\\)::text", "$1"))
            .collect(Collectors.joining(" "));
    String where = statement.contains(" WHERE ") ? " partial" : "";
    return table + " " + columns + unique + where;
  }

  private static Stream<String[]> lines(String facts) {
    return facts.lines().map(line -> line.split(" "));
  }

  private static Set<String> names(Collection<String> columns) {
    return columns.stream()
        .map(column -> column.replace("?", ""))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @ParameterizedTest
  @MethodSource("databases")
  void everyTableHasItsColumns(Catalogue database) throws SQLException {
    Map<String, Set<String>> tables = database.tables();
    List<String> missing = new ArrayList<>();
    lines(TABLES)
        .forEach(
            line -> {
              Set<String> columns = names(tables.getOrDefault(line[0], Set.of()));
              for (int index = 1; index < line.length; index++) {
                if (!columns.contains(line[index])) {
                  missing.add(line[0] + "." + line[index]);
                }
              }
            });
    assertEquals(List.of(), missing);
  }

  @ParameterizedTest
  @MethodSource("databases")
  void everyTableHasItsPrimaryKey(Catalogue database) throws SQLException {
    for (String[] line : lines(TABLES).toList()) {
      assertEquals(List.of(line[1]), database.primaryKey(line[0]), line[0]);
    }
  }

  @ParameterizedTest
  @MethodSource("databases")
  void aRunMayHaveNoThreadAndAChangesetNoCommit(Catalogue database) throws SQLException {
    assertTrue(database.tables().getOrDefault("runs", Set.of()).contains("thread_id?"));
    assertTrue(
        database
            .tables()
            .getOrDefault("changeset_bundles", Set.of())
            .contains("applied_commit_sha?"));
    for (String column : List.of("run_id?", "thread_id?", "node_id?")) {
      assertTrue(database.tables().getOrDefault("audit_events", Set.of()).contains(column), column);
    }
  }

  @ParameterizedTest
  @MethodSource("databases")
  void everyStatusAndKindTakesItsWordsAndNoOthers(Catalogue database) throws SQLException {
    for (String[] line : lines(WORDS).toList()) {
      String[] column = line[0].split("\\.");
      Set<String> expected = new TreeSet<>(Arrays.asList(line).subList(1, line.length));
      assertEquals(expected, database.words(column[0], column[1]), line[0]);
    }
  }

  @ParameterizedTest
  @MethodSource("databases")
  void everyIndexIsThere(Catalogue database) throws SQLException {
    // GitHub names ignore the case of letters; a partial index on what is not null serves every
    // search for a value.
    List<String> there =
        database.indexes().stream()
            .map(index -> index.replace("lower(full_name)", "full_name"))
            .toList();
    List<String> missing =
        INDEXES
            .lines()
            .filter(
                wanted ->
                    there.stream()
                        .noneMatch(
                            index ->
                                wanted.endsWith(" unique")
                                    ? index.equals(wanted)
                                    : index.equals(wanted) || index.startsWith(wanted + " ")))
            .toList();
    assertEquals(List.of(), missing);
  }

  @ParameterizedTest
  @MethodSource("databases")
  void everyReferenceIsThere(Catalogue database) throws SQLException {
    Set<String> missing = REFERENCES.lines().collect(Collectors.toCollection(TreeSet::new));
    missing.removeAll(database.references());
    assertEquals(Set.of(), missing);
  }

  @Test
  void bothDatabasesAreTheSame() throws SQLException {
    Catalogue sqlite = new InSqlite();
    Catalogue postgresql = new InPostgres();
    assertEquals(sqlite.tables(), postgresql.tables());
    assertEquals(sqlite.indexes(), postgresql.indexes());
    assertEquals(sqlite.references(), postgresql.references());
    for (String table : sqlite.tables().keySet()) {
      assertEquals(sqlite.primaryKey(table), postgresql.primaryKey(table), table);
      for (String column : names(sqlite.tables().getOrDefault(table, Set.of()))) {
        assertEquals(
            sqlite.words(table, column), postgresql.words(table, column), table + "." + column);
      }
    }
  }

  private static void execute(Catalogue database, String sql) throws SQLException {
    try (Statement statement = database.connection().createStatement()) {
      statement.execute(sql);
    }
  }

  private static void workspace(Catalogue database, String id) throws SQLException {
    execute(
        database,
        "INSERT INTO workspaces (workspace_id, name, created_at, settings_json, version)"
            + " VALUES ('"
            + id
            + "', '"
            + id
            + "', 1, '{}', 1)");
  }

  private static String event(String id, String workspaceId, long seq) {
    String bytes = "decode(repeat('00', 32), 'hex')";
    return "INSERT INTO audit_events (event_id, workspace_id, type, payload_json, created_at, seq,"
        + " tx_first_seq, actor, payload_hash, prev_hash, hash) VALUES ('"
        + id
        + "', '"
        + workspaceId
        + "', 'test.happened', '{}', 1, "
        + seq
        + ", 1, 'system', "
        + bytes
        + ", "
        + bytes
        + ", "
        + bytes
        + ")";
  }

  private static String spelled(Catalogue database, String sql) {
    return database instanceof InSqlite
        ? sql.replace("decode(repeat('00', 32), 'hex')", "zeroblob(32)")
        : sql;
  }

  @ParameterizedTest
  @MethodSource("databases")
  void theLogTakesEventsAndNeitherChangesNorLosesThem(Catalogue database) throws SQLException {
    workspace(database, "ws_log");
    execute(database, spelled(database, event("evt_1", "ws_log", 1)));
    for (String change :
        List.of(
            "UPDATE audit_events SET payload_json = '[]' WHERE event_id = 'evt_1'",
            "UPDATE audit_events SET seq = seq + 1",
            "DELETE FROM audit_events WHERE event_id = 'evt_1'",
            "DELETE FROM audit_events")) {
      SQLException refused = assertThrows(SQLException.class, () -> execute(database, change));
      assertTrue(String.valueOf(refused.getMessage()).contains("append-only"), change);
    }
    assertThrows(
        SQLException.class,
        () -> execute(database, spelled(database, event("evt_2", "ws_log", 1))),
        "two events at one place");
    assertThrows(
        SQLException.class,
        () -> execute(database, spelled(database, event("evt_3", "ws_unknown", 2))),
        "an event of no workspace");
    execute(database, spelled(database, event("evt_4", "ws_log", 2)));
    assertEquals(
        List.of(List.of("evt_1", "{}"), List.of("evt_4", "{}")),
        rows(
            database.connection(),
            "SELECT event_id, payload_json FROM audit_events WHERE workspace_id = 'ws_log'"
                + " ORDER BY seq"));
  }

  @Test
  void postgresqlTruncatesNoLogEither() throws SQLException {
    Catalogue database = new InPostgres();
    assertThrows(SQLException.class, () -> execute(database, "TRUNCATE audit_events"));
  }

  @ParameterizedTest
  @MethodSource("databases")
  void whatIsReferredToMustBeThereAndStays(Catalogue database) throws SQLException {
    String repo =
        "INSERT INTO repos (repo_id, workspace_id, full_name, default_branch, status, added_at,"
            + " version) VALUES ('%s', '%s', '%s', 'main', '%s', 1, 1)";
    assertThrows(
        SQLException.class,
        () -> execute(database, repo.formatted("repo_1", "ws_nobody", "a/b", "active")));
    workspace(database, "ws_repos");
    execute(database, repo.formatted("repo_1", "ws_repos", "Octo/Cat", "active"));
    assertThrows(
        SQLException.class,
        () -> execute(database, repo.formatted("repo_2", "ws_repos", "octo/cat", "active")),
        "the same repo in other letters");
    assertThrows(
        SQLException.class,
        () -> execute(database, repo.formatted("repo_3", "ws_repos", "a/b", "sleeping")),
        "a status that does not exist");
    assertThrows(
        SQLException.class,
        () -> execute(database, repo.formatted("repo_4", "ws_repos", "x".repeat(201), "active")),
        "a name that is too long");
    assertThrows(
        SQLException.class,
        () -> execute(database, "DELETE FROM workspaces WHERE workspace_id = 'ws_repos'"));
  }
}
