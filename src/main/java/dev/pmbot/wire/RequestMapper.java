package dev.pmbot.wire;

import org.apache.ibatis.annotations.Delete;
import org.apache.ibatis.annotations.Insert;
import org.apache.ibatis.annotations.Select;
import org.jspecify.annotations.Nullable;

/** The rows of {@code requests}. */
public interface RequestMapper {
  /** What is remembered, and has not expired. */
  @Select(
      """
      SELECT method, request_hash, response, expires_at
      FROM requests
      WHERE principal = #{principal} AND request_id = #{requestId} AND expires_at > #{now}
      """)
  @Nullable RequestRow find(String principal, String requestId, long now);

  /** Remembers, unless something is remembered already, expired or not; tells how many rows. */
  @Insert(
      """
      INSERT INTO requests (principal, request_id, method, request_hash, response, expires_at)
      VALUES (#{principal}, #{requestId}, #{row.method}, #{row.requestHash}, #{row.response}, #{row.expiresAt})
      ON CONFLICT (principal, request_id) DO NOTHING
      """)
  int rememberFirst(String principal, String requestId, RequestRow row);

  /** Remembers; what expired under the same id gives way. */
  @Insert(
      """
      INSERT INTO requests (principal, request_id, method, request_hash, response, expires_at)
      VALUES (#{principal}, #{requestId}, #{row.method}, #{row.requestHash}, #{row.response}, #{row.expiresAt})
      ON CONFLICT (principal, request_id) DO UPDATE SET
        method = excluded.method, request_hash = excluded.request_hash,
        response = excluded.response, expires_at = excluded.expires_at
      """)
  void remember(String principal, String requestId, RequestRow row);

  /** Forgets what has expired, the oldest first; tells how many rows. */
  @Delete(
      """
      DELETE FROM requests WHERE (principal, request_id) IN (
        SELECT principal, request_id FROM requests
        WHERE expires_at <= #{now} ORDER BY expires_at LIMIT #{limit})
      """)
  int forgetExpired(long now, int limit);

  /** How many have expired, counted no further than a limit. */
  @Select(
      """
      SELECT count(*) FROM (SELECT 1 FROM requests WHERE expires_at <= #{now} LIMIT #{limit}) AS expired
      """)
  int expired(long now, int limit);
}
