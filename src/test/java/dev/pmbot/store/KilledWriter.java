package dev.pmbot.store;

import dev.pmbot.files.CrashPoints;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A program of its own that writes as fast as it can, says on its output what was acknowledged, and
 * halts at a commit as if it had been killed.
 */
final class KilledWriter {
  private KilledWriter() {}

  /** Arguments: the database file, the crash point, and at which commit to halt there. */
  public static void main(String[] arguments) {
    String haltAt = arguments[1];
    int haltAfter = Integer.parseInt(arguments[2]);
    AtomicBoolean ready = new AtomicBoolean();
    AtomicInteger reached = new AtomicInteger();
    CrashPoints halt =
        point -> {
          if (ready.get() && point.equals(haltAt) && reached.incrementAndGet() == haltAfter) {
            Runtime.getRuntime().halt(137);
          }
        };
    SqliteStore store =
        new SqliteStore(
            Path.of(arguments[0]),
            Synchronous.NORMAL,
            List.of(SqlMapper.class),
            new Ids(new SystemTime()),
            new SystemTime(),
            halt);
    store
        .write(
            "test",
            Store.NEVER,
            tx -> {
              tx.mapper(SqlMapper.class).prepare();
              return true;
            })
        .join();
    ready.set(true);
    for (int number = 0; ; number++) {
      String note = String.format("note %06d", number);
      CompletableFuture<Boolean> written =
          store.write(
              "test",
              Store.NEVER,
              tx -> {
                tx.mapper(SqlMapper.class).add(note);
                return true;
              });
      written.thenRun(
          () -> {
            System.out.println("acknowledged " + note);
            System.out.flush();
          });
      if (number % 7 == 0) {
        written.join();
      }
    }
  }
}
