package dev.pmbot.feed;

import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Ledger;
import dev.pmbot.kit.MortalServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.EventFilter;
import dev.pmbot.v1.ListEventsRequest;
import dev.pmbot.v1.ListWorkspacesRequest;
import dev.pmbot.v1.ListWorkspacesResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Channel;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What the clients of one program share: a few connections, a clock, and what any of them knows.
 */
final class SharedWorld implements Subscriber.World {
  /** Connections for each role. */
  static final int LANES = 8;

  final Map<String, Long> known = new ConcurrentHashMap<>();
  private final MortalServer server;
  private final ScheduledExecutorService timer;
  private final AtomicLong clock = new AtomicLong();
  private final Map<String, Lane> lanes = new HashMap<>();
  private final LinkedBlockingQueue<CompletableFuture<Map<String, Long>>> asked =
      new LinkedBlockingQueue<>();

  private record Lane(ConfinedServer life, Client client) {}

  SharedWorld(MortalServer server, ScheduledExecutorService timer, Executor threads) {
    this.server = server;
    this.timer = timer;
    threads.execute(this::answerWhereLogsEnd);
  }

  @Override
  public @Nullable Channel channel(StreamKind<?, ?> kind, int lane) {
    ConfinedServer life = server.lifeNow();
    if (life == null) {
      return null;
    }
    String key = kind.role() + " " + lane;
    synchronized (lanes) {
      Lane open = lanes.get(key);
      if (open == null || open.life != life) {
        open = new Lane(life, life.connect(kind.role()));
        lanes.put(key, open);
      }
      return open.client.channel();
    }
  }

  /** Cuts every stream of a lane at once, as a cable would. */
  void cut(int number) {
    synchronized (lanes) {
      for (Role role : Role.values()) {
        Lane lane = lanes.remove(role + " " + number);
        if (lane != null) {
          lane.client.managed().shutdownNow();
        }
      }
    }
  }

  /** A listener that also notes what is known now. */
  Consumer<Told> and(Consumer<Told> listener) {
    return told -> {
      for (Object fact : told.facts()) {
        if (fact instanceof AuditEvent event) {
          known.merge(event.getWorkspaceId(), event.getSeq(), Math::max);
        }
      }
      listener.accept(told);
    };
  }

  @Override
  public Map<String, Long> known() {
    return known;
  }

  @Override
  public long tick() {
    return clock.incrementAndGet();
  }

  @Override
  public ScheduledExecutorService timer() {
    return timer;
  }

  @Override
  public CompletableFuture<Map<String, Long>> ends() {
    CompletableFuture<Map<String, Long>> ends = new CompletableFuture<>();
    asked.add(ends);
    return ends;
  }

  /** One look serves all who have asked before it. */
  private void answerWhereLogsEnd() {
    try {
      List<CompletableFuture<Map<String, Long>>> waiting = new ArrayList<>();
      while (true) {
        waiting.add(asked.take());
        asked.drainTo(waiting);
        Map<String, Long> ends = readEnds();
        waiting.forEach(each -> each.complete(ends));
        waiting.clear();
      }
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    }
  }

  /** Where the log of each workspace ends, also of those that nobody has told of. */
  Map<String, Long> readEnds() {
    ConfinedServer life = server.life();
    while (true) {
      try {
        return readEnds(life.as(Role.READER));
      } catch (StatusRuntimeException failure) {
        if (!Ledger.isOfTransport(failure)) {
          throw failure;
        }
        life = server.lifeOtherThan(life);
      }
    }
  }

  private static Map<String, Long> readEnds(Client client) {
    List<String> ids = new ArrayList<>(List.of("system"));
    ListWorkspacesRequest.Builder request = ListWorkspacesRequest.newBuilder().setPageSize(500);
    ListWorkspacesResponse page;
    do {
      page = client.workspaces().listWorkspaces(request.build());
      page.getWorkspacesList().forEach(workspace -> ids.add(workspace.getWorkspaceId()));
      request.setPageToken(page.getNextPageToken());
    } while (!page.getNextPageToken().isEmpty());
    Map<String, Long> ends = new TreeMap<>();
    for (String id : ids) {
      client
          .audit()
          .listEvents(
              ListEventsRequest.newBuilder()
                  .setFilter(EventFilter.newBuilder().setWorkspaceId(id))
                  .setPageSize(1)
                  .build())
          .getEventsList()
          .forEach(event -> ends.put(id, event.getSeq()));
    }
    return ends;
  }
}
