package dev.pmbot.interrupt;

import dev.pmbot.approval.Risk;
import org.jspecify.annotations.Nullable;

/** A question as a worker raises it. */
record NewQuestion(
    String externalId,
    InterruptKind kind,
    @Nullable Risk risk,
    String payloadJson,
    @Nullable String nodeId,
    @Nullable String checkpointId,
    @Nullable String guard) {}
