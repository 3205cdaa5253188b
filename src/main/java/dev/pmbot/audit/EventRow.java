package dev.pmbot.audit;

import dev.pmbot.feed.LoggedEvent;
import dev.pmbot.json.JsonText;
import org.jspecify.annotations.Nullable;

/** One event of the log. Byte arrays are not to be changed by whoever gets them. */
@SuppressWarnings("ArrayRecordComponent") // Rows are handed on, never compared.
public record EventRow(
    String eventId,
    String workspaceId,
    @Nullable String runId,
    @Nullable String threadId,
    @Nullable String nodeId,
    String type,
    String payloadJson,
    long createdAt,
    long seq,
    long txFirstSeq,
    String actor,
    byte @Nullable [] payloadSalt,
    byte[] payloadHash,
    byte[] prevHash,
    byte[] hash)
    implements LoggedEvent {

  /** A text among the facts; empty when there is none of this name. */
  public String fact(String name) {
    return JsonText.read(payloadJson).path(name).asString("");
  }

  @Override
  public int size() {
    return 600 + payloadJson.length();
  }

  /** The same event with its hash. */
  EventRow sealed(byte[] seal) {
    return new EventRow(
        eventId,
        workspaceId,
        runId,
        threadId,
        nodeId,
        type,
        payloadJson,
        createdAt,
        seq,
        txFirstSeq,
        actor,
        payloadSalt,
        payloadHash,
        prevHash,
        seal);
  }
}
