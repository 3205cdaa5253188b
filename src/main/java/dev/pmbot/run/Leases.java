package dev.pmbot.run;

import dev.pmbot.store.Time;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * When leases end, on the clock that never steps. One predicate decides "expired" for claims, for
 * fencing and for the sweep. Changed only by what was committed.
 */
final class Leases {
  private record Deadline(String runId, long nanos) {}

  private final Time time;
  private final Map<String, Deadline> byToken = new ConcurrentHashMap<>();

  Leases(Time time) {
    this.time = time;
  }

  void extend(String token, String runId, int seconds) {
    byToken.put(
        token, new Deadline(runId, time.monotonicNanos() + TimeUnit.SECONDS.toNanos(seconds)));
  }

  void forget(@Nullable String token) {
    if (token != null) {
      byToken.remove(token);
    }
  }

  /**
   * Whether the lease has ended. One that is not known here was granted in the group that is being
   * written.
   */
  boolean isExpired(String token) {
    Deadline deadline = byToken.get(token);
    return deadline != null && isPast(deadline);
  }

  private boolean isPast(Deadline deadline) {
    return deadline.nanos - time.monotonicNanos() <= 0;
  }

  /** The runs whose leases have ended and were not returned yet. */
  List<String> expiredRuns() {
    return byToken.values().stream().filter(this::isPast).map(Deadline::runId).toList();
  }
}
