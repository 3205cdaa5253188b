package dev.pmbot.run;

import dev.pmbot.store.Time;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * When leases end, and how long the runs under them have been running, on the clock that never
 * steps. One predicate decides "expired" for claims, for fencing and for the sweep. Changed only by
 * what was committed, by {@link #refuse}, and by a standstill: while this process stood still no
 * worker could renew, so that time counts for none of them.
 */
final class Leases {
  private static final Logger log = LoggerFactory.getLogger(Leases.class);

  private record Deadline(String runId, long nanos) {}

  /** Running since then, on top of what was used before. */
  private record Running(long sinceNanos, long wallMicros) {}

  private final Time time;
  private final Map<String, Deadline> byToken = new ConcurrentHashMap<>();
  private final Map<String, Running> running = new ConcurrentHashMap<>();
  private final Set<String> refused = ConcurrentHashMap.newKeySet();
  private volatile long wallMinusMonotonic;
  private long stoodStillBefore;

  Leases(Time time) {
    this.time = time;
    this.wallMinusMonotonic = time.nowMicros() - monotonicMicros();
    this.stoodStillBefore = time.stoodStillNanos();
  }

  private long monotonicMicros() {
    return TimeUnit.NANOSECONDS.toMicros(time.monotonicNanos());
  }

  /**
   * The time by which runs are claimable, in microseconds since the epoch: the wall's when the
   * server started, and what has passed since. It never steps, so a back-off takes as long as it
   * should, and what was cleared first is claimed first, whoever sets the machine's clock.
   */
  long now() {
    return wallMinusMonotonic + monotonicMicros();
  }

  /**
   * That time is at least this: an earlier server has called it so, and its back-offs end by it.
   */
  void notBefore(long micros) {
    wallMinusMonotonic = Math.max(wallMinusMonotonic, micros - monotonicMicros());
  }

  private synchronized void noticeStandstill() {
    long total = time.stoodStillNanos();
    long passed = total - stoodStillBefore;
    if (passed == 0) {
      return;
    }
    stoodStillBefore = total;
    if (byToken.isEmpty()) {
      return;
    }
    byToken.replaceAll(
        (token, deadline) -> new Deadline(deadline.runId(), deadline.nanos() + passed));
    log.info(
        "the server stood still for {} s; every lease is as much longer",
        TimeUnit.NANOSECONDS.toSeconds(passed));
  }

  void extend(String token, String runId, int seconds) {
    noticeStandstill();
    byToken.put(
        token, new Deadline(runId, time.monotonicNanos() + TimeUnit.SECONDS.toNanos(seconds)));
    refused.remove(token);
  }

  void forget(@Nullable String token) {
    if (token != null) {
      byToken.remove(token);
      running.remove(token);
      refused.remove(token);
    }
  }

  /** The run is running from now on, having run for so long before. */
  void run(String token, long wallMicros) {
    running.put(token, new Running(time.monotonicNanos(), wallMicros));
  }

  /** The run is not running any more. */
  void rest(String token) {
    running.remove(token);
  }

  /**
   * How long a run that is running has run by now, or had when its lease ended.
   *
   * @param stored what is known of it at least
   */
  long wallMicros(String token, long stored) {
    Running since = running.get(token);
    if (since == null) {
      return stored; // Started in the group that is being written.
    }
    long nanos = time.monotonicNanos() - since.sinceNanos;
    Deadline deadline = byToken.get(token);
    if (deadline != null) {
      nanos = Math.min(nanos, deadline.nanos - since.sinceNanos);
    }
    return Math.max(stored, since.wallMicros + TimeUnit.NANOSECONDS.toMicros(Math.max(0, nanos)));
  }

  /**
   * The worker was told that this lease is not renewed. Known from the telling on, which stores
   * nothing.
   */
  void refuse(String token) {
    refused.add(token);
  }

  /** What the worker was told does not hold any more. */
  void forgive(String token) {
    refused.remove(token);
  }

  /** Whether the worker was told that this lease is not renewed. */
  boolean wasRefused(String token) {
    return refused.contains(token);
  }

  /**
   * Whether the lease has ended. One that is not known here was granted in the group that is being
   * written.
   */
  boolean isExpired(String token) {
    if (!isPast(token)) {
      return false;
    }
    // Looked for behind the clock: a standstill in between would not be seen.
    noticeStandstill();
    return isPast(token);
  }

  private boolean isPast(String token) {
    Deadline deadline = byToken.get(token);
    return deadline != null && isPast(deadline);
  }

  private boolean isPast(Deadline deadline) {
    return deadline.nanos - time.monotonicNanos() <= 0;
  }

  /** The runs whose leases have ended and were not returned yet. */
  List<String> expiredRuns() {
    noticeStandstill();
    return byToken.values().stream().filter(this::isPast).map(Deadline::runId).toList();
  }
}
