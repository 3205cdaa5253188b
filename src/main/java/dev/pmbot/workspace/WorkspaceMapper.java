package dev.pmbot.workspace;

import java.util.List;
import org.apache.ibatis.annotations.Insert;
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

  /** Workspaces, newest first. */
  @Select(
      """
      <script>
      SELECT * FROM workspaces
      WHERE workspace_id &lt;&gt; 'system' <if test="behind != null">AND workspace_id &lt; #{behind}</if>
      ORDER BY workspace_id DESC LIMIT #{limit}
      </script>
      """)
  List<WorkspaceRow> list(@Nullable String behind, int limit);
}
