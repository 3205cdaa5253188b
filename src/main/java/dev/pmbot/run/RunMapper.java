package dev.pmbot.run;

import dev.pmbot.wire.Looked;
import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code runs}. */
public interface RunMapper {
  /** Adds a run. */
  @Insert(
      """
      INSERT INTO runs (run_id, workspace_id, repo_id, goal, status, graph_id, thread_id, agent_run_spec_json, created_at,
        updated_at, created_by, attempt, max_attempts, budget_json, tokens_used, tool_calls_used, cost_micros_used,
        wall_micros_used, version)
      VALUES (#{runId}, #{workspaceId}, #{repoId}, #{goal}, #{status}, #{graphId}, #{threadId}, #{agentRunSpecJson},
        #{createdAt}, #{updatedAt}, #{createdBy}, #{attempt}, #{maxAttempts}, #{budgetJson}, #{tokensUsed},
        #{toolCallsUsed}, #{costMicrosUsed}, #{wallMicrosUsed}, #{version})
      """)
  void insert(RunRow row);

  /** The run with an id. */
  @Select("SELECT * FROM runs WHERE run_id = #{runId}")
  @Nullable RunRow find(String runId);

  /** Where the run with an id stands. */
  @Select("SELECT status FROM runs WHERE run_id = #{runId}")
  @Nullable RunStatus status(String runId);

  /** The runs with some ids, in no order. */
  @Select(
      """
      <script>
      SELECT * FROM runs
      WHERE run_id IN <foreach item="id" collection="runIds" open="(" separator="," close=")">#{id}</foreach>
      </script>
      """)
  List<RunRow> findAll(@Param("runIds") List<String> runIds);

  /**
   * Looks at runs between two ids, newest first: from the index that serves a way, and at what else
   * the query asks in each row.
   *
   * @param status the one to look at, on the way by status
   */
  @Select(
      """
      <script>
      SELECT run_id AS key,
        (workspace_id = #{query.workspaceId}
        AND created_at &gt;= #{query.created.after} AND created_at &lt; #{query.created.before}
        <if test="query.repoId != null">AND repo_id IS NOT NULL AND repo_id = #{query.repoId}</if>
        <if test="query.graphId != null">AND graph_id = #{query.graphId}</if>
        <if test="query.createdBy != null">AND created_by = #{query.createdBy}</if>
        <if test="!query.statuses.isEmpty()">
          AND status IN <foreach item="one" collection="query.statuses" open="(" separator="," close=")">#{one}</foreach>
        </if>) AS matches
      FROM runs
      WHERE
        <choose>
          <when test="way.name() == 'THREAD'">thread_id = #{query.threadId}</when>
          <when test="way.name() == 'REPO'">repo_id = #{query.repoId}</when>
          <otherwise>workspace_id = #{query.workspaceId}</otherwise>
        </choose>
        <if test="way.name() == 'GRAPH'">AND graph_id = #{query.graphId}</if>
        <if test="way.name() == 'STATUS'">AND status = #{status}</if>
        <if test="way.name() == 'CREATED_BY'">AND created_by = #{query.createdBy}</if>
        AND run_id &gt;= #{lowest} AND run_id &lt; #{bound}
      ORDER BY run_id DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> look(
      @Param("query") RunQuery query,
      @Param("way") RunQuery.Way way,
      @Param("status") @Nullable RunStatus status,
      @Param("lowest") String lowest,
      @Param("bound") String bound,
      @Param("limit") int limit);

  /**
   * Runs of a graph that may be claimed, oldest first. One that is due further ahead than a
   * back-off can be is due now: the wall clock was put back since.
   */
  @Select(
      """
      <script>
      SELECT * FROM runs
      WHERE graph_id = #{graphId} AND status = 'approved' AND lease_token IS NULL
        <if test="workspaceId != null">AND workspace_id = #{workspaceId}</if>
        AND (next_attempt_at &lt;= #{now} OR next_attempt_at &gt; #{horizon})
      ORDER BY next_attempt_at, run_id LIMIT #{limit}
      </script>
      """)
  List<RunRow> claimable(
      @Param("graphId") String graphId,
      @Param("workspaceId") @Nullable String workspaceId,
      @Param("now") long now,
      @Param("horizon") long horizon,
      @Param("limit") int limit);

  /** Another unfinished run that was started on a thread. */
  @Select(
      """
      SELECT run_id FROM runs
      WHERE thread_id = #{threadId} AND run_id <> #{runId} AND started_at IS NOT NULL
        AND status IN ('approved', 'running', 'blocked')
      LIMIT 1
      """)
  @Nullable String otherRunOnThread(String threadId, String runId);

  /** The unfinished runs on threads, oldest first. */
  @Select(
      """
      <script>
      SELECT run_id FROM runs
      WHERE thread_id IN <foreach item="id" collection="threadIds" open="(" separator="," close=")">#{id}</foreach>
        AND status IN ('approved', 'running', 'blocked')
      ORDER BY run_id
      </script>
      """)
  List<String> unfinishedOn(@Param("threadIds") List<String> threadIds);

  /** Runs that are leased, in the order of their tokens. */
  @Select(
      """
      <script>
      SELECT * FROM runs
      WHERE lease_token IS NOT NULL <if test="behind != null">AND lease_token &gt; #{behind}</if>
      ORDER BY lease_token LIMIT #{limit}
      </script>
      """)
  List<RunRow> leased(@Param("behind") @Nullable String behind, @Param("limit") int limit);

  /** Runs whose back-off has not passed, the latest first. */
  @Select(
      """
      SELECT * FROM runs
      WHERE status = 'approved' AND lease_token IS NULL AND next_attempt_at > #{now}
      ORDER BY next_attempt_at DESC LIMIT #{limit}
      """)
  List<RunRow> backingOff(long now, int limit);

  /** Stores a change, unless the row has changed since; the new row, or none. */
  @Select(
      value =
          """
          UPDATE runs SET status = #{change.status}, thread_id = #{change.threadId}, started_at = #{change.startedAt},
            attempt = #{change.attempt}, max_attempts = #{change.maxAttempts},
            next_attempt_at = #{change.nextAttemptAt}, lease_owner = #{change.leaseOwner},
            lease_token = #{change.leaseToken}, lease_expires_at = #{change.leaseExpiresAt},
            cancel_requested_at = #{change.cancelRequestedAt}, status_reason = #{change.statusReason},
            wall_micros_used = #{change.wallMicrosUsed}, updated_at = #{now}, version = version + 1
          WHERE run_id = #{change.runId} AND version = #{change.version}
          RETURNING *
          """,
      affectData = true)
  @Nullable RunRow store(@Param("change") RunChange change, @Param("now") long now);

  /**
   * Stores what was used, and a lease's end. No change of state: neither version nor time of update
   * move.
   */
  @Select(
      value =
          """
          UPDATE runs SET tokens_used = #{spending.tokensUsed}, tool_calls_used = #{spending.toolCallsUsed},
            cost_micros_used = #{spending.costMicrosUsed}, wall_micros_used = #{spending.wallMicros},
            over_budget_at_wall_micros = #{overBudgetAt}, lease_expires_at = #{leaseExpiresAt}
          WHERE run_id = #{runId}
          RETURNING *
          """,
      affectData = true)
  RunRow spend(
      @Param("runId") String runId,
      @Param("spending") Spending spending,
      @Param("overBudgetAt") @Nullable Long overBudgetAt,
      @Param("leaseExpiresAt") @Nullable Long leaseExpiresAt);

  /** Stores an extended budget. */
  @Select(
      value =
          """
          UPDATE runs SET budget_json = #{budgetJson}, updated_at = #{now}, version = version + 1
          WHERE run_id = #{runId}
          RETURNING *
          """,
      affectData = true)
  RunRow extend(
      @Param("runId") String runId,
      @Param("budgetJson") @Nullable String budgetJson,
      @Param("now") long now);
}
