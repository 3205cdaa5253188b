package dev.pmbot.workspace;

import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code workspaces}. The reserved one is shown in no list. */
public interface WorkspaceMapper {
  /** Adds a workspace. */
  @Insert(
      """
      INSERT INTO workspaces (workspace_id, name, created_at, settings_json, version)
      VALUES (#{workspaceId}, #{name}, #{createdAt}, #{settingsJson}, #{version})
      """)
  void insert(WorkspaceRow row);

  /** The workspace with an id. */
  @Select("SELECT * FROM workspaces WHERE workspace_id = #{workspaceId}")
  @Nullable WorkspaceRow find(String workspaceId);

  /** The workspace with a name. */
  @Select("SELECT * FROM workspaces WHERE name = #{name}")
  @Nullable WorkspaceRow findByName(String name);

  /**
   * Stores a change, if the row is still at the version that it was made from; the new row, or
   * none.
   */
  @Select(
      value =
          """
          UPDATE workspaces SET name = #{name}, settings_json = #{settingsJson}, version = version + 1
          WHERE workspace_id = #{workspaceId} AND version = #{version}
          RETURNING *
          """,
      affectData = true)
  @Nullable WorkspaceRow update(
      @Param("workspaceId") String workspaceId,
      @Param("version") long version,
      @Param("name") String name,
      @Param("settingsJson") String settingsJson);

  /** Workspaces, newest first; of a name there is one at the most. */
  @Select(
      """
      <script>
      SELECT * FROM workspaces
      WHERE workspace_id &lt;&gt; 'system'
        <if test="name != null">AND name = #{name}</if>
        <if test="behind != null">AND workspace_id &lt; #{behind}</if>
      ORDER BY workspace_id DESC LIMIT #{limit}
      </script>
      """)
  List<WorkspaceRow> list(
      @Param("name") @Nullable String name,
      @Param("behind") @Nullable String behind,
      @Param("limit") int limit);
}
