package dev.pmbot.inbox;

import dev.pmbot.approval.Risk;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Which items of the inbox are shown; what is absent asks for nothing. */
record InboxQuery(
    @Nullable String workspaceId,
    @Nullable String runId,
    @Nullable ItemKind kind,
    @Nullable Risk risk) {
  private static final List<Risk> WORST_FIRST = List.of(Risk.HIGH, Risk.MEDIUM, Risk.LOW);

  /** The risks that it takes, the worst first. */
  List<Risk> risks() {
    return risk == null ? WORST_FIRST : List.of(risk);
  }

  /** Whether it takes an item of its workspace and run. */
  boolean takes(Item item) {
    return (kind == null || item.isOf(kind)) && (risk == null || risk == item.risk());
  }
}
