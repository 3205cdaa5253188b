package dev.pmbot.approval;

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

  /** Approvals, newest first. */
  @Select(
      """
      <script>
      SELECT * FROM approvals
      <where>
        <if test="workspaceId != null">AND workspace_id = #{workspaceId}</if>
        <if test="runId != null">AND run_id = #{runId}</if>
        <if test="status != null">AND status = #{status}</if>
        <if test="behind != null">AND approval_id &lt; #{behind}</if>
      </where>
      ORDER BY approval_id DESC LIMIT #{limit}
      </script>
      """)
  List<ApprovalRow> list(
      @Param("workspaceId") @Nullable String workspaceId,
      @Param("runId") @Nullable String runId,
      @Param("status") @Nullable ApprovalStatus status,
      @Param("behind") @Nullable String behind,
      @Param("limit") int limit);

  /**
   * What waits in the inbox at one risk, oldest first. The condition is the one of the partial
   * indexes.
   */
  @Select(
      """
      <script>
      SELECT * FROM approvals
      WHERE status = 'pending' AND (subject_id IS NULL OR kind = 'changeset_apply') AND risk = #{risk}
        <if test="workspaceId != null">AND workspace_id = #{workspaceId}</if>
        AND (created_at, approval_id) &gt; (#{createdAt}, #{approvalId})
      ORDER BY created_at, approval_id LIMIT #{limit}
      </script>
      """)
  List<ApprovalRow> waiting(
      @Param("workspaceId") @Nullable String workspaceId,
      @Param("risk") Risk risk,
      @Param("createdAt") long createdAt,
      @Param("approvalId") String approvalId,
      @Param("limit") int limit);
}
