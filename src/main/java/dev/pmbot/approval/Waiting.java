package dev.pmbot.approval;

import org.jspecify.annotations.Nullable;

/**
 * Something that waits in the inbox and was looked at.
 *
 * @param id the approval's or the question's
 * @param matches whether it asks for what was looked for
 */
public record Waiting(String id, long createdAt, boolean matches) {
  /**
   * Where to look: at one risk, behind a place in the order of age.
   *
   * @param workspaceId only in this one; absent: in all
   * @param runId only for this run; absent: for any
   */
  public record Where(
      @Nullable String workspaceId,
      @Nullable String runId,
      Risk risk,
      long createdAt,
      String id,
      int limit) {}
}
