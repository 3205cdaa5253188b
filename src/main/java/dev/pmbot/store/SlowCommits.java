package dev.pmbot.store;

import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says that commits are slow, at most once a minute. For the writer's thread. */
final class SlowCommits {
  private static final Logger log = LoggerFactory.getLogger(SlowCommits.class);
  private static final long SLOW_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long TOLD_AGAIN_NANOS = TimeUnit.MINUTES.toNanos(1);

  private boolean told;
  private long toldAt;
  private int untold;

  /** A commit has taken so long. */
  void took(long nanos, long now) {
    if (nanos < SLOW_NANOS) {
      return;
    }
    if (told && now - toldAt < TOLD_AGAIN_NANOS) {
      untold++;
      return;
    }
    log.warn(
        "a commit took {} ms, and all who write wait for it: the disk is slow, or busy with something else ({} more"
            + " since the last such line)",
        TimeUnit.NANOSECONDS.toMillis(nanos),
        untold);
    told = true;
    toldAt = now;
    untold = 0;
  }
}
