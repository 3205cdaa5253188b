package dev.pmbot.audit;

import dev.pmbot.feed.Scope;
import dev.pmbot.store.QueryPlans;
import dev.pmbot.wire.Created;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Nothing that is asked of the log costs more because the log is longer. */
final class EventPlansTest {
  private static final String BY_SEQ = "audit_events_workspace_seq";

  @TempDir Path folder;
  private QueryPlans plans;

  @BeforeEach
  void open() throws SQLException {
    plans = new QueryPlans(folder, AuditMapper.class);
  }

  @AfterEach
  void close() throws SQLException {
    plans.close();
  }

  /** Each choice of run, thread, node, type and actor, and the index that must serve it. */
  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-, -, -, -, -, audit_events_workspace_seq",
        "r, -, -, -, -, audit_events_run_seq",
        "r, t, n, y, a, audit_events_run_seq",
        "-, t, -, -, -, audit_events_thread_seq",
        "-, t, n, y, a, audit_events_thread_seq",
        "-, -, n, -, -, audit_events_workspace_node_seq",
        "-, -, n, y, a, audit_events_workspace_node_seq",
        "-, -, -, -, a, audit_events_workspace_actor_seq",
        "-, -, -, y, -, audit_events_workspace_seq",
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String run, String thread, String node, String type, String actor, String index)
      throws SQLException {
    EventQuery query = new EventQuery("ws", run, thread, node, type, actor, new Created(1, 2));
    plans.assertServedBy(index, AuditMapper.class, mapper -> mapper.look(query, 7, 25));
  }

  @Test
  void typesAreMergedFromOneIndex() throws SQLException {
    EventQuery query = new EventQuery("ws", null, null, null, "run.", "a", Created.ANY);
    String index = "audit_events_workspace_type_seq";
    for (List<String> types : List.of(List.of("a.b"), List.of("a.b", "a.c", "a.d", "a.e"))) {
      plans.assertServedBy(
          index, AuditMapper.class, mapper -> mapper.lookAtTypes(query, types, 7, 25));
    }
    plans.assertServedBy(index, AuditMapper.class, mapper -> mapper.nextType("ws", "a", "a~"));
  }

  @Test
  void aTimeIsFoundInTheIndexOfTimes() throws SQLException {
    EventQuery query = new EventQuery("ws", null, null, "n", "run.", "a", new Created(1, 2));
    plans.assertServedBy(
        "audit_events_workspace_created",
        AuditMapper.class,
        mapper -> mapper.lookAtTimes(query, 2, 7, 25));
  }

  @Test
  void whatStreamsAndVerifiersReadIsFoundBySeq() throws SQLException {
    plans.assertServedBy(BY_SEQ, AuditMapper.class, mapper -> mapper.after("ws", 7, 25));
    plans.assertServedBy(
        BY_SEQ,
        AuditMapper.class,
        mapper -> mapper.after(Scope.workspace("ws"), "ws", 7, 25, event -> true));
    plans.assertServedBy(BY_SEQ, AuditMapper.class, mapper -> mapper.before("ws", 7, 25));
    plans.assertServedBy(BY_SEQ, AuditMapper.class, mapper -> mapper.at("ws", 7));
    plans.assertServedBy(BY_SEQ, AuditMapper.class, mapper -> mapper.atAll("ws", List.of(7L, 9L)));
    plans.assertServedBy(BY_SEQ, AuditMapper.class, mapper -> mapper.nextTransaction("ws", 7));
  }
}
