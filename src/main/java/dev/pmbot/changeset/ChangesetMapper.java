package dev.pmbot.changeset;

import dev.pmbot.wire.Looked;
import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code changeset_bundles}. */
public interface ChangesetMapper {
  /** Adds a changeset. */
  @Insert(
      """
      INSERT INTO changeset_bundles (changeset_id, workspace_id, run_id, repo_id, bundle_json, status, created_at,
        updated_at, applied_commit_sha, version)
      VALUES (#{changesetId}, #{workspaceId}, #{runId}, #{repoId}, #{bundleJson}, #{status}, #{createdAt},
        #{updatedAt}, #{appliedCommitSha}, #{version})
      """)
  void insert(ChangesetRow row);

  /** The changeset with an id. */
  @Select("SELECT * FROM changeset_bundles WHERE changeset_id = #{changesetId}")
  @Nullable ChangesetRow find(String changesetId);

  /** The changesets with some ids, in no order. */
  @Select(
      """
      <script>
      SELECT * FROM changeset_bundles
      WHERE changeset_id IN <foreach item="id" collection="changesetIds" open="(" separator="," close=")">#{id}</foreach>
      </script>
      """)
  List<ChangesetRow> findAll(@Param("changesetIds") List<String> changesetIds);

  /**
   * Moves a changeset from one status to another; the new row, or none when it was not in the
   * first.
   */
  @Select(
      value =
          """
          UPDATE changeset_bundles SET status = #{to}, applied_commit_sha = #{commit}, updated_at = #{now},
            version = version + 1
          WHERE changeset_id = #{changesetId} AND status = #{from}
          RETURNING *
          """,
      affectData = true)
  @Nullable ChangesetRow move(
      @Param("changesetId") String changesetId,
      @Param("from") ChangesetStatus from,
      @Param("to") ChangesetStatus to,
      @Param("commit") @Nullable String commit,
      @Param("now") long now);

  /**
   * Looks at changesets between two ids, newest first: from the index that narrows a query most,
   * and at what else it asks in each row.
   */
  @Select(
      """
      <script>
      SELECT changeset_id AS key,
        (created_at &gt;= #{query.created.after} AND created_at &lt; #{query.created.before}
        <if test="query.repoId != null">AND repo_id = #{query.repoId}</if>
        <if test="query.status != null">AND status = #{query.status}</if>) AS matches
      FROM changeset_bundles
      WHERE
        <choose>
          <when test="query.runId != null">run_id = #{query.runId}</when>
          <when test="query.repoId != null">repo_id = #{query.repoId}</when>
          <when test="query.workspaceId != null">workspace_id = #{query.workspaceId}</when>
          <otherwise>1 = 1</otherwise>
        </choose>
        <if test="query.runId == null and query.status != null">AND status = #{query.status}</if>
        AND changeset_id &gt;= #{lowest} AND changeset_id &lt; #{bound}
      ORDER BY changeset_id DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> look(
      @Param("query") ChangesetQuery query,
      @Param("lowest") String lowest,
      @Param("bound") String bound,
      @Param("limit") int limit);
}
