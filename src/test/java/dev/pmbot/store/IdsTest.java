package dev.pmbot.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.TestTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;

final class IdsTest {
  private final TestTime time = new TestTime();
  private final Ids ids = new Ids(time);

  @Test
  void theySortByAge() {
    List<String> made = new ArrayList<>();
    for (int count = 0; count < 10_000; count++) {
      made.add(ids.next("run"));
      time.advance(Duration.ofNanos(count % 7 * 100_000));
    }
    assertEquals(made.stream().sorted().distinct().toList(), made);
  }

  @Test
  void aStepBackOfLessThanASecondHoldsThemUp() {
    String first = ids.next("run");
    time.stepWall(Duration.ofMillis(-900));
    String second = ids.next("run");
    assertTrue(first.compareTo(second) < 0);
    assertEquals(first.substring(0, 16), second.substring(0, 16));
  }

  @Test
  void theLowestOfATimePartsWhatWasMadeBeforeFromWhatWasMadeThen() {
    String before = ids.next("run");
    time.advance(Duration.ofMillis(1));
    String lowest = Ids.lowest("run", time.nowMicros());
    String then = ids.next("run");
    assertTrue(before.compareTo(lowest) < 0, before);
    assertTrue(lowest.compareTo(then) < 0, then);
    assertEquals(then.length(), lowest.length());
  }

  @Test
  void aTimeThatNoIdCanHaveHasALowestToo() {
    List<String> lowest =
        List.of(
            Ids.lowest("run", Long.MIN_VALUE),
            Ids.lowest("run", time.nowMicros()),
            Ids.lowest("run", Long.MAX_VALUE));
    assertEquals(lowest.stream().sorted(Comparator.naturalOrder()).toList(), lowest);
    assertEquals("run_" + "0".repeat(32), lowest.get(0));
    assertEquals("run_" + "f".repeat(12) + "0".repeat(20), Ids.lowest("run", Long.MAX_VALUE));
  }
}
