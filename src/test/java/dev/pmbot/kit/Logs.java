package dev.pmbot.kit;

import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.ListEventsRequest;
import dev.pmbot.v1.ListEventsResponse;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.v1.VerifyChainResponse;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/** Reads logs whole, over any client. */
public final class Logs {
  private Logs() {}

  /** All events of a workspace, oldest first. */
  public static List<AuditEvent> events(Client client, String workspaceId) {
    return events(client, EventFilter.newBuilder().setWorkspaceId(workspaceId).build());
  }

  /** All events of a filter, oldest first. */
  public static List<AuditEvent> events(Client client, EventFilter filter) {
    List<AuditEvent> events =
        Pages.all(
            token ->
                client
                    .audit()
                    .listEvents(
                        ListEventsRequest.newBuilder()
                            .setFilter(filter)
                            .setPageSize(500)
                            .setPageToken(token)
                            .build()),
            ListEventsResponse::getEventsList);
    Collections.reverse(events);
    return events;
  }

  /** The fault that the server finds in a workspace's chain, if there is one. */
  public static Optional<String> complaint(Client client, String workspaceId) {
    VerifyChainResponse verified =
        client
            .audit()
            .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build());
    return verified.getValid()
        ? Optional.empty()
        : Optional.of("the chain of " + workspaceId + " is broken: " + verified);
  }
}
