package dev.pmbot.access;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.AuditMapper;
import dev.pmbot.audit.EventRow;
import dev.pmbot.files.CrashPoints;
import dev.pmbot.json.JsonText;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Methods;
import dev.pmbot.kit.RawCall;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.store.Ids;
import dev.pmbot.store.SqliteStore;
import dev.pmbot.store.Store;
import dev.pmbot.store.Synchronous;
import dev.pmbot.wire.Principal;
import dev.pmbot.workspace.WorkspaceMapper;
import dev.pmbot.workspace.Workspaces;
import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** How those who are refused are gathered, minute by minute. */
final class GatheredDenialsTest {
  private static final int MOST_KINDS = 200;

  @TempDir Path folder;

  /** A timer whose minutes end when the test says so. */
  private static final class Minutes extends ScheduledThreadPoolExecutor {
    private final List<Runnable> everyMinute = new ArrayList<>();

    Minutes() {
      super(1);
    }

    @Override
    public ScheduledFuture<?> scheduleWithFixedDelay(
        Runnable command, long initialDelay, long delay, TimeUnit unit) {
      assertEquals(60, unit.toSeconds(initialDelay));
      assertEquals(60, unit.toSeconds(delay));
      everyMinute.add(command);
      return schedule(() -> {}, 0, TimeUnit.SECONDS);
    }

    void pass() {
      assertEquals(1, everyMinute.size());
      everyMinute.forEach(Runnable::run);
    }
  }

  private interface Denying {
    void with(Denials denials, Minutes minutes) throws Exception;
  }

  /** Has it done over a database of its own, and reads what is on the record then. */
  private List<EventRow> recorded(Denying denying) throws Exception {
    TestTime time = new TestTime();
    Ids ids = new Ids(time);
    Audit audit = new Audit(ids);
    Minutes minutes = new Minutes();
    try (SqliteStore store =
        new SqliteStore(
            folder.resolve("denials.sqlite3"),
            Synchronous.NORMAL,
            List.of(AuditMapper.class, WorkspaceMapper.class),
            ids,
            time,
            CrashPoints.NONE)) {
      Workspaces workspaces = new Workspaces(audit, ids);
      write(store, workspaces);
      denying.with(new Denials(store, audit, minutes), minutes);
      // Behind everything that was written before.
      write(store, workspaces);
      return Await.value(
              "the log",
              store.read(tx -> tx.mapper(AuditMapper.class).after(Audit.SYSTEM, 0, 10_000)))
          .stream()
          .filter(event -> event.type().startsWith("access."))
          .toList();
    } finally {
      minutes.shutdownNow();
    }
  }

  private static void write(Store store, Workspaces workspaces) {
    Await.value(
        "the system's workspace",
        store.write(
            Principal.SYSTEM,
            Store.NEVER,
            tx -> {
              workspaces.ensureSystem(tx);
              return true;
            }));
  }

  private static JsonNode facts(String payloadJson) {
    return JsonText.parse(payloadJson, 1 << 20);
  }

  private static String peer(EventRow event) {
    return facts(event.payloadJson()).path("peer").stringValue();
  }

  private static int count(EventRow event) {
    return facts(event.payloadJson()).path("count").asInt();
  }

  @Test
  void eachMinuteOfOneKindIsTheFirstAndACountOfTheRest() throws Exception {
    List<EventRow> events =
        recorded(
            (denials, minutes) -> {
              for (int minute = 0; minute < 3; minute++) {
                for (int call = 0; call < 1000 * minute + 1; call++) {
                  denials.denied("10.0.0.1", "a/B", "unknown", "unauthenticated");
                }
                minutes.pass();
              }
              minutes.pass();
              minutes.pass();
            });
    assertEquals(
        List.of(
            "access.denied 1",
            "access.denied 1",
            "access.denied_again 1000",
            "access.denied 1",
            "access.denied_again 2000"),
        events.stream().map(event -> event.type() + " " + count(event)).toList());
    for (EventRow event : events) {
      JsonNode facts = facts(event.payloadJson());
      assertEquals("10.0.0.1", facts.path("peer").stringValue());
      assertEquals("a/B", facts.path("method").stringValue());
      assertEquals("unknown", facts.path("caller").stringValue());
      assertEquals("unauthenticated", facts.path("reason").stringValue());
      assertEquals(Audit.SYSTEM, event.workspaceId());
      assertEquals(Principal.SYSTEM, event.actor());
    }
  }

  @Test
  void aMillionPeersInAMinuteAreAFewHundredEventsAndEachDenialIsCounted() throws Exception {
    List<EventRow> events =
        recorded(
            (denials, minutes) -> {
              for (int call = 0; call < 1_000_000; call++) {
                denials.denied("peer-" + call, "a/B", "unknown", "unauthenticated");
              }
              minutes.pass();
              denials.denied("peer-0", "a/B", "unknown", "unauthenticated");
            });
    assertEquals(MOST_KINDS + 2, events.size());
    assertEquals(1_000_001, events.stream().mapToInt(GatheredDenialsTest::count).sum());
    assertEquals("various", peer(events.get(MOST_KINDS)));
    assertEquals(1_000_000 - MOST_KINDS, count(events.get(MOST_KINDS)));
    assertEquals("peer-0", peer(events.get(MOST_KINDS + 1)));
  }

  @Test
  void whoeverIsKnownIsCountedApartAlsoWhenTheOthersAreTooMany() throws Exception {
    List<EventRow> events =
        recorded(
            (denials, minutes) -> {
              for (int call = 0; call < 1000; call++) {
                denials.denied("known", "a/B", "unknown", "unauthenticated");
                denials.denied("peer-" + call, "a/B", "unknown", "unauthenticated");
              }
              minutes.pass();
            });
    Map<String, Integer> again = new HashMap<>();
    events.stream()
        .filter(event -> event.type().equals("access.denied_again"))
        .forEach(event -> again.put(peer(event), count(event)));
    assertEquals(Map.of("known", 999, "various", 1000 - (MOST_KINDS - 1)), again);
  }

  @Test
  void whatManyThreadsAreRefusedWhileMinutesEndIsCountedOnce() throws Exception {
    int threads = 8;
    int calls = 5_000;
    List<EventRow> events =
        recorded(
            (denials, minutes) -> {
              ExecutorService pool = Executors.newFixedThreadPool(threads);
              try {
                List<Future<?>> all = new ArrayList<>();
                for (int thread = 0; thread < threads; thread++) {
                  String peer = "peer-" + thread % 3;
                  all.add(
                      pool.submit(
                          () -> {
                            for (int call = 0; call < calls; call++) {
                              denials.denied(peer, "a/B", "unknown", "unauthenticated");
                            }
                          }));
                }
                for (int minute = 0; minute < 20; minute++) {
                  minutes.pass();
                }
                all.forEach(one -> Await.value("a thread", one));
              } finally {
                pool.shutdownNow();
              }
              minutes.pass();
            });
    assertEquals(threads * calls, events.stream().mapToInt(GatheredDenialsTest::count).sum());
  }

  // The whole server, and peers with addresses of their own.

  private static ManagedChannel from(TestServer server, String address) {
    return NettyChannelBuilder.forTarget(server.address())
        .usePlaintext()
        .localSocketPicker(
            new NettyChannelBuilder.LocalSocketPicker() {
              @Override
              public SocketAddress createSocketAddress(
                  SocketAddress remote, Attributes attributes) {
                return new InetSocketAddress(address, 0);
              }
            })
        .build();
  }

  @Test
  void eachPeerAndMethodIsCountedApartAndAStopLosesNone() {
    List<String> peers = List.of("127.0.0.1", "127.0.0.2", "127.0.0.3");
    try (TestServer server = TestServer.in(folder)) {
      Scenario scenario = new Scenario(server);
      List<Methods.Method> methods = Methods.of(server);
      Map<String, Integer> expected = new TreeMap<>();
      for (int peer = 0; peer < peers.size(); peer++) {
        ManagedChannel channel = from(server, peers.get(peer));
        try {
          for (Methods.Method method : methods) {
            for (int call = 0; call < peer + 1; call++) {
              RawCall.make(channel, method, CallOptions.DEFAULT, List.of(new byte[0])).refusal();
              expected.merge(
                  peers.get(peer) + " " + method.descriptor().getFullMethodName(), 1, Integer::sum);
            }
          }
        } finally {
          channel.shutdownNow();
        }
      }
      assertTrue(expected.size() < MOST_KINDS, "each has a place: " + expected.size());
      server.restart();
      Map<String, Integer> found = new TreeMap<>();
      int events = 0;
      for (var event : scenario.events("system")) {
        if (event.getType().startsWith("access.")) {
          JsonNode facts = facts(event.getPayloadJson());
          found.merge(
              facts.path("peer").stringValue() + " " + facts.path("method").stringValue(),
              facts.path("count").asInt(),
              Integer::sum);
          events++;
        }
      }
      assertEquals(expected, found);
      // The first of each, and a count for those that came again.
      assertEquals(methods.size() * (3 + 2), events);
      assertTrue(scenario.verify("system").getValid());
    }
  }
}
