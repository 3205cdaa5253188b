package dev.pmbot.audit;

import com.google.protobuf.ByteString;
import dev.pmbot.feed.LogEnd;
import dev.pmbot.v1.AppendEventsRequest;
import dev.pmbot.v1.AppendEventsResponse;
import dev.pmbot.v1.AppendedEvent;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.ChainFault;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.Heartbeat;
import dev.pmbot.v1.LogHead;
import dev.pmbot.v1.Synced;
import dev.pmbot.v1.VerifyChainResponse;
import dev.pmbot.wire.Created;
import dev.pmbot.wire.ProtoText;
import dev.pmbot.wire.ProtoTime;
import java.util.List;

/** Events as messages, with what all streams share. */
public final class AuditProtos {
  private AuditProtos() {}

  static ClientEvents.Report fromProto(AppendEventsRequest request) {
    return new ClientEvents.Report(
        request.getWorkspaceId(),
        request.getRunId(),
        request.getLeaseToken(),
        request.getThreadId(),
        request.getEventsList().stream()
            .map(
                event ->
                    new ClientEvents.Told(
                        event.getType(),
                        ProtoText.fromProto(event.getNodeId()),
                        event.getPayloadJson().isEmpty() ? "{}" : event.getPayloadJson()))
            .toList());
  }

  static AppendEventsResponse toProto(List<EventRow> appended) {
    AppendEventsResponse.Builder reply = AppendEventsResponse.newBuilder();
    appended.forEach(
        row ->
            reply.addEvents(
                AppendedEvent.newBuilder().setEventId(row.eventId()).setSeq(row.seq())));
    return reply.build();
  }

  static EventQuery fromProto(EventFilter filter) {
    return new EventQuery(
        ProtoText.fromProto(filter.getWorkspaceId()),
        ProtoText.fromProto(filter.getRunId()),
        ProtoText.fromProto(filter.getThreadId()),
        ProtoText.fromProto(filter.getNodeId()),
        ProtoText.fromProto(filter.getTypePrefix()),
        ProtoText.fromProto(filter.getActor()),
        Created.of(filter));
  }

  /** An event as it stands in the log. */
  public static AuditEvent toProto(EventRow row) {
    AuditEvent.Builder event =
        AuditEvent.newBuilder()
            .setEventId(row.eventId())
            .setWorkspaceId(row.workspaceId())
            .setSeq(row.seq())
            .setTxFirstSeq(row.txFirstSeq())
            .setActor(row.actor())
            .setType(row.type())
            .setPayloadJson(row.payloadJson())
            .setPayloadHash(ByteString.copyFrom(row.payloadHash()))
            .setPrevHash(ByteString.copyFrom(row.prevHash()))
            .setHash(ByteString.copyFrom(row.hash()))
            .setCreatedAt(ProtoTime.toProto(row.createdAt()));
    if (row.runId() != null) {
      event.setRunId(row.runId());
    }
    if (row.threadId() != null) {
      event.setThreadId(row.threadId());
    }
    if (row.nodeId() != null) {
      event.setNodeId(row.nodeId());
    }
    if (row.payloadSalt() != null) {
      event.setPayloadSalt(ByteString.copyFrom(row.payloadSalt()));
    }
    return event.build();
  }

  /** The message that everything that stood has been sent. */
  public static Synced synced() {
    return Synced.getDefaultInstance();
  }

  /** The message of a quiet stream. */
  public static Heartbeat heartbeat(List<LogEnd> ends) {
    Heartbeat.Builder heartbeat = Heartbeat.newBuilder();
    ends.forEach(end -> heartbeat.addHeads(head(end.workspaceId(), end.seq(), end.hash())));
    return heartbeat.build();
  }

  private static LogHead head(String workspaceId, long seq, byte[] hash) {
    return LogHead.newBuilder()
        .setWorkspaceId(workspaceId)
        .setSeq(seq)
        .setHash(ByteString.copyFrom(hash))
        .build();
  }

  static VerifyChainResponse toProto(Verification verification) {
    HeadRow head = verification.head();
    VerifyChainResponse.Builder reply =
        VerifyChainResponse.newBuilder()
            .setValid(verification.fault() == null)
            .setVerifiedEvents(verification.verifiedEvents())
            .setHead(head(head.workspaceId(), head.seq(), head.hash()));
    if (verification.fault() != null) {
      reply.setFault(
          ChainFault.newBuilder()
              .setSeq(verification.fault().seq())
              .setDescription(verification.fault().description()));
    }
    return reply.build();
  }
}
