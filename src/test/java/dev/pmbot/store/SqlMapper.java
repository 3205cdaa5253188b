package dev.pmbot.store;

import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Select;
import org.apache.ibatis.annotations.Update;
import org.jspecify.annotations.Nullable;

/** Any statement at all, for tests that look at the store from within. */
public interface SqlMapper {
  /** Runs a statement. */
  @Update("${sql}")
  void run(String sql);

  /** The one value that a query gives. */
  @Select("${sql}")
  @Nullable String value(String sql);

  /** Makes the table that the store's tests write to. */
  @Update("CREATE TABLE IF NOT EXISTS notes (note TEXT NOT NULL PRIMARY KEY, mood TEXT)")
  void prepare();

  /** Adds a note. */
  @Insert("INSERT INTO notes (note) VALUES (#{note})")
  void add(String note);

  /** Adds a note with a mood. */
  @Insert("INSERT INTO notes (note, mood) VALUES (#{note}, #{mood})")
  void addWithMood(String note, @Nullable Mood mood);

  /** A note with its mood. */
  @Select("SELECT note, mood FROM notes WHERE note = #{note}")
  Note find(String note);

  /** A note with its mood, and its columns in another order, and one more. */
  @Select("SELECT mood, 1 AS more, note FROM notes WHERE note = #{note}")
  Note findInAnotherOrder(String note);

  /** A note without the column of its mood. */
  @Select("SELECT note FROM notes WHERE note = #{note}")
  Note findWithoutMood(String note);

  /** Names of more than one word. */
  @Select("SELECT 7 AS second_of_all, x'0102' AS the_first")
  Worded worded();

  /** All notes. */
  @Select("SELECT note FROM notes ORDER BY note")
  List<String> all();

  /** An enum whose names are not those of the database. */
  enum Mood {
    GOOD,
    NOT_SO_GOOD
  }

  /** A row whose columns have names of several words. */
  @SuppressWarnings("ArrayRecordComponent") // Read once.
  record Worded(byte[] theFirst, long secondOfAll) {}

  /** A row. */
  record Note(String note, @Nullable Mood mood) {}
}
