package dev.pmbot.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Gate;
import dev.pmbot.kit.TestTime;
import dev.pmbot.store.SqlMapper.Mood;
import dev.pmbot.store.StoreException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class SqliteStoreTest {
  @TempDir Path folder;
  private final Gate gate = new Gate();
  private SqliteStore store;

  @BeforeEach
  void open() {
    store = open(gate);
    Await.value("the table", store.write("test", Store.NEVER, tx -> done(() -> sql(tx).prepare())));
  }

  @AfterEach
  void close() {
    gate.open();
    store.close();
  }

  private Path file() {
    return folder.resolve("test.sqlite3");
  }

  private SqliteStore open(CrashPoints crashPoints) {
    return open(file(), Synchronous.NORMAL, crashPoints);
  }

  private static SqliteStore open(Path file, Synchronous synchronous, CrashPoints crashPoints) {
    return new SqliteStore(
        file,
        synchronous,
        List.of(SqlMapper.class),
        new Ids(new TestTime()),
        new TestTime(),
        crashPoints);
  }

  private static SqlMapper sql(Tx tx) {
    return tx.mapper(SqlMapper.class);
  }

  private static boolean done(Runnable action) {
    action.run();
    return true;
  }

  private CompletableFuture<Boolean> add(String note) {
    return store.write("test", Store.NEVER, tx -> done(() -> sql(tx).add(note)));
  }

  private List<String> notes() {
    return Await.value("the notes", store.read(tx -> sql(tx).all()));
  }

  /** What another connection sees, as another program would. */
  private List<String> committedNotes() {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file());
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT note FROM notes ORDER BY note")) {
      List<String> notes = new ArrayList<>();
      while (rows.next()) {
        notes.add(rows.getString(1));
      }
      return notes;
    } catch (SQLException failure) {
      throw new AssertionError(failure);
    }
  }

  private static String state(AtomicReference<CompletableFuture<Boolean>> unit) {
    CompletableFuture<Boolean> future = unit.get();
    return future != null && future.isDone() ? " answered" : " unanswered";
  }

  private static Kind kind(CompletableFuture<?> future) {
    return assertInstanceOf(StoreException.class, Await.failure("the unit", future)).kind();
  }

  /** Holds the writer before a commit, so that what is submitted next becomes one group. */
  private CompletableFuture<Boolean> hold() {
    gate.close();
    CompletableFuture<Boolean> holds = add("0 holds");
    gate.awaitHeld();
    return holds;
  }

  @Test
  void aUnitThatThrowsIsUndoneAlone() {
    final CompletableFuture<Boolean> holds = hold();
    final int commits = gate.commits();
    CompletableFuture<Boolean> one = add("one");
    IllegalStateException reason = new IllegalStateException("not like this");
    CompletableFuture<Boolean> two =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).add("two, undone");
              throw reason;
            });
    CompletableFuture<Boolean> three = add("three");
    // It breaks a rule of the database itself, and no more than its statement is undone by that.
    CompletableFuture<Boolean> four =
        store.write("test", Store.NEVER, tx -> done(() -> sql(tx).add("one")));
    CompletableFuture<Boolean> five = add("five");
    gate.open();
    Await.value("the holder", holds);
    Await.value("one", one);
    assertSame(reason, Await.failure("two", two));
    Await.value("three", three);
    Await.failure("four", four);
    Await.value("five", five);
    assertEquals(commits + 1, gate.commits(), "they were meant to be one group");
    assertEquals(List.of("0 holds", "five", "one", "three"), notes());
  }

  @Test
  void anErrorIsUndoneAsAnExceptionIs() {
    CompletableFuture<Boolean> broken =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).add("undone");
              throw new StackOverflowError();
            });
    assertInstanceOf(StackOverflowError.class, Await.failure("the unit", broken));
    Await.value("the next", add("next"));
    assertEquals(List.of("next"), notes());
  }

  @Test
  void aUnitSeesWhatThoseBeforeItInItsGroupDid() {
    final CompletableFuture<Boolean> holds = hold();
    add("one");
    CompletableFuture<List<String>> seen = store.write("test", Store.NEVER, tx -> sql(tx).all());
    gate.open();
    Await.value("the holder", holds);
    assertEquals(List.of("0 holds", "one"), Await.value("what it saw", seen));
  }

  @Test
  void nothingIsAnsweredBeforeItsCommitAndNothingIsSeenOfIt() {
    AtomicReference<CompletableFuture<Boolean>> unit = new AtomicReference<>();
    List<String> observed = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch submitted = new CountDownLatch(1);
    SqliteStore watched =
        open(
            point -> {
              if (unit.get() == null) {
                return;
              }
              try {
                submitted.await();
              } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
              }
              observed.add(
                  point
                      + state(unit)
                      + (committedNotes().contains("watched") ? " visible" : " invisible"));
            });
    try {
      unit.set(new CompletableFuture<>());
      CompletableFuture<Boolean> added =
          watched.write("test", Store.NEVER, tx -> done(() -> sql(tx).add("watched")));
      unit.set(added);
      submitted.countDown();
      Await.value("the unit", added);
      assertEquals(
          List.of("commit.before unanswered invisible", "commit.after unanswered visible"),
          observed);
    } finally {
      watched.close();
    }
  }

  @Test
  void whatFollowsACommitRunsOnceItIsThereAndBeforeTheAnswer() {
    List<String> observed = Collections.synchronizedList(new ArrayList<>());
    final CompletableFuture<Boolean> holds = hold();
    AtomicReference<CompletableFuture<Boolean>> unit = new AtomicReference<>();
    unit.set(
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).add("one");
              tx.afterCommit(
                  () ->
                      observed.add(
                          "after"
                              + state(unit)
                              + (committedNotes().contains("one") ? " visible" : " invisible")));
              tx.afterCommit(
                  () -> {
                    throw new IllegalStateException("harms nobody");
                  });
              tx.afterCommit(() -> observed.add("second"));
              tx.beforeEnd(() -> observed.add("before the end"));
              return true;
            }));
    CompletableFuture<Boolean> undone =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              tx.afterCommit(() -> observed.add("of an undone unit"));
              throw new IllegalStateException();
            });
    CompletableFuture<Boolean> undoneAtItsEnd =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).add("two");
              tx.afterCommit(() -> observed.add("of a unit undone at its end"));
              tx.beforeEnd(
                  () -> {
                    throw new IllegalStateException();
                  });
              return true;
            });
    gate.open();
    Await.value("the holder", holds);
    Await.until("the unit is answered", () -> state(unit).equals(" answered"));
    Await.failure("the undone unit", undone);
    Await.failure("the unit undone at its end", undoneAtItsEnd);
    // The end came twice: the first try of the group was undone with the units that failed.
    assertEquals(
        List.of("before the end", "before the end", "after unanswered visible", "second"),
        observed);
    assertEquals(List.of("0 holds", "one"), notes());
  }

  @Test
  void aGroupThatGoesWellIsDoneOnceAndSharesToItsEnd() {
    final CompletableFuture<Boolean> holds = hold();
    List<String> observed = Collections.synchronizedList(new ArrayList<>());
    List<CompletableFuture<Boolean>> units =
        List.of(sharing("one", observed), sharing("two", observed), sharing("three", observed));
    gate.open();
    Await.value("the holder", holds);
    units.forEach(unit -> Await.value("a unit", unit));
    assertEquals(
        List.of("one tentative", "two tentative", "three tentative", "end of one, two, three"),
        observed);
    assertEquals(List.of("0 holds", "one", "three", "two"), notes());
  }

  @Test
  void aGroupInWhichOneFailsIsDoneAgainEachUnitForItself() {
    final CompletableFuture<Boolean> holds = hold();
    List<String> observed = Collections.synchronizedList(new ArrayList<>());
    final CompletableFuture<Boolean> one = sharing("one", observed);
    final CompletableFuture<Boolean> same = add("one");
    final CompletableFuture<Boolean> three = sharing("three", observed);
    gate.open();
    Await.value("the holder", holds);
    Await.value("one", one);
    Await.failure("the same again", same);
    Await.value("three", three);
    assertEquals(
        List.of("one tentative", "one alone", "end of one", "three alone", "end of three"),
        observed);
    assertEquals(List.of("0 holds", "one", "three"), notes());
  }

  /** Adds a note, and says at the shared end which notes share it. */
  private CompletableFuture<Boolean> sharing(String note, List<String> observed) {
    return store.write(
        "test",
        Store.NEVER,
        tx -> {
          observed.add(note + (tx.isTentative() ? " tentative" : " alone"));
          sql(tx).add(note);
          Sharers sharers = tx.shared(Sharers.class, Sharers::new);
          if (sharers.notes.isEmpty()) {
            tx.beforeSharedEnd(() -> observed.add("end of " + String.join(", ", sharers.notes)));
          }
          sharers.notes.add(note);
          return true;
        });
  }

  private static final class Sharers {
    final List<String> notes = new ArrayList<>();
  }

  @Test
  void theLogIsWrittenBackBesideTheWriterAndBeginsAnew() throws IOException {
    Path log = folder.resolve("test.sqlite3-wal");
    String page = "x".repeat(50_000);
    long largest = 0;
    // The key is in the table and in its index: twice 300 MB come into the log.
    for (int number = 0; number < 6_000; number++) {
      Await.value("a note", add(number + page));
      largest = Math.max(largest, Files.size(log));
    }
    assertTrue(largest < 300L << 20, "a log of " + largest + " bytes");
  }

  @Test
  void aReaderThatStaysOpenStopsNobodyFromWriting() throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file());
        Statement statement = connection.createStatement()) {
      statement.execute("BEGIN");
      statement.executeQuery("SELECT count(*) FROM notes").close();
      String page = "x".repeat(100_000);
      for (int number = 0; number < 500; number++) {
        Await.value("a note", add(number + page));
      }
      try (ResultSet seen = statement.executeQuery("SELECT count(*) FROM notes")) {
        assertEquals(0, seen.getInt(1), "it sees the database as it was");
      }
      statement.execute("ROLLBACK");
    }
    assertEquals(500, notes().size());
  }

  @Test
  void aLogThatAReaderLetGrowShrinksWhenItIsGoneThoughNobodyWrites()
      throws SQLException, IOException {
    Path log = folder.resolve("test.sqlite3-wal");
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file());
        Statement statement = connection.createStatement()) {
      statement.execute("BEGIN");
      statement.executeQuery("SELECT count(*) FROM notes").close();
      String page = "x".repeat(500_000);
      // The key is in the table and in its index.
      for (int number = 0; Files.size(log) < 280L << 20; number++) {
        Await.value("a note", add(number + page));
      }
      statement.execute("ROLLBACK");
    }
    Await.until("the log is small", () -> log.toFile().length() <= 64L << 20);
  }

  @Test
  void aFullDatabaseLosesNothingThatWasAcknowledgedAndServesAgain() {
    final CompletableFuture<Boolean> holds = hold();
    TreeMap<String, CompletableFuture<Boolean>> units = new TreeMap<>();
    for (int number = 10; number < 60; number++) {
      String note = "note " + number;
      // Every fifth is a mebibyte, which there is no room for.
      String text = number % 5 == 0 ? note + " ".repeat(1 << 20) : note;
      units.put(
          text,
          store.write(
              "test",
              Store.NEVER,
              tx -> {
                long pages = Long.parseLong(String.valueOf(sql(tx).value("PRAGMA page_count")));
                sql(tx).value("PRAGMA max_page_count = " + (pages + 20));
                sql(tx).add(text);
                return true;
              }));
    }
    gate.open();
    Await.value("the holder", holds);
    TreeSet<String> acknowledged = new TreeSet<>();
    acknowledged.add("0 holds");
    units.forEach(
        (text, future) -> {
          try {
            future.get(Await.PATIENCE.toSeconds(), java.util.concurrent.TimeUnit.SECONDS);
            acknowledged.add(text);
          } catch (java.util.concurrent.ExecutionException refused) {
            StoreException said = assertInstanceOf(StoreException.class, refused.getCause());
            // Nobody of the group need wonder: a full disk takes back all that was not committed.
            assertEquals(Kind.DISK_FULL, said.kind(), said.toString());
          } catch (Exception other) {
            throw new AssertionError(other);
          }
        });
    assertEquals(new ArrayList<>(acknowledged), committedNotes());
    assertTrue(
        units.entrySet().stream()
            .filter(entry -> entry.getKey().length() > 100)
            .allMatch(entry -> entry.getValue().isCompletedExceptionally()),
        "what there was no room for was acknowledged");

    String large = "room again" + " ".repeat(1 << 20);
    Await.value(
        "a large note once there is room",
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).value("PRAGMA max_page_count = 1000000");
              sql(tx).add(large);
              return true;
            }));
    assertTrue(committedNotes().contains(large));
  }

  @Test
  void aBrokenTransactionEndsItsGroup() {
    final CompletableFuture<Boolean> holds = hold();
    AtomicBoolean ranBehind = new AtomicBoolean();
    CompletableFuture<Boolean> before = add("before");
    IllegalStateException own = new IllegalStateException("its own");
    CompletableFuture<Boolean> failedBefore =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              throw own;
            });
    CompletableFuture<Boolean> breaks =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).add("breaks");
              // As a full disk does: the whole transaction goes, not the savepoint.
              sql(tx).run("ROLLBACK");
              return true;
            });
    CompletableFuture<Boolean> behind =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              ranBehind.set(true);
              sql(tx).add("behind");
              return true;
            });
    gate.open();
    Await.value("the holder", holds);
    assertEquals(Kind.OUTCOME_UNKNOWN, kind(before));
    assertEquals(Kind.OUTCOME_UNKNOWN, kind(breaks));
    assertEquals(Kind.OUTCOME_UNKNOWN, kind(behind));
    Await.failure("the one that failed by itself", failedBefore);
    assertFalse(ranBehind.get(), "it would have committed alone");
    assertEquals(List.of("0 holds"), committedNotes());
    Await.value("the next group", add("next"));
    assertEquals(List.of("0 holds", "next"), committedNotes());
  }

  @Test
  void aBrokenTransactionRunsNothingThatFollowsACommit() {
    AtomicBoolean ran = new AtomicBoolean();
    final CompletableFuture<Boolean> holds = hold();
    CompletableFuture<Boolean> before =
        store.write("test", Store.NEVER, tx -> done(() -> tx.afterCommit(() -> ran.set(true))));
    CompletableFuture<Boolean> breaks =
        store.write("test", Store.NEVER, tx -> done(() -> sql(tx).run("ROLLBACK")));
    gate.open();
    Await.value("the holder", holds);
    Await.failure("before", before);
    Await.failure("breaks", breaks);
    Await.value("the next group", add("next"));
    assertFalse(ran.get());
  }

  @Test
  void aUnitThatCommitsByItselfIsNotTakenForDone() {
    CompletableFuture<Boolean> commits =
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).add("too early");
              sql(tx).run("COMMIT");
              return true;
            });
    assertEquals(Kind.OUTCOME_UNKNOWN, kind(commits));
    Await.value("the next group", add("next"));
  }

  @Test
  void aFailedCommitAcknowledgesNothing() {
    AtomicBoolean fail = new AtomicBoolean();
    SqliteStore failing =
        open(
            point -> {
              if (point.equals("commit.before") && fail.getAndSet(false)) {
                throw new IllegalStateException("the disk is gone");
              }
            });
    try {
      fail.set(true);
      CompletableFuture<Boolean> lost =
          failing.write("test", Store.NEVER, tx -> done(() -> sql(tx).add("lost")));
      assertEquals(Kind.OUTCOME_UNKNOWN, kind(lost));
      Await.value(
          "the next", failing.write("test", Store.NEVER, tx -> done(() -> sql(tx).add("next"))));
      assertEquals(List.of("next"), committedNotes());
    } finally {
      failing.close();
    }
  }

  @Test
  void aUnitWhoseCallerHasGoneIsSkipped() {
    final CompletableFuture<Boolean> holds = hold();
    AtomicBoolean gone = new AtomicBoolean();
    AtomicBoolean ran = new AtomicBoolean();
    CompletableFuture<Boolean> skipped =
        store.write("test", gone::get, tx -> done(() -> ran.set(true)));
    CompletableFuture<Boolean> stays = add("stays");
    gone.set(true);
    gate.open();
    Await.value("the holder", holds);
    assertEquals(Kind.ABANDONED, kind(skipped));
    Await.value("the one that stays", stays);
    assertFalse(ran.get());
  }

  @Test
  void aReadWhoseCallerHasGoneIsSkipped() {
    CountDownLatch begun = new CountDownLatch(SqliteStore.READERS);
    CompletableFuture<Boolean> goOn = new CompletableFuture<>();
    List<CompletableFuture<Boolean>> holds = new ArrayList<>();
    for (int count = 0; count < SqliteStore.READERS; count++) {
      holds.add(
          store.read(
              tx -> {
                begun.countDown();
                return goOn.join();
              }));
    }
    Await.until("every reader is busy", () -> begun.getCount() == 0);
    AtomicBoolean gone = new AtomicBoolean();
    AtomicBoolean ran = new AtomicBoolean();
    CompletableFuture<Boolean> skipped = store.read(gone::get, tx -> done(() -> ran.set(true)));
    CompletableFuture<List<String>> stays = store.read(() -> false, tx -> sql(tx).all());
    gone.set(true);
    goOn.complete(true);
    holds.forEach(hold -> Await.value("a holder", hold));
    assertEquals(Kind.ABANDONED, kind(skipped));
    assertEquals(List.of(), Await.value("the one that stays", stays));
    assertFalse(ran.get());
  }

  @Test
  void aFullQueueRefusesAndLosesNothingItTookOn() {
    final CompletableFuture<Boolean> holds = hold();
    List<CompletableFuture<Boolean>> taken = new ArrayList<>();
    for (int count = 0; count < GroupCommitWriter.LONGEST_QUEUE; count++) {
      taken.add(add("note " + count));
    }
    CompletableFuture<Boolean> refused = add("refused");
    assertTrue(refused.isDone(), "it was refused at once");
    assertEquals(Kind.QUEUE_FULL, kind(refused));
    gate.open();
    Await.value("the holder", holds);
    taken.forEach(future -> Await.value("a unit that was taken on", future));
    assertEquals(GroupCommitWriter.LONGEST_QUEUE + 1, notes().size());
    Await.value("room again", add("room again"));
  }

  @Test
  void aGroupIsBounded() {
    final CompletableFuture<Boolean> holds = hold();
    int commits = gate.commits();
    List<CompletableFuture<Boolean>> units = new ArrayList<>();
    for (int count = 0; count < GroupCommitWriter.LARGEST_GROUP * 2; count++) {
      units.add(add("note " + count));
    }
    gate.open();
    Await.value("the holder", holds);
    units.forEach(future -> Await.value("a unit", future));
    assertEquals(commits + 2, gate.commits());
  }

  @Test
  void aCloseFinishesTheQueueAndLeavesNoLog() throws IOException, InterruptedException {
    final CompletableFuture<Boolean> holds = hold();
    List<CompletableFuture<Boolean>> taken = new ArrayList<>();
    for (int count = 0; count < 500; count++) {
      taken.add(add("note " + count));
    }
    Thread closer = new Thread(store::close);
    closer.start();
    Await.until(
        "submits are refused",
        () -> {
          CompletableFuture<Boolean> late = store.write("test", Store.NEVER, tx -> done(() -> {}));
          return late.isCompletedExceptionally() && kind(late) == Kind.CLOSED;
        });
    gate.open();
    closer.join(Await.PATIENCE.toMillis());
    assertFalse(closer.isAlive());
    Await.value("the holder", holds);
    taken.forEach(future -> Await.value("a unit that was taken on", future));
    Path log = folder.resolve("test.sqlite3-wal");
    assertTrue(!Files.exists(log) || Files.size(log) == 0, "a log was left behind");
    assertEquals(501, committedNotes().size());
    assertEquals(Kind.CLOSED, kind(store.read(tx -> true)));
  }

  @ParameterizedTest
  @EnumSource(Synchronous.class)
  void everyConnectionIsSetAsItMustBe(Synchronous synchronous) {
    SqliteStore other = open(folder.resolve("other.sqlite3"), synchronous, CrashPoints.NONE);
    try {
      Work<TreeMap<String, String>> pragmas =
          tx -> {
            TreeMap<String, String> values = new TreeMap<>();
            for (String name :
                List.of(
                    "busy_timeout",
                    "foreign_keys",
                    "journal_mode",
                    "query_only",
                    "secure_delete",
                    "synchronous")) {
              values.put(name, String.valueOf(sql(tx).value("PRAGMA " + name)));
            }
            return values;
          };
      TreeMap<String, String> expected = new TreeMap<>();
      expected.put("busy_timeout", "5000");
      expected.put("foreign_keys", "1");
      expected.put("journal_mode", "wal");
      expected.put("query_only", "0");
      expected.put("secure_delete", "1");
      expected.put("synchronous", synchronous == Synchronous.FULL ? "2" : "1");
      assertEquals(expected, Await.value("writer", other.write("t", Store.NEVER, pragmas)));
      expected.put("query_only", "1");
      assertEquals(expected, Await.value("reader", other.read(pragmas)));
    } finally {
      other.close();
    }
  }

  @Test
  void aReadCannotWriteAndTheReaderServesOn() {
    for (int round = 0; round < 10; round++) {
      Await.failure(
          "a write in a read", store.read(tx -> done(() -> sql(tx).add("from a reader"))));
    }
    assertEquals(List.of(), notes());
  }

  @Test
  void aReadThatThrowsLeavesItsReaderUsable() {
    IllegalStateException reason = new IllegalStateException("no");
    for (int round = 0; round < 10; round++) {
      CompletableFuture<Boolean> broken =
          store.read(
              tx -> {
                sql(tx).all();
                throw reason;
              });
      assertSame(reason, Await.failure("the read", broken));
    }
    Await.value("a write", add("written"));
    for (int round = 0; round < 10; round++) {
      assertEquals(List.of("written"), notes(), "a reader kept an old transaction");
    }
  }

  @Test
  void aReadSeesOneStateOfTheDatabase() {
    Await.value("a write", add("before"));
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    CompletableFuture<List<List<String>>> reads =
        store.read(
            tx -> {
              List<String> first = sql(tx).all();
              begun.countDown();
              try {
                goOn.await();
              } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
              }
              return List.of(first, sql(tx).all());
            });
    Await.until("the read has begun", () -> begun.getCount() == 0);
    Await.value("a write meanwhile", add("meanwhile"));
    goOn.countDown();
    assertEquals(List.of(List.of("before"), List.of("before")), Await.value("both reads", reads));
    assertEquals(List.of("before", "meanwhile"), notes());
  }

  @Test
  void enumsAreKeptInLowerCase() {
    Await.value(
        "notes with moods",
        store.write(
            "test",
            Store.NEVER,
            tx -> {
              sql(tx).addWithMood("a", Mood.NOT_SO_GOOD);
              sql(tx).addWithMood("b", null);
              return true;
            }));
    assertEquals(
        "not_so_good",
        Await.value(
            "the text",
            store.read(
                tx -> String.valueOf(sql(tx).value("SELECT mood FROM notes WHERE note = 'a'")))));
    assertEquals(Mood.NOT_SO_GOOD, Await.value("a", store.read(tx -> sql(tx).find("a"))).mood());
    assertNull(Await.value("b", store.read(tx -> sql(tx).find("b"))).mood());
  }

  @Test
  void aRecordIsMadeOfTheColumnsOfItsNames() {
    Await.value(
        "a note",
        store.write(
            "test", Store.NEVER, tx -> done(() -> sql(tx).addWithMood("a", Mood.NOT_SO_GOOD))));
    assertEquals(
        new SqlMapper.Note("a", Mood.NOT_SO_GOOD),
        Await.value("in another order", store.read(tx -> sql(tx).findInAnotherOrder("a"))));
    SqlMapper.Worded worded = Await.value("several words", store.read(tx -> sql(tx).worded()));
    assertArrayEquals(new byte[] {1, 2}, worded.theFirst());
    assertEquals(7, worded.secondOfAll());
    Throwable failure =
        Await.failure("without a column", store.read(tx -> sql(tx).findWithoutMood("a")));
    assertTrue(String.valueOf(failure.getMessage()).contains("mood"), failure::toString);
  }

  @Test
  void theWorkIsToldWhoseItIsAndWhen() {
    assertEquals(
        "somebody", Await.value("who", store.write("somebody", Store.NEVER, tx -> tx.actor())));
    long when = Await.value("when", store.write("somebody", Store.NEVER, tx -> tx.now()));
    assertEquals(new TestTime().nowMicros(), when);
  }

  @Test
  void anotherStartFindsTheSameHistory() {
    String incarnation = store.incarnation();
    Await.value("a write", add("kept"));
    store.close();
    store = open(gate);
    assertEquals(incarnation, store.incarnation());
    assertEquals(List.of("kept"), notes());
    SqliteStore other = open(folder.resolve("other.sqlite3"), Synchronous.NORMAL, gate);
    other.close();
    assertFalse(incarnation.equals(other.incarnation()));
  }

  private StoreException refusal(Path file) {
    return assertThrows(
        StoreException.class, () -> open(file, Synchronous.NORMAL, CrashPoints.NONE));
  }

  private static void change(Path file, String... statements) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  @Test
  void aDatabaseNewerThanTheProgramIsRefusedAndNotTouched() throws SQLException {
    store.close();
    change(
        file(),
        "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
            + " checksum, installed_by, installed_on, execution_time, success)"
            + " SELECT 999, '999', 'from the future', 'SQL', 'V999__future.sql', 1, installed_by,"
            + " installed_on, 1, 1 FROM flyway_schema_history LIMIT 1");
    StoreException refusal = refusal(file());
    assertTrue(
        String.valueOf(refusal.getMessage()).contains("newer than this program"),
        refusal.getMessage());
    assertTrue(String.valueOf(refusal.getMessage()).contains("999"), refusal.getMessage());
    change(file(), "DELETE FROM flyway_schema_history WHERE version = '999'");
    store = open(gate);
    assertEquals(List.of(), notes());
  }

  @Test
  void anotherProgramsDatabaseIsRefusedAndNotTouched() throws SQLException, IOException {
    Path foreign = folder.resolve("foreign.sqlite3");
    change(foreign, "CREATE TABLE albums (title TEXT)", "INSERT INTO albums VALUES ('Blue')");
    StoreException refusal = refusal(foreign);
    assertTrue(
        String.valueOf(refusal.getMessage()).contains("not one of pm-bot's"), refusal.getMessage());
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + foreign);
        Statement statement = connection.createStatement();
        ResultSet tables = statement.executeQuery("SELECT count(*) FROM sqlite_master")) {
      assertEquals(1, tables.getInt(1));
    }
  }

  @Test
  void aFileThatIsNoDatabaseIsRefusedAndNotTouched() throws IOException {
    Path text = folder.resolve("text.sqlite3");
    String content = "Dear diary,\n".repeat(500);
    Files.writeString(text, content);
    StoreException refusal = refusal(text);
    assertTrue(
        String.valueOf(refusal.getMessage()).contains("cannot be opened"), refusal.getMessage());
    assertEquals(content, Files.readString(text));
    StoreException aFolder = refusal(Files.createDirectory(folder.resolve("folder.sqlite3")));
    assertTrue(
        String.valueOf(aFolder.getMessage()).contains("cannot be opened"), aFolder.getMessage());
  }

  @Test
  void anEmptyFileIsANewDatabase() throws IOException {
    Path empty = Files.createFile(folder.resolve("empty.sqlite3"));
    SqliteStore other = open(empty, Synchronous.NORMAL, CrashPoints.NONE);
    assertFalse(other.incarnation().isEmpty());
    other.close();
  }
}
