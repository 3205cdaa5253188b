package dev.pmbot.approval;

import dev.pmbot.wire.Looked;
import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code approvals}. */
public interface ApprovalMapper {
  /** Adds an approval. */
  @Insert(
      """
      INSERT INTO approvals (approval_id, workspace_id, run_id, kind, status, subject_id, payload_json, payload_hash, risk,
        created_at, resolved_at, actor, notes, closed_by)
      VALUES (#{approvalId}, #{workspaceId}, #{runId}, #{kind}, #{status}, #{subjectId}, #{payloadJson}, #{payloadHash},
        #{risk}, #{createdAt}, #{resolvedAt}, #{actor}, #{notes}, #{closedBy})
      """)
  void insert(ApprovalRow row);

  /** The approval with an id. */
  @Select("SELECT * FROM approvals WHERE approval_id = #{approvalId}")
  @Nullable ApprovalRow find(String approvalId);

  /** The approvals with some ids, in no order. */
  @Select(
      """
      <script>
      SELECT * FROM approvals
      WHERE approval_id IN <foreach item="id" collection="approvalIds" open="(" separator="," close=")">#{id}</foreach>
      </script>
      """)
  List<ApprovalRow> findAll(@Param("approvalIds") List<String> approvalIds);

  /** The pending approval that a run asked for itself, of a kind and with a payload. */
  @Select(
      """
      SELECT * FROM approvals
      WHERE run_id = #{runId} AND kind = #{kind} AND payload_hash = #{payloadHash}
        AND status = 'pending' AND subject_id IS NULL AND kind <> 'run_start'
      """)
  @Nullable ApprovalRow asked(String runId, ApprovalKind kind, String payloadHash);

  /** Ends a pending approval; the new row, or none when it is not pending. */
  @Select(
      value =
          """
          UPDATE approvals SET status = #{status}, resolved_at = #{now}, actor = #{actor}, notes = #{notes},
            closed_by = #{closedBy}
          WHERE approval_id = #{approvalId} AND status = 'pending'
          RETURNING *
          """,
      affectData = true)
  @Nullable ApprovalRow end(
      @Param("approvalId") String approvalId,
      @Param("status") ApprovalStatus status,
      @Param("now") long now,
      @Param("actor") String actor,
      @Param("notes") @Nullable String notes,
      @Param("closedBy") ClosedBy closedBy);

  /** A run's pending approvals, in the order of their ids. */
  @Select(
      """
      SELECT * FROM approvals WHERE run_id = #{runId} AND status = 'pending' ORDER BY approval_id
      """)
  List<ApprovalRow> pendingOfRun(String runId);

  /** Whether a run has a pending approval of a kind that it waits for. */
  @Select(
      """
      SELECT 1 FROM approvals
      WHERE run_id = #{runId} AND kind IN ('tool_call', 'spend', 'publish') AND status = 'pending' LIMIT 1
      """)
  @Nullable Integer anyBlocking(String runId);

  /**
   * The approvals that runs asked for themselves and that were decided, in the order of their ids.
   */
  @Select(
      """
      <script>
      SELECT approval_id FROM approvals
      WHERE closed_by = 'decision' AND subject_id IS NULL AND kind &lt;&gt; 'run_start'
        AND run_id IN <foreach item="id" collection="runIds" open="(" separator="," close=")">#{id}</foreach>
      ORDER BY approval_id
      </script>
      """)
  List<String> decidedMidRun(@Param("runIds") List<String> runIds);

  /**
   * Looks at approvals between two ids, newest first: from the index that serves a way, and at what
   * else the query asks in each row.
   */
  @Select(
      """
      <script>
      SELECT approval_id AS key,
        (1 = 1
        <if test="query.workspaceId != null">AND workspace_id = #{query.workspaceId}</if>
        <if test="query.kind != null">AND kind = #{query.kind}</if>
        <if test="query.status != null">AND status = #{query.status}</if>
        <if test="query.risk != null">AND risk = #{query.risk}</if>
        <if test="!query.created.isAny()">
          AND created_at &gt;= #{query.created.after} AND created_at &lt; #{query.created.before}
        </if>) AS matches
      FROM approvals
      WHERE
        <choose>
          <when test="way.name() == 'RUN'">run_id = #{query.runId}</when>
          <when test="way.name() == 'STATUS'">workspace_id = #{query.workspaceId} AND status = #{query.status}</when>
          <when test="way.name() == 'KIND'">
            workspace_id = #{query.workspaceId} AND kind = #{query.kind} AND kind &lt;&gt; 'run_start'
          </when>
          <when test="way.name() == 'RISK'">
            workspace_id = #{query.workspaceId} AND risk = #{query.risk} AND risk &lt;&gt; 'low'
          </when>
          <otherwise>workspace_id = #{query.workspaceId}</otherwise>
        </choose>
        AND approval_id &gt;= #{lowest} AND approval_id &lt; #{bound}
      ORDER BY approval_id DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> look(
      @Param("query") ApprovalQuery query,
      @Param("way") ApprovalQuery.Way way,
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
      SELECT approval_id AS id, created_at,
        <choose><when test="kind != null">kind = #{kind}</when><otherwise>1 = 1</otherwise></choose> AS matches
      FROM approvals
      WHERE status = 'pending' AND (subject_id IS NULL OR kind = 'changeset_apply') AND risk = #{where.risk}
        <choose>
          <when test="where.runId != null">AND run_id = #{where.runId}</when>
          <when test="where.workspaceId != null">AND workspace_id = #{where.workspaceId}</when>
        </choose>
        AND (created_at, approval_id) &gt; (#{where.createdAt}, #{where.id})
      ORDER BY created_at, approval_id LIMIT #{where.limit}
      </script>
      """)
  List<Waiting> waiting(
      @Param("where") Waiting.Where where, @Param("kind") @Nullable ApprovalKind kind);
}
