package dev.pmbot.feed;

import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.WatchRunRequest;
import dev.pmbot.v1.WatchRunResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.MethodDescriptor;
import java.util.List;
import java.util.Optional;

/** One run: a fact is an event that changed it; what stands is the run. */
record RunKind(String runId) implements StreamKind<WatchRunRequest, WatchRunResponse> {
  /** The run as it is. */
  record Standing(String runId, String workspaceId) {}

  @Override
  public Role role() {
    return Role.READER;
  }

  @Override
  public MethodDescriptor<WatchRunRequest, WatchRunResponse> method() {
    return RunServiceGrpc.getWatchRunMethod();
  }

  @Override
  public WatchRunRequest request(String cursor) {
    return WatchRunRequest.newBuilder().setRunId(runId).setCursor(cursor).build();
  }

  @Override
  public Told told(WatchRunResponse message) {
    return switch (message.getContentCase()) {
      case UPDATE -> {
        Run run = message.getUpdate().getRun();
        yield Told.items(
            message.getCursor(),
            message.getUpdate().getEventsCount() == 0
                ? List.of(new Standing(run.getRunId(), run.getWorkspaceId()))
                : List.copyOf(message.getUpdate().getEventsList()));
      }
      case SYNCED -> Told.synced(message.getCursor());
      case HEARTBEAT -> Told.heartbeat(message.getCursor(), message.getHeartbeat().getHeadsList());
      case CONTENT_NOT_SET -> throw new AssertionError("a message of nothing: " + message);
    };
  }

  @Override
  public List<Shown> shows(RecordedLog log, AuditEvent event) {
    return event.getRunId().equals(runId) && event.getType().startsWith("run.")
        ? Shown.always(event)
        : List.of();
  }

  @Override
  public boolean mayEnd(RecordedLog log) {
    return log.hasEverEnded(runId);
  }

  @Override
  public boolean beginsWithWhatStands() {
    return true;
  }

  @Override
  public String workspaceOf(RecordedLog log, Object fact) {
    return fact instanceof Standing standing ? standing.workspaceId : "";
  }

  @Override
  public Optional<String> complaintAboutWhatStands(
      RecordedLog log, String workspaceId, long position, long before, List<Object> facts) {
    List<Object> expected =
        workspaceId.equals(log.workspaceOfRun(runId))
            ? List.of(new Standing(runId, workspaceId))
            : List.of();
    return facts.equals(expected)
        ? Optional.empty()
        : Optional.of("not the run as it is: " + facts);
  }
}
