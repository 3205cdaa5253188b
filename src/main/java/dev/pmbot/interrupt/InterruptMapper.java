package dev.pmbot.interrupt;

import dev.pmbot.approval.ClosedBy;
import dev.pmbot.approval.Waiting;
import dev.pmbot.wire.Looked;
import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code interrupts}. */
public interface InterruptMapper {
  /** Adds a question. */
  @Insert(
      """
      INSERT INTO interrupts (interrupt_id, workspace_id, run_id, thread_id, node_id, kind, risk, payload_json, payload_hash,
        status, decision_json, created_at, resolved_at, actor, approval_id, closed_by, external_id, generation,
        checkpoint_id, guard, delivered_at, acknowledged_at)
      VALUES (#{interruptId}, #{workspaceId}, #{runId}, #{threadId}, #{nodeId}, #{kind}, #{risk}, #{payloadJson},
        #{payloadHash}, #{status}, #{decisionJson}, #{createdAt}, #{resolvedAt}, #{actor}, #{approvalId}, #{closedBy},
        #{externalId}, #{generation}, #{checkpointId}, #{guard}, #{deliveredAt}, #{acknowledgedAt})
      """)
  void insert(InterruptRow row);

  /** The question with an id. */
  @Select("SELECT * FROM interrupts WHERE interrupt_id = #{interruptId}")
  @Nullable InterruptRow find(String interruptId);

  /** The questions with some ids, in no order. */
  @Select(
      """
      <script>
      SELECT * FROM interrupts
      WHERE interrupt_id IN <foreach item="id" collection="interruptIds" open="(" separator="," close=")">#{id}</foreach>
      </script>
      """)
  List<InterruptRow> findAll(@Param("interruptIds") List<String> interruptIds);

  /** The newest generation of a question. */
  @Select(
      """
      SELECT * FROM interrupts
      WHERE run_id = #{runId} AND thread_id = #{threadId} AND external_id = #{externalId}
      ORDER BY generation DESC LIMIT 1
      """)
  @Nullable InterruptRow newest(String runId, String threadId, String externalId);

  /** A run's pending questions. */
  @Select(
      "SELECT * FROM interrupts WHERE run_id = #{runId} AND status = 'pending' ORDER BY interrupt_id")
  List<InterruptRow> pendingOfRun(String runId);

  /** Whether a run has a pending question. */
  @Select("SELECT 1 FROM interrupts WHERE run_id = #{runId} AND status = 'pending' LIMIT 1")
  @Nullable Integer anyPending(String runId);

  /** Stores a decision; the new row, or none when the question is not pending. */
  @Select(
      value =
          """
          UPDATE interrupts SET status = #{status}, decision_json = #{decision}, resolved_at = #{now}, actor = #{actor},
            closed_by = 'decision'
          WHERE interrupt_id = #{interruptId} AND status = 'pending'
          RETURNING *
          """,
      affectData = true)
  @Nullable InterruptRow decide(
      @Param("interruptId") String interruptId,
      @Param("status") InterruptStatus status,
      @Param("decision") String decision,
      @Param("now") long now,
      @Param("actor") String actor);

  /**
   * Closes a question without a person, also one whose decision was not taken: that decision is
   * void.
   */
  @Select(
      value =
          """
          UPDATE interrupts SET status = 'rejected', resolved_at = #{now}, actor = 'system', closed_by = #{closedBy}
          WHERE interrupt_id = #{interruptId}
          RETURNING *
          """,
      affectData = true)
  InterruptRow close(
      @Param("interruptId") String interruptId,
      @Param("now") long now,
      @Param("closedBy") ClosedBy closedBy);

  /** The graph has taken the decision. */
  @Select(
      value =
          """
          UPDATE interrupts SET acknowledged_at = #{now}, delivered_at = coalesce(delivered_at, #{now})
          WHERE interrupt_id = #{interruptId}
          RETURNING *
          """,
      affectData = true)
  InterruptRow acknowledge(@Param("interruptId") String interruptId, @Param("now") long now);

  /** Questions of runs whose decisions are to be handed over, in the order of their ids. */
  @Select(
      """
      <script>
      SELECT interrupt_id FROM interrupts
      WHERE closed_by = 'decision' AND acknowledged_at IS NULL
        AND run_id IN <foreach item="id" collection="runIds" open="(" separator="," close=")">#{id}</foreach>
      ORDER BY interrupt_id
      </script>
      """)
  List<String> toDeliver(@Param("runIds") List<String> runIds);

  /**
   * Looks at questions between two ids, newest first: from the index that serves a way, and at what
   * else the query asks in each row.
   */
  @Select(
      """
      <script>
      SELECT interrupt_id AS key,
        (1 = 1
        <if test="query.workspaceId != null">
          AND workspace_id = #{query.workspaceId}
        </if>
        <if test="query.threadId != null">AND thread_id = #{query.threadId}</if>
        <if test="query.kind != null">AND kind = #{query.kind}</if>
        <if test="query.status != null">AND status = #{query.status}</if>
        <if test="query.risk != null">AND risk = #{query.risk}</if>
        <if test="!query.created.isAny()">
          AND created_at &gt;= #{query.created.after} AND created_at &lt; #{query.created.before}
        </if>) AS matches
      FROM interrupts
      WHERE
        <choose>
          <when test="way.name() == 'RUN'">run_id = #{query.runId}</when>
          <when test="way.name() == 'THREAD'">thread_id = #{query.threadId}</when>
          <when test="way.name() == 'STATUS'">workspace_id = #{query.workspaceId} AND status = #{query.status}</when>
          <when test="way.name() == 'KIND'">workspace_id = #{query.workspaceId} AND kind = #{query.kind}</when>
          <when test="way.name() == 'RISK'">workspace_id = #{query.workspaceId} AND risk = #{query.risk}</when>
          <otherwise>workspace_id = #{query.workspaceId}</otherwise>
        </choose>
        AND interrupt_id &gt;= #{lowest} AND interrupt_id &lt; #{bound}
      ORDER BY interrupt_id DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> look(
      @Param("query") InterruptQuery query,
      @Param("way") InterruptQuery.Way way,
      @Param("lowest") String lowest,
      @Param("bound") String bound,
      @Param("limit") int limit);

  /**
   * What waits in the inbox at one risk behind a place, oldest first. The condition is the one of
   * the partial indexes.
   *
   * @param kind what is looked for; absent: anything
   */
  @Select(
      """
      <script>
      SELECT interrupt_id AS id, created_at,
        <choose><when test="kind != null">kind = #{kind}</when><otherwise>1 = 1</otherwise></choose> AS matches
      FROM interrupts
      WHERE status = 'pending' AND risk = #{where.risk}
        <choose>
          <when test="where.runId != null">AND run_id = #{where.runId}</when>
          <when test="where.workspaceId != null">AND workspace_id = #{where.workspaceId}</when>
        </choose>
        AND (created_at, interrupt_id) &gt; (#{where.createdAt}, #{where.id})
      ORDER BY created_at, interrupt_id LIMIT #{where.limit}
      </script>
      """)
  List<Waiting> waiting(
      @Param("where") Waiting.Where where, @Param("kind") @Nullable InterruptKind kind);
}
