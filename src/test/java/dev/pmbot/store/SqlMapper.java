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

  /** All notes. */
  @Select("SELECT note FROM notes ORDER BY note")
  List<String> all();

  /** An enum whose names are not those of the database. */
  enum Mood {
    GOOD,
    NOT_SO_GOOD
  }

  /** A row. */
  record Note(String note, @Nullable Mood mood) {}
}
