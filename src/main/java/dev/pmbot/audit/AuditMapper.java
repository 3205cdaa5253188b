package dev.pmbot.audit;

import dev.pmbot.feed.Scope;
import dev.pmbot.wire.Looked;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.ResultType;
import org.apache.ibatis.annotations.Select;
import org.apache.ibatis.annotations.Update;
import org.apache.ibatis.session.ResultHandler;
import org.jspecify.annotations.Nullable;

/** The rows of {@code audit_events} and {@code audit_heads}. */
public interface AuditMapper {
  /** The tip of a workspace's chain. */
  @Select("SELECT workspace_id, seq, hash FROM audit_heads WHERE workspace_id = #{workspaceId}")
  @Nullable HeadRow head(String workspaceId);

  /** The tips of all chains that have events. */
  @Select("SELECT workspace_id, seq, hash FROM audit_heads WHERE seq > 0 ORDER BY workspace_id")
  List<HeadRow> heads();

  /** The tips of all chains behind a workspace, those without events too. */
  @Select(
      """
      SELECT workspace_id, seq, hash FROM audit_heads
      WHERE workspace_id > #{behind}
      ORDER BY workspace_id LIMIT #{limit}
      """)
  List<HeadRow> headsBehind(String behind, int limit);

  /** The next workspace that has events. */
  @Select("SELECT min(workspace_id) FROM audit_events WHERE workspace_id > #{behind}")
  @Nullable String withEventsBehind(String behind);

  /** Begins a chain. */
  @Insert(
      "INSERT INTO audit_heads (workspace_id, seq, hash) VALUES (#{workspaceId}, #{seq}, #{hash})")
  void begin(HeadRow head);

  /** Moves the tip. */
  @Update("UPDATE audit_heads SET seq = #{seq}, hash = #{hash} WHERE workspace_id = #{workspaceId}")
  int advance(HeadRow head);

  /** Adds an event. */
  @Insert(
      """
      INSERT INTO audit_events (event_id, workspace_id, run_id, thread_id, node_id, type, payload_json, created_at,
        seq, tx_first_seq, actor, payload_salt, payload_hash, prev_hash, hash)
      VALUES (#{eventId}, #{workspaceId}, #{runId}, #{threadId}, #{nodeId}, #{type}, #{payloadJson}, #{createdAt},
        #{seq}, #{txFirstSeq}, #{actor}, #{payloadSalt}, #{payloadHash}, #{prevHash}, #{hash})
      """)
  void append(EventRow event);

  /** A workspace's events behind a seq, oldest first, one by one. */
  @Select(
      """
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq}
      ORDER BY seq LIMIT #{limit}
      """)
  @ResultType(EventRow.class)
  void eachAfter(
      @Param("workspaceId") String workspaceId,
      @Param("seq") long seq,
      @Param("limit") int limit,
      ResultHandler<EventRow> handler);

  /** A workspace's events about some runs behind a seq, oldest first, one by one. */
  @Select(
      """
      <script>
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq}
        AND run_id IN <foreach item="id" collection="runIds" open="(" separator="," close=")">#{id}</foreach>
      ORDER BY seq LIMIT #{limit}
      </script>
      """)
  @ResultType(EventRow.class)
  void eachAfterOfRuns(
      @Param("workspaceId") String workspaceId,
      @Param("runIds") List<String> runIds,
      @Param("seq") long seq,
      @Param("limit") int limit,
      ResultHandler<EventRow> handler);

  /** A workspace's events about some threads behind a seq, oldest first, one by one. */
  @Select(
      """
      <script>
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq}
        AND thread_id IN <foreach item="id" collection="threadIds" open="(" separator="," close=")">#{id}</foreach>
      ORDER BY seq LIMIT #{limit}
      </script>
      """)
  @ResultType(EventRow.class)
  void eachAfterOfThreads(
      @Param("workspaceId") String workspaceId,
      @Param("threadIds") List<String> threadIds,
      @Param("seq") long seq,
      @Param("limit") int limit,
      ResultHandler<EventRow> handler);

  /** A workspace's events behind a seq, oldest first. */
  default List<EventRow> after(String workspaceId, long seq, int limit) {
    List<EventRow> rows = new ArrayList<>();
    eachAfter(workspaceId, seq, limit, row -> rows.add(row.getResultObject()));
    return rows;
  }

  /**
   * A workspace's events in a scope behind a seq, oldest first, handed over one by one for as long
   * as they are wanted: a row may be a mebibyte, and nobody knows before it is read.
   */
  default void after(
      Scope scope, String workspaceId, long seq, int limit, Predicate<EventRow> wanted) {
    ResultHandler<EventRow> handler =
        row -> {
          if (!wanted.test(row.getResultObject())) {
            row.stop();
          }
        };
    if (!scope.runIds().isEmpty()) {
      eachAfterOfRuns(workspaceId, scope.runIds(), seq, limit, handler);
    } else if (!scope.threadIds().isEmpty()) {
      eachAfterOfThreads(workspaceId, scope.threadIds(), seq, limit, handler);
    } else {
      eachAfter(workspaceId, seq, limit, handler);
    }
  }

  /** A workspace's events before a seq, newest first. */
  @Select(
      """
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq < #{seq}
      ORDER BY seq DESC LIMIT #{limit}
      """)
  List<EventRow> before(String workspaceId, long seq, int limit);

  /**
   * Looks at a workspace's events before a seq, newest first: from the index that narrows a query
   * most, and at what else it asks in each row.
   */
  @Select(
      """
      <script>
      SELECT seq AS key,
        (workspace_id = #{query.workspaceId}
          AND created_at &gt;= #{query.created.after} AND created_at &lt; #{query.created.before}
          <if test="query.threadId != null">AND thread_id = #{query.threadId}</if>
          <if test="query.nodeId != null">AND node_id = #{query.nodeId}</if>
          <if test="query.typePrefix != null">
            AND type &gt;= #{query.typePrefix} AND type &lt; #{query.typePrefix} || '~'
          </if>
          <if test="query.actor != null">AND actor = #{query.actor}</if>) AS matches
      FROM audit_events
      WHERE
        <choose>
          <when test="query.runId != null">run_id = #{query.runId}</when>
          <when test="query.threadId != null">thread_id = #{query.threadId}</when>
          <when test="query.nodeId != null">workspace_id = #{query.workspaceId} AND node_id = #{query.nodeId}</when>
          <when test="query.actor != null">workspace_id = #{query.workspaceId} AND actor = #{query.actor}</when>
          <otherwise>workspace_id = #{query.workspaceId}</otherwise>
        </choose>
        AND seq &lt; #{before}
      ORDER BY seq DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> look(
      @Param("query") EventQuery query, @Param("before") long before, @Param("limit") int limit);

  /** Looks at a workspace's events of some types before a seq, newest first. */
  @Select(
      """
      <script>
      <foreach item="type" collection="types" separator=" UNION ALL ">
        SELECT seq AS key, (1 = 1 <if test="query.actor != null">AND actor = #{query.actor}</if>) AS matches
        FROM audit_events
        WHERE workspace_id = #{query.workspaceId} AND type = #{type} AND seq &lt; #{before}
      </foreach>
      ORDER BY key DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> lookAtTypes(
      @Param("query") EventQuery query,
      @Param("types") List<String> types,
      @Param("before") long before,
      @Param("limit") int limit);

  /**
   * Looks at a workspace's events of a time, newest first by time and, within one, by seq.
   *
   * @param before only those before this time, or at it and before that seq
   */
  @Select(
      """
      <script>
      SELECT created_at || ':' || seq AS key,
        (1 = 1
          <if test="query.nodeId != null">AND node_id = #{query.nodeId}</if>
          <if test="query.typePrefix != null">
            AND type &gt;= #{query.typePrefix} AND type &lt; #{query.typePrefix} || '~'
          </if>
          <if test="query.actor != null">AND actor = #{query.actor}</if>) AS matches
      FROM audit_events
      WHERE workspace_id = #{query.workspaceId} AND created_at &gt;= #{query.created.after}
        AND (created_at, seq) &lt; (#{before}, #{seq})
      ORDER BY created_at DESC, seq DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> lookAtTimes(
      @Param("query") EventQuery query,
      @Param("before") long before,
      @Param("seq") long seq,
      @Param("limit") int limit);

  /** The first type of a workspace's events that is between two texts, the first included. */
  @Select(
      """
      SELECT type FROM audit_events
      WHERE workspace_id = #{workspaceId} AND type >= #{from} AND type < #{bound}
      ORDER BY type LIMIT 1
      """)
  @Nullable String nextType(
      @Param("workspaceId") @Nullable String workspaceId,
      @Param("from") String from,
      @Param("bound") String bound);

  /** The event at a seq. */
  @Select("SELECT * FROM audit_events WHERE workspace_id = #{workspaceId} AND seq = #{seq}")
  @Nullable EventRow at(String workspaceId, long seq);

  /** The events at some seqs, in no order. */
  @Select(
      """
      <script>
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId}
        AND seq IN <foreach item="seq" collection="seqs" open="(" separator="," close=")">#{seq}</foreach>
      </script>
      """)
  List<EventRow> atAll(
      @Param("workspaceId") @Nullable String workspaceId, @Param("seqs") List<Long> seqs);

  /** Where the first transaction behind a seq begins. */
  @Select(
      """
      SELECT seq FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq} AND tx_first_seq = seq
      ORDER BY seq LIMIT 1
      """)
  @Nullable Long nextTransaction(String workspaceId, long seq);
}
