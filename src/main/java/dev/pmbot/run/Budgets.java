package dev.pmbot.run;

import dev.pmbot.audit.Audit;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Problem;
import dev.pmbot.workspace.BudgetLimit;
import java.util.List;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;

/**
 * What runs use of their budgets, and what follows when that is too much: a run that is over budget
 * may go on for one term of its lease, to ask a person or to come to an end. Then its lease is not
 * renewed any more unless it has asked, and it fails when that ends.
 */
final class Budgets {
  private static final long MICROS = 1_000_000;

  private final Audit audit;
  private final Leases leases;
  private BiPredicate<Tx, String> asking = (tx, runId) -> false;

  Budgets(Audit audit, Leases leases) {
    this.audit = audit;
    this.leases = leases;
  }

  /** Names who knows whether a run has asked a person to let it spend more. */
  void askedBy(BiPredicate<Tx, String> knower) {
    asking = knower;
  }

  /**
   * Extends the lease of a run, and counts its running time.
   *
   * @throws Problem BUDGET_EXCEEDED
   */
  RunRow renew(Tx tx, RunRow row, String token, int seconds) {
    Spending spending = Spending.of(row, wallMicros(row));
    if (isTimeUp(row, spending) && !asking.test(tx, row.runId())) {
      leases.refuse(token);
      throw Problem.budgetExceeded(row.runId(), spending.complaint(), keys(spending));
    }
    RunRow renewed = store(tx, row, spending, tx.now() + seconds * MICROS);
    tx.afterCommit(() -> leases.extend(token, row.runId(), seconds));
    return renewed;
  }

  /** Adds what a worker has used, and counts its running time. It is a fact, over budget or not. */
  RunRow use(Tx tx, RunRow row, long tokens, long toolCalls, long costMicros) {
    Spending spending = Spending.of(row, wallMicros(row)).plus(tokens, toolCalls, costMicros);
    if (tokens > 0 || toolCalls > 0 || costMicros > 0) {
      audit.append(
          tx,
          Runs.event(row, "run.usage_recorded")
              .with("tokens", tokens)
              .with("tool_calls", toolCalls)
              .with("cost_micros", costMicros)
              .with("used", spending.facts()));
    }
    return store(tx, row, spending, row.leaseExpiresAt());
  }

  private RunRow store(Tx tx, RunRow row, Spending spending, @Nullable Long leaseExpiresAt) {
    Long overAt = row.overBudgetAtWallMicros();
    boolean crossed = overAt == null && spending.isOver();
    if (crossed) {
      overAt = spending.wallMicros();
      audit.append(
          tx,
          Runs.event(row, "run.budget_exceeded")
              .with("exceeded", keys(spending))
              .with("budget", spending.budget().facts())
              .with("used", spending.facts()));
    }
    return tx.mapper(RunMapper.class).spend(row.runId(), spending, overAt, leaseExpiresAt);
  }

  /** Whether a run that loses its lease now has gone on over its budget for too long. */
  boolean endsWithLease(Tx tx, RunRow row) {
    String token = row.leaseToken();
    if (token == null || row.status() != RunStatus.RUNNING) {
      return false; // One that waits for a person spends nothing, and outlives its worker.
    }
    // Of a worker whose lease ended by itself it is not known that it went on: it may have died.
    boolean lapsed = leases.isExpired(token);
    Spending spending = Spending.of(row, lapsed ? row.wallMicrosUsed() : wallMicros(row));
    boolean told = lapsed && leases.wasRefused(token);
    return (told || isTimeUp(row, spending)) && !asking.test(tx, row.runId());
  }

  /** Why a run is over its budget, in words. */
  String complaint(RunRow row) {
    return Spending.of(row, wallMicros(row)).complaint();
  }

  /**
   * A person decided whether a run may spend more. Whatever they said, it has a term of its lease
   * from here on.
   *
   * @param granted what they said yes to
   */
  void decided(Tx tx, RunRow row, List<Budget> granted) {
    String token = row.leaseToken();
    if (token != null) {
      tx.afterCommit(() -> leases.forgive(token));
    }
    Budget before = Budget.of(row.budgetJson());
    Budget after = before;
    for (Budget budget : granted) {
      after = after.extendedBy(budget);
    }
    if (after.equals(before) && row.overBudgetAtWallMicros() == null) {
      return;
    }
    RunRow decided = row;
    if (!after.equals(before)) {
      decided = tx.mapper(RunMapper.class).extend(row.runId(), after.json(), tx.now());
    }
    Spending spending = Spending.of(decided, wallMicros(row));
    if (!after.equals(before)) {
      audit.append(
          tx,
          Runs.event(decided, "run.budget_extended")
              .with("before", before.facts())
              .with("after", after.facts())
              .with("used", spending.facts())
              .with("over_budget", spending.isOver()));
    }
    tx.mapper(RunMapper.class)
        .spend(
            row.runId(),
            spending,
            spending.isOver() ? spending.wallMicros() : null,
            row.leaseExpiresAt());
  }

  /** Whether a running run was found over its budget a whole term of its lease ago. */
  private static boolean isTimeUp(RunRow row, Spending spending) {
    Long overAt = row.overBudgetAtWallMicros();
    return overAt != null
        && row.status() == RunStatus.RUNNING
        && spending.wallMicros() - overAt
            >= RunSpec.parse(row.agentRunSpecJson()).leaseSeconds() * MICROS;
  }

  private long wallMicros(RunRow row) {
    String token = row.leaseToken();
    return token != null && row.status() == RunStatus.RUNNING
        ? leases.wallMicros(token, row.wallMicrosUsed())
        : row.wallMicrosUsed();
  }

  private static List<String> keys(Spending spending) {
    return spending.exceeded().stream().map(BudgetLimit::key).toList();
  }
}
