package dev.pmbot.run;

import dev.pmbot.audit.Audit;
import dev.pmbot.repo.Repos;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Store;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.Time;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Principal;
import dev.pmbot.workspace.Workspaces;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** How runs get to workers, and back from those who died. */
public final class Claims implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Claims.class);
  private static final long MICROS = 1_000_000;
  private static final long LONGEST_BACK_OFF_MICROS = 60 * MICROS;
  private static final int SLICE = 500;
  private static final long SWEEP_MILLIS = 250;

  private final Workspaces workspaces;
  private final Audit audit;
  private final Ids ids;
  private final Leases leases;
  private final Waiters waiters;
  private final Runs runs;
  private final Attempts attempts;
  private final Interventions interventions;
  private final AtomicBoolean sweeping = new AtomicBoolean();

  /**
   * With everything that runs stand on, a clock, and a timer for back-offs.
   *
   * @param mostWaiting claims waiting at once
   */
  public Claims(
      Workspaces workspaces,
      Repos repos,
      Audit audit,
      Ids ids,
      Time time,
      ScheduledExecutorService timer,
      int mostWaiting) {
    this.workspaces = workspaces;
    this.audit = audit;
    this.ids = ids;
    this.leases = new Leases(time);
    this.waiters = new Waiters(timer, mostWaiting);
    Budgets budgets = new Budgets(audit, leases);
    this.runs = new Runs(workspaces, repos, audit, ids, leases, waiters, budgets);
    this.attempts = new Attempts(runs, audit, leases, waiters, budgets);
    this.interventions = new Interventions(runs, audit, leases);
  }

  /** The runs that are claimed here. */
  public Runs runs() {
    return runs;
  }

  Attempts attempts() {
    return attempts;
  }

  Interventions interventions() {
    return interventions;
  }

  /** Claims that wait now. */
  public int waiting() {
    return waiters.count();
  }

  Waiters waiters() {
    return waiters;
  }

  /** What a worker asks for. */
  record Order(String workerId, Set<String> graphIds, int maxRuns, @Nullable String workspaceId) {}

  /** A run under a fresh lease. */
  record Claimed(RunRow run, String token, int leaseSeconds) {}

  /** Takes approved runs, oldest first, each under a fresh lease. */
  List<Claimed> claim(Tx tx, Order order) {
    if (order.workspaceId() != null) {
      workspaces.get(tx, order.workspaceId());
    }
    Runs.asSystem(tx, () -> returnExpired(tx));
    if (!tx.actor().equals(Principal.LOCAL_USER)) {
      tx.actAs(Principal.worker(order.workerId()));
    }
    List<RunRow> found = new ArrayList<>();
    for (String graphId : order.graphIds()) {
      found.addAll(
          tx.mapper(RunMapper.class)
              .claimable(
                  graphId,
                  order.workspaceId(),
                  leases.now(),
                  leases.now() + LONGEST_BACK_OFF_MICROS,
                  order.maxRuns()));
    }
    return found.stream()
        .sorted(Comparator.comparing(Claims::due).thenComparing(RunRow::runId))
        .limit(order.maxRuns())
        .map(row -> grant(tx, row, order.workerId()))
        .toList();
  }

  private Claimed grant(Tx tx, RunRow row, String workerId) {
    int seconds = RunSpec.parse(row.agentRunSpecJson()).leaseSeconds();
    String token = ids.token();
    RunRow leased =
        runs.store(tx, RunChange.of(row).lease(workerId, token, tx.now() + seconds * MICROS));
    tx.afterCommit(() -> leases.extend(token, row.runId(), seconds));
    audit.append(
        tx,
        Runs.event(leased, "run.claimed")
            .with("worker_id", workerId)
            .with("lease_seconds", seconds)
            .with("attempt", leased.attempt()));
    return new Claimed(leased, token, seconds);
  }

  /** A run that was claimed before, as it is now, if that lease is still current. */
  @Nullable Claimed stillClaimed(Tx tx, String runId, String token) {
    RunRow row = runs.get(tx, runId);
    return token.equals(row.leaseToken()) && !leases.isExpired(token)
        ? new Claimed(row, token, RunSpec.parse(row.agentRunSpecJson()).leaseSeconds())
        : null;
  }

  private void returnExpired(Tx tx) {
    leases.expiredRuns().forEach(runId -> attempts.expire(tx, runId));
  }

  /**
   * Gives every lease that is in the database one full term, and wakes those who wait when a
   * back-off has passed.
   */
  public void adopt(Store store) {
    store.read(tx -> adopt(tx)).join();
  }

  private boolean adopt(Tx tx) {
    RunMapper mapper = tx.mapper(RunMapper.class);
    String behind = null;
    List<RunRow> slice;
    do {
      slice = mapper.leased(behind, SLICE);
      for (RunRow row : slice) {
        behind = row.leaseToken();
        if (behind != null) {
          leases.extend(behind, row.runId(), RunSpec.parse(row.agentRunSpecJson()).leaseSeconds());
          if (row.status() == RunStatus.RUNNING) {
            leases.run(behind, row.wallMicrosUsed());
          }
        }
      }
    } while (slice.size() == SLICE);
    List<RunRow> backingOff = mapper.backingOff(leases.now(), SLICE);
    long horizon = leases.now() + LONGEST_BACK_OFF_MICROS;
    for (RunRow row : backingOff) {
      long due = due(row);
      if (due <= horizon) {
        // The wall clock may have been put back since: no run waits longer than its back-off. What
        // is due further ahead is due now in any case.
        leases.notBefore(due - Attempts.backOffSeconds(row.attempt()) * MICROS);
      }
    }
    for (RunRow row : backingOff) {
      long wait = Math.max(0, due(row) - leases.now());
      waiters.wakeLater(row.workspaceId(), row.graphId(), Math.min(wait, LONGEST_BACK_OFF_MICROS));
    }
    return true;
  }

  private static long due(RunRow row) {
    return row.nextAttemptAt() == null ? 0 : row.nextAttemptAt();
  }

  /** Returns expired leases from now on, a few times a second. */
  public void sweep(Store store, ScheduledExecutorService timer) {
    timer.scheduleWithFixedDelay(
        () -> sweepOnce(store), SWEEP_MILLIS, SWEEP_MILLIS, TimeUnit.MILLISECONDS);
  }

  private void sweepOnce(Store store) {
    // One at a time: while nothing can be written, they would only fill the queue.
    if (leases.expiredRuns().isEmpty() || sweeping.getAndSet(true)) {
      return;
    }
    store
        .write(
            Principal.SYSTEM,
            Store.NEVER,
            tx -> {
              returnExpired(tx);
              return true;
            })
        .whenComplete(
            (done, failure) -> {
              sweeping.set(false);
              // Of its own troubles the store has told.
              if (failure != null && !(failure instanceof StoreException)) {
                log.warn(
                    "expired leases could not be returned; the next sweep tries again", failure);
              }
            });
  }

  /** Lets nobody wait any longer. */
  @Override
  public void close() {
    waiters.close();
  }
}
