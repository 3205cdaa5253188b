package dev.pmbot.store;

import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says once that nothing can be stored, and once that it can be again: between the two may lie
 * thousands of groups. One that comes and goes is told of once a minute. For the writer's thread.
 */
final class WriteTrouble {
  private static final Logger log = LoggerFactory.getLogger(WriteTrouble.class);
  private static final long TOLD_AGAIN_NANOS = TimeUnit.MINUTES.toNanos(1);

  private final Time time;
  private final Map<StoreException.Kind, Long> toldAt = new EnumMap<>(StoreException.Kind.class);
  private final Set<StoreException.Kind> told = EnumSet.noneOf(StoreException.Kind.class);
  private long groups;

  WriteTrouble(Time time) {
    this.time = time;
  }

  /** A group could not be stored. */
  void met(StoreException.Kind kind, String where, Throwable failure) {
    groups++;
    Long before = toldAt.get(kind);
    long now = time.monotonicNanos();
    if (told.contains(kind) || (before != null && now - before < TOLD_AGAIN_NANOS)) {
      return;
    }
    toldAt.put(kind, now);
    told.add(kind);
    if (kind == StoreException.Kind.DISK_FULL) {
      log.warn(
          "the disk or the database is full ({} failed): nothing is stored until there is room",
          where);
    } else {
      log.warn("{} failed: nothing is stored until it succeeds", where, failure);
    }
  }

  /** A group was stored. */
  void over() {
    if (!told.isEmpty()) {
      log.info("what is written is stored again; {} groups of writes were refused", groups);
      told.clear();
    }
    groups = 0;
  }
}
