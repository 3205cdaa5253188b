package dev.pmbot.changeset;

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
      INSERT INTO changeset_bundles (changeset_id, run_id, repo_id, bundle_json, status, created_at, updated_at,
        applied_commit_sha, version)
      VALUES (#{changesetId}, #{runId}, #{repoId}, #{bundleJson}, #{status}, #{createdAt}, #{updatedAt},
        #{appliedCommitSha}, #{version})
      """)
  void insert(ChangesetRow row);

  /** The changeset with an id. */
  @Select("SELECT * FROM changeset_bundles WHERE changeset_id = #{changesetId}")
  @Nullable ChangesetRow find(String changesetId);

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

  /** Changesets, newest first. */
  @Select(
      """
      <script>
      SELECT * FROM changeset_bundles
      <where>
        <if test="runId != null">AND run_id = #{runId}</if>
        <if test="repoId != null">AND repo_id = #{repoId}</if>
        <if test="status != null">AND status = #{status}</if>
        <if test="behind != null">AND changeset_id &lt; #{behind}</if>
      </where>
      ORDER BY changeset_id DESC LIMIT #{limit}
      </script>
      """)
  List<ChangesetRow> list(
      @Param("runId") @Nullable String runId,
      @Param("repoId") @Nullable String repoId,
      @Param("status") @Nullable ChangesetStatus status,
      @Param("behind") @Nullable String behind,
      @Param("limit") int limit);
}
