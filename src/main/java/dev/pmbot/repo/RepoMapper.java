package dev.pmbot.repo;

import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code repos}. */
public interface RepoMapper {
  /** Adds a repo. */
  @Insert(
      """
      INSERT INTO repos (repo_id, workspace_id, full_name, default_branch, status, added_at, last_sync_at, version)
      VALUES (#{repoId}, #{workspaceId}, #{fullName}, #{defaultBranch}, #{status}, #{addedAt}, #{lastSyncAt}, #{version})
      """)
  void insert(RepoRow row);

  /** The repo with an id. */
  @Select("SELECT * FROM repos WHERE repo_id = #{repoId}")
  @Nullable RepoRow find(String repoId);

  /** The workspace's repo with a name, in any case of letters. */
  @Select(
      "SELECT * FROM repos WHERE workspace_id = #{workspaceId} AND lower(full_name) = lower(#{fullName})")
  @Nullable RepoRow findByName(String workspaceId, String fullName);

  /**
   * Stores a change, if the row is still at the version that it was made from; the new row, or
   * none.
   */
  @Select(
      value =
          """
          UPDATE repos SET default_branch = #{defaultBranch}, status = #{status}, version = version + 1
          WHERE repo_id = #{repoId} AND version = #{version}
          RETURNING *
          """,
      affectData = true)
  @Nullable RepoRow update(
      @Param("repoId") String repoId,
      @Param("version") long version,
      @Param("defaultBranch") String defaultBranch,
      @Param("status") RepoStatus status);

  /** A workspace's repos, newest first; of a name there is one at the most. */
  @Select(
      """
      <script>
      SELECT * FROM repos
      WHERE workspace_id = #{workspaceId}
        <if test="fullName != null">AND lower(full_name) = lower(#{fullName})</if>
        <if test="status != null">AND status = #{status}</if>
        <if test="behind != null">AND repo_id &lt; #{behind}</if>
      ORDER BY repo_id DESC LIMIT #{limit}
      </script>
      """)
  List<RepoRow> list(
      @Param("workspaceId") String workspaceId,
      @Param("fullName") @Nullable String fullName,
      @Param("status") @Nullable RepoStatus status,
      @Param("behind") @Nullable String behind,
      @Param("limit") int limit);
}
