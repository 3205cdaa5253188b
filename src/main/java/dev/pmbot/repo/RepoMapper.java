package dev.pmbot.repo;

import java.util.List;
import org.apache.ibatis.annotations.Insert;
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

  /** A workspace's repos, newest first. */
  @Select(
      """
      <script>
      SELECT * FROM repos
      WHERE workspace_id = #{workspaceId} <if test="behind != null">AND repo_id &lt; #{behind}</if>
      ORDER BY repo_id DESC LIMIT #{limit}
      </script>
      """)
  List<RepoRow> list(String workspaceId, @Nullable String behind, int limit);
}
