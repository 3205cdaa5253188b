package dev.pmbot.audit;

import dev.pmbot.wire.Created;
import org.jspecify.annotations.Nullable;

/**
 * Which events a list or a stream shows; what is absent asks for nothing.
 *
 * @param typePrefix what the type begins with
 */
public record EventQuery(
    @Nullable String workspaceId,
    @Nullable String runId,
    @Nullable String threadId,
    @Nullable String nodeId,
    @Nullable String typePrefix,
    @Nullable String actor,
    Created created) {

  /** Whether it takes an event; the mapper's statements ask the same of a row. */
  boolean takes(EventRow event) {
    return asksFor(workspaceId, event.workspaceId())
        && asksFor(runId, event.runId())
        && asksFor(threadId, event.threadId())
        && asksFor(nodeId, event.nodeId())
        && (typePrefix == null || event.type().startsWith(typePrefix))
        && asksFor(actor, event.actor())
        && created.takes(event.createdAt());
  }

  private static boolean asksFor(@Nullable String asked, @Nullable String is) {
    return asked == null || asked.equals(is);
  }

  /** The same, of a workspace. */
  EventQuery in(String workspace) {
    return new EventQuery(workspace, runId, threadId, nodeId, typePrefix, actor, created);
  }
}
