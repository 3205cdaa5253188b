package dev.pmbot.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.TestTime;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.ibatis.session.SqlSession;

/**
 * How SQLite carries out what a mapper asks. A statement that looks at no more rows than it gives,
 * however large the table, searches in one index, and never sorts.
 *
 * <pre>{@code
 * try (QueryPlans plans = new QueryPlans(folder, ThingMapper.class)) {
 *   plans.assertServedBy("things_owner_thing", ThingMapper.class, things -> things.list("a", 25));
 * }
 * }</pre>
 */
public final class QueryPlans implements AutoCloseable {
  private final Connection connection;
  private final SqlSession session;
  private final List<String> prepared = new ArrayList<>();

  /** Over an empty database in a folder, for these mappers. */
  public QueryPlans(Path folder, Class<?>... mappers) throws SQLException {
    Path file = folder.resolve("plans.sqlite3");
    TestTime time = new TestTime();
    new SqliteStore(file, Synchronous.NORMAL, List.of(), new Ids(time), time, CrashPoints.NONE)
        .close();
    connection = DriverManager.getConnection("jdbc:sqlite:" + file);
    session = new Sessions(List.of(mappers)).over(listening());
  }

  /** The connection, and what is prepared on it. */
  private Connection listening() {
    return (Connection)
        Proxy.newProxyInstance(
            QueryPlans.class.getClassLoader(),
            new Class<?>[] {Connection.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("prepareStatement")) {
                prepared.add((String) arguments[0]);
              }
              try {
                return method.invoke(connection, arguments);
              } catch (InvocationTargetException failure) {
                throw failure.getCause();
              }
            });
  }

  /** Asks one thing, and holds it to be served by one index, the table's own key for one. */
  public <M> void assertServedBy(String index, Class<M> mapper, Consumer<M> asked)
      throws SQLException {
    prepared.clear();
    asked.accept(session.getMapper(mapper));
    session.flushStatements(); // It would not prepare the same statement again.
    assertEquals(1, prepared.size(), "one statement: " + prepared);
    String sql = prepared.get(0);
    List<String> plan = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("EXPLAIN QUERY PLAN " + sql)) {
      while (rows.next()) {
        plan.add(rows.getString("detail"));
      }
    }
    String told = sql + "\nis carried out as\n" + String.join("\n", plan);
    // Several searches may be merged, each in the index's own order.
    List<String> steps =
        plan.stream().filter(step -> !step.matches("MERGE \\(UNION ALL\\)|LEFT|RIGHT")).toList();
    assertFalse(steps.isEmpty(), told);
    for (String step : steps) {
      assertTrue(
          step.matches("SEARCH \\w+ USING (COVERING )?INDEX " + index + " \\(.*"),
          "not by " + index + ": " + told);
    }
  }

  @Override
  public void close() throws SQLException {
    session.close();
    connection.close();
  }
}
