package dev.pmbot.access;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.store.Store;
import dev.pmbot.wire.AccessLog;
import dev.pmbot.wire.Principal;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The record of refused callers: the first of a kind within a minute at once, the rest counted at
 * the minute's end, so that nobody can fill the chain by being refused.
 */
public final class Denials implements AccessLog {
  private static final Logger logger = LoggerFactory.getLogger(Denials.class);
  private static final int MOST_KINDS = 200;
  private static final Kind OTHERS = new Kind("various", "various", "various", "various");

  private record Kind(String peer, String method, String actor, String reason) {}

  private final Store store;
  private final Audit audit;
  private final Map<Kind, Integer> further = new HashMap<>();
  private boolean failing;

  /** With the log, and a timer for the minutes. */
  public Denials(Store store, Audit audit, ScheduledExecutorService timer) {
    this.store = store;
    this.audit = audit;
    timer.scheduleWithFixedDelay(this::count, 1, 1, TimeUnit.MINUTES);
  }

  @Override
  public void denied(String peer, String method, String actor, String reason) {
    Kind kind = new Kind(peer, method, actor, reason);
    boolean first;
    synchronized (further) {
      first = !further.containsKey(kind) && further.size() < MOST_KINDS;
      if (first) {
        further.put(kind, 0);
      } else {
        further.merge(further.containsKey(kind) ? kind : OTHERS, 1, Integer::sum);
      }
    }
    if (first) {
      logger.warn(
          "refused ({}): {} by {} from {}; it is on the record, and so is by the minute how often it comes again",
          reason,
          method,
          actor,
          peer);
      record(kind, 1, "access.denied");
    }
  }

  /** Records what was counted, and begins anew. */
  public void count() {
    Map<Kind, Integer> counted;
    synchronized (further) {
      counted = Map.copyOf(further);
      further.clear();
    }
    counted.forEach(
        (kind, count) -> {
          if (count > 0) {
            record(kind, count, "access.denied_again");
          }
        });
  }

  private void recorded() {
    synchronized (further) {
      failing = false;
    }
  }

  /** Whether it is the first since they could be recorded. */
  private boolean putBack(Kind kind, int count) {
    synchronized (further) {
      Kind known = further.containsKey(kind) || further.size() < MOST_KINDS ? kind : OTHERS;
      further.merge(known, count, Integer::sum);
      boolean first = !failing;
      failing = true;
      return first;
    }
  }

  private void record(Kind kind, int count, String type) {
    Event event =
        Event.of(Audit.SYSTEM, type)
            .with("peer", kind.peer())
            .with("method", kind.method())
            .with("caller", kind.actor())
            .with("reason", kind.reason())
            .with("count", count);
    store
        .write(
            Principal.SYSTEM,
            Store.NEVER,
            tx -> {
              audit.append(tx, event);
              tx.afterCommit(this::recorded);
              return true;
            })
        .exceptionally(
            failure -> {
              // Not lost: counted again, for the next minute's end.
              if (putBack(kind, count)) {
                logger.warn("a denial could not be put on the record; it is tried again", failure);
              }
              return false;
            });
  }
}
