package dev.pmbot.artifact;

import dev.pmbot.wire.Looked;
import java.util.List;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Param;
import org.apache.ibatis.annotations.Select;
import org.apache.ibatis.annotations.Update;
import org.jspecify.annotations.Nullable;

/** The rows of {@code artifacts}. */
public interface ArtifactMapper {
  /** Adds an artifact. */
  @Insert(
      """
      INSERT INTO artifacts (artifact_id, workspace_id, run_id, kind, uri, content_type, hash, title, created_at,
        size_bytes, metadata_json)
      VALUES (#{artifactId}, #{workspaceId}, #{runId}, #{kind}, #{uri}, #{contentType}, #{hash}, #{title}, #{createdAt},
        #{sizeBytes}, #{metadataJson})
      """)
  void insert(ArtifactRow row);

  /** The artifact with an id. */
  @Select("SELECT * FROM artifacts WHERE artifact_id = #{artifactId}")
  @Nullable ArtifactRow find(String artifactId);

  /** The artifacts with some ids, in no order. */
  @Select(
      """
      <script>
      SELECT * FROM artifacts
      WHERE artifact_id IN <foreach item="id" collection="artifactIds" open="(" separator="," close=")">#{id}</foreach>
      </script>
      """)
  List<ArtifactRow> findAll(@Param("artifactIds") List<String> artifactIds);

  /** The run's artifact at a place. */
  @Select("SELECT * FROM artifacts WHERE run_id = #{runId} AND uri = #{uri}")
  @Nullable ArtifactRow findByUri(String runId, String uri);

  /** Counts one more, which takes so much room in the data directory. */
  @Update(
      "UPDATE artifact_totals SET artifacts = artifacts + 1, size_bytes = size_bytes + #{sizeBytes}")
  void count(long sizeBytes);

  /** How many there are, and how much room they take in the data directory. */
  @Select("SELECT artifacts, size_bytes FROM artifact_totals")
  Artifacts.Totals totals();

  /** Where artifacts stand and what their files hold, in the order of their ids. */
  @Select(
      """
      SELECT artifact_id, run_id, uri, hash, size_bytes FROM artifacts
      WHERE artifact_id > #{behind}
      ORDER BY artifact_id LIMIT #{limit}
      """)
  List<Standing> standing(@Param("behind") String behind, @Param("limit") int limit);

  /** What a row says of its file. */
  record Standing(String artifactId, String runId, String uri, String hash, long sizeBytes) {}

  /**
   * Looks at artifacts between two ids, newest first: from the index that narrows a query most, and
   * at what else it asks in each row.
   */
  @Select(
      """
      <script>
      SELECT artifact_id AS key,
        (created_at &gt;= #{query.created.after} AND created_at &lt; #{query.created.before}
        <if test="query.kind != null">AND kind = #{query.kind}</if>) AS matches
      FROM artifacts
      WHERE
        <choose>
          <when test="query.runId != null">run_id = #{query.runId}</when>
          <when test="query.kind != null">workspace_id = #{query.workspaceId} AND kind = #{query.kind}</when>
          <otherwise>workspace_id = #{query.workspaceId}</otherwise>
        </choose>
        AND artifact_id &gt;= #{lowest} AND artifact_id &lt; #{bound}
      ORDER BY artifact_id DESC LIMIT #{limit}
      </script>
      """)
  List<Looked> look(
      @Param("query") ArtifactQuery query,
      @Param("lowest") String lowest,
      @Param("bound") String bound,
      @Param("limit") int limit);
}
