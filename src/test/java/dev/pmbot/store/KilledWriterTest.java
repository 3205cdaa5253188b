package dev.pmbot.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.ChildJvm;
import dev.pmbot.kit.TestTime;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What an acknowledged write survives: the end of its program, wherever that falls. */
final class KilledWriterTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({"commit.before,1", "commit.after,1", "commit.before,40", "commit.after,41"})
  void whatWasAcknowledgedIsThereAndNothingIsThereByHalf(String point, int commit) {
    Path file = folder.resolve("killed.sqlite3");
    List<String> acknowledged;
    try (ChildJvm child =
        ChildJvm.start(
            KilledWriter.class, Map.of(), file.toString(), point, Integer.toString(commit))) {
      assertEquals(137, child.awaitExit(), () -> String.join("\n", child.errors()));
      acknowledged =
          child.output().stream().map(line -> line.replace("acknowledged ", "")).toList();
    }
    SqliteStore store =
        new SqliteStore(
            file,
            Synchronous.NORMAL,
            List.of(SqlMapper.class),
            new Ids(new TestTime()),
            new TestTime(),
            CrashPoints.NONE);
    try {
      List<String> stored =
          Await.value("the notes", store.read(tx -> tx.mapper(SqlMapper.class).all()));
      assertTrue(stored.containsAll(acknowledged), "an acknowledged note is lost");
      // Notes are written in order: what is there is a beginning of them, without a hole.
      for (int number = 0; number < stored.size(); number++) {
        assertEquals(String.format("note %06d", number), stored.get(number));
      }
      if (commit == 1) {
        assertEquals(List.of(), acknowledged);
        assertEquals(point.equals("commit.after"), !stored.isEmpty());
      } else {
        assertFalse(acknowledged.isEmpty());
      }
      assertEquals(
          "ok",
          Await.value(
              "the check",
              store.read(
                  tx ->
                      String.valueOf(tx.mapper(SqlMapper.class).value("PRAGMA integrity_check")))));
    } finally {
      store.close();
    }
  }
}
