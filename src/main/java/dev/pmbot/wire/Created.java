package dev.pmbot.wire;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import dev.pmbot.store.Ids;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * When what a list shows was created. Ids sort by age, so a list in their order looks only at those
 * of that time; they are made a moment after {@code created_at} was read, or held up by a clock
 * that stepped back a little, so it looks at a few more, and {@code created_at} itself decides.
 *
 * @param after not before this time, in microseconds since the epoch
 * @param before before this time
 */
public record Created(long after, long before) {
  /** At any time. */
  public static final Created ANY = new Created(Long.MIN_VALUE, Long.MAX_VALUE);

  private static final long SLACK_MICROS = Duration.ofMinutes(1).toNanos() / 1_000;
  // Ids are lower-case letters, digits and an underscore: all sort before it.
  private static final String BEHIND_ALL = "~";

  /** What a filter's fields {@code created_after} and {@code created_before} say. */
  public static Created of(Message filter) {
    return new Created(
        micros(filter, "created_after", ANY.after), micros(filter, "created_before", ANY.before));
  }

  private static long micros(Message filter, String name, long absent) {
    FieldDescriptor field = filter.getDescriptorForType().findFieldByName(name);
    return filter.hasField(field)
        ? ProtoTime.microsFrom((Timestamp) filter.getField(field))
        : absent;
  }

  /** Whether something that was created then is shown. */
  public boolean takes(long createdAt) {
    return createdAt >= after && createdAt < before;
  }

  /** Whether any time will do. */
  public boolean isAny() {
    return equals(ANY);
  }

  /** No id of that kind that a list may show is below this. */
  public String lowestId(String prefix) {
    return after == ANY.after ? "" : Ids.lowest(prefix, after - SLACK_MICROS);
  }

  /** Every id of that kind that a list may still show is below this, behind a place in it. */
  public String idBound(String prefix, @Nullable String behind) {
    String bound = before == ANY.before ? BEHIND_ALL : Ids.lowest(prefix, before + SLACK_MICROS);
    return behind != null && behind.compareTo(bound) < 0 ? behind : bound;
  }
}
