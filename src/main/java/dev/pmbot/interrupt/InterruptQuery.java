package dev.pmbot.interrupt;

import dev.pmbot.approval.Risk;
import dev.pmbot.wire.Created;
import org.jspecify.annotations.Nullable;

/** Which questions a list shows; what is absent asks for nothing. */
public record InterruptQuery(
    @Nullable String workspaceId,
    @Nullable String runId,
    @Nullable String threadId,
    @Nullable InterruptKind kind,
    @Nullable InterruptStatus status,
    @Nullable Risk risk,
    Created created) {

  /** Which index serves a list. */
  enum Way {
    RUN,
    THREAD,
    STATUS,
    KIND,
    RISK,
    WORKSPACE
  }

  /** What narrows it most: little is pending. */
  Way way() {
    if (runId != null) {
      return Way.RUN;
    }
    if (threadId != null) {
      return Way.THREAD;
    }
    if (status == InterruptStatus.PENDING) {
      return Way.STATUS;
    }
    if (kind != null) {
      return Way.KIND;
    }
    if (risk != null) {
      return Way.RISK;
    }
    return status == null ? Way.WORKSPACE : Way.STATUS;
  }
}
