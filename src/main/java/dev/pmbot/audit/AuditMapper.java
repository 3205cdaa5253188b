package dev.pmbot.audit;

import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Select;
import org.apache.ibatis.annotations.Update;
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

  /** A workspace's events behind a seq, oldest first. */
  @Select(
      """
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq}
      ORDER BY seq LIMIT #{limit}
      """)
  List<EventRow> after(String workspaceId, long seq, int limit);

  /** A workspace's events about some runs behind a seq, oldest first. */
  @Select(
      """
      <script>
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq}
        AND run_id IN <foreach item="id" collection="runIds" open="(" separator="," close=")">#{id}</foreach>
      ORDER BY seq LIMIT #{limit}
      </script>
      """)
  List<EventRow> afterOfRuns(String workspaceId, List<String> runIds, long seq, int limit);

  /** A workspace's events about some threads behind a seq, oldest first. */
  @Select(
      """
      <script>
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq}
        AND thread_id IN <foreach item="id" collection="threadIds" open="(" separator="," close=")">#{id}</foreach>
      ORDER BY seq LIMIT #{limit}
      </script>
      """)
  List<EventRow> afterOfThreads(String workspaceId, List<String> threadIds, long seq, int limit);

  /** A workspace's events before a seq, newest first. */
  @Select(
      """
      SELECT * FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq < #{seq}
      ORDER BY seq DESC LIMIT #{limit}
      """)
  List<EventRow> before(String workspaceId, long seq, int limit);

  /** A run's events before a seq, newest first. */
  @Select(
      """
      SELECT * FROM audit_events
      WHERE run_id = #{runId} AND seq < #{seq}
      ORDER BY seq DESC LIMIT #{limit}
      """)
  List<EventRow> beforeOfRun(String runId, long seq, int limit);

  /** The event at a seq. */
  @Select("SELECT * FROM audit_events WHERE workspace_id = #{workspaceId} AND seq = #{seq}")
  @Nullable EventRow at(String workspaceId, long seq);

  /** Where the first transaction behind a seq begins. */
  @Select(
      """
      SELECT seq FROM audit_events
      WHERE workspace_id = #{workspaceId} AND seq > #{seq} AND tx_first_seq = seq
      ORDER BY seq LIMIT 1
      """)
  @Nullable Long nextTransaction(String workspaceId, long seq);
}
