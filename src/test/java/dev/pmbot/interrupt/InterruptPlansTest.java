package dev.pmbot.interrupt;

import dev.pmbot.approval.Risk;
import dev.pmbot.approval.Waiting;
import dev.pmbot.store.QueryPlans;
import dev.pmbot.wire.Created;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** No question about interrupts costs more because there are more interrupts. */
final class InterruptPlansTest {
  @TempDir Path folder;

  private void assertServedBy(String index, Consumer<InterruptMapper> asked) throws SQLException {
    try (QueryPlans plans = new QueryPlans(folder, InterruptMapper.class)) {
      plans.assertServedBy(index, InterruptMapper.class, asked);
    }
  }

  /** Each choice of what is named, and the index that must serve it. */
  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "w, -, -, -,        -,       -,    interrupts_workspace_interrupt",
        "w, -, -, QUESTION, -,       -,    interrupts_workspace_kind_interrupt",
        "w, -, -, -,        PENDING, -,    interrupts_workspace_status_interrupt",
        "w, -, -, -,        EDITED,  -,    interrupts_workspace_status_interrupt",
        "w, -, -, -,        -,       HIGH, interrupts_workspace_risk_interrupt",
        "w, -, -, QUESTION, PENDING, HIGH, interrupts_workspace_status_interrupt",
        "w, -, -, QUESTION, EDITED,  HIGH, interrupts_workspace_kind_interrupt",
        "w, -, -, -,        EDITED,  HIGH, interrupts_workspace_risk_interrupt",
        "-, -, t, -,        -,       -,    interrupts_thread_interrupt",
        "w, -, t, QUESTION, PENDING, HIGH, interrupts_thread_interrupt",
        "-, r, -, -,        -,       -,    interrupts_run_interrupt",
        "w, r, t, QUESTION, PENDING, HIGH, interrupts_run_interrupt"
      })
  void aListIsServedByTheIndexThatNarrowsMost(
      String workspaceId,
      String runId,
      String threadId,
      InterruptKind kind,
      InterruptStatus status,
      Risk risk,
      String index)
      throws SQLException {
    for (Created created : List.of(Created.ANY, new Created(1, 2))) {
      InterruptQuery query =
          new InterruptQuery(workspaceId, runId, threadId, kind, status, risk, created);
      assertServedBy(index, mapper -> mapper.look(query, query.way(), "intr_1", "intr_2", 25));
    }
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "-, -, -,        interrupts_inbox",
        "w, -, QUESTION, interrupts_inbox_in_workspace",
        "-, r, -,        interrupts_inbox_of_run",
        "w, r, QUESTION, interrupts_inbox_of_run"
      })
  void whatWaitsIsFoundInItsOrder(
      String workspaceId, String runId, InterruptKind kind, String index) throws SQLException {
    Waiting.Where where = new Waiting.Where(workspaceId, runId, Risk.HIGH, 1, "intr_1", 25);
    assertServedBy(index, mapper -> mapper.waiting(where, kind));
  }

  @Test
  void someAreFoundByTheirKeys() throws SQLException {
    assertServedBy(
        "sqlite_autoindex_interrupts_1", mapper -> mapper.findAll(List.of("intr_1", "intr_2")));
  }

  @Test
  void whatIsToBeHandedOverIsFound() throws SQLException {
    assertServedBy("interrupts_to_deliver_by_run", mapper -> mapper.toDeliver(List.of("run_1")));
  }

  @Test
  void whetherARunWaitsIsFound() throws SQLException {
    assertServedBy("interrupts_run_status", mapper -> mapper.anyPending("run_1"));
  }

  @Test
  void theNewestGenerationIsFound() throws SQLException {
    assertServedBy("interrupts_identity", mapper -> mapper.newest("run_1", "t", "q"));
  }
}
