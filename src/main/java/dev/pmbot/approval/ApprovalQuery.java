package dev.pmbot.approval;

import dev.pmbot.wire.Created;
import org.jspecify.annotations.Nullable;

/** Which approvals a list shows; what is absent asks for nothing. */
public record ApprovalQuery(
    @Nullable String workspaceId,
    @Nullable String runId,
    @Nullable ApprovalKind kind,
    @Nullable ApprovalStatus status,
    @Nullable Risk risk,
    Created created) {

  /** Which index serves a list. */
  enum Way {
    RUN,
    STATUS,
    KIND,
    RISK,
    WORKSPACE
  }

  /**
   * What narrows it most. Little is pending. Every run has its start, of low risk: no index has
   * those by kind or by risk, for each run would pay for it and they are never far apart.
   */
  Way way() {
    if (runId != null) {
      return Way.RUN;
    }
    if (status == ApprovalStatus.PENDING) {
      return Way.STATUS;
    }
    if (kind != null && kind != ApprovalKind.RUN_START) {
      return Way.KIND;
    }
    if (risk != null && risk != Risk.LOW) {
      return Way.RISK;
    }
    return status == null ? Way.WORKSPACE : Way.STATUS;
  }
}
