package dev.pmbot.feed;

import dev.pmbot.feed.Told.Content;
import dev.pmbot.kit.Ledger;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A client that follows a stream for as long as it lasts: cut off, or cutting itself off, at
 * random, it comes back each time with the last cursor that it handled, sometimes with an older
 * one, and now and then with none. It records what it was told; what to think of it is the {@link
 * StreamValidator}'s.
 */
final class Subscriber<Q, R> {
  private static final int OLDER_CURSORS = 20;

  /** What all clients of one server share. */
  interface World {
    /** A connection to the server; none while there is none. */
    @Nullable Channel channel(StreamKind<?, ?> kind, int lane);

    /** For each workspace a seq that somebody has been told of. */
    Map<String, Long> known();

    /** Where the logs end, read from now on. */
    CompletableFuture<Map<String, Long>> ends();

    /** The time, as acknowledgements are noted by it. */
    long tick();

    /** A timer of all of them. */
    ScheduledExecutorService timer();
  }

  private final StreamKind<Q, R> kind;
  private final World world;
  private final int lane;
  private final Random random;
  private final Consumer<Told> listener;
  private final List<Attempt> attempts = new ArrayList<>();
  private final List<String> cursors = new ArrayList<>();
  private final CompletableFuture<Void> inStep = new CompletableFuture<>();
  private @Nullable Attempt current;
  private String cursor = "";
  private boolean finishing;

  /**
   * Over a world.
   *
   * @param lane which of the shared connections it uses
   * @param listener is told what this client is told, as it comes
   */
  Subscriber(StreamKind<Q, R> kind, World world, int lane, long seed, Consumer<Told> listener) {
    this.kind = kind;
    this.world = world;
    this.lane = lane;
    this.random = new Random(seed);
    this.listener = listener;
  }

  StreamKind<Q, R> kind() {
    return kind;
  }

  /** Begins. */
  synchronized Subscriber<Q, R> follow() {
    if (inStep.isDone()) {
      return this;
    }
    Channel channel = world.channel(kind, lane);
    if (channel == null) {
      again(100);
      return this;
    }
    String from = cursor;
    if (!finishing && random.nextInt(100) < 3) {
      from = "";
    } else if (!cursors.isEmpty() && random.nextInt(100) < 10) {
      from = cursors.get(random.nextInt(cursors.size()));
    }
    if (from.isEmpty()) {
      cursor = "";
      cursors.clear();
    }
    Attempt next = new Attempt(from, channel);
    current = next;
    attempts.add(next);
    next.open();
    return this;
  }

  private void again(int most) {
    if (!inStep.isDone()) {
      world.timer().schedule(this::follow, 1 + random.nextInt(most), TimeUnit.MILLISECONDS);
    }
  }

  /** Comes back once more, and ends when it is in step. */
  synchronized CompletableFuture<Void> finish() {
    finishing = true;
    if (current != null) {
      current.cut();
    }
    return inStep;
  }

  /** Everything that it was told, connection by connection. */
  synchronized List<Connection> connections() {
    return attempts.stream().map(Attempt::recorded).toList();
  }

  /** The end of what it was told, for who waits in vain. */
  synchronized String latest() {
    List<Attempt> last = attempts.subList(Math.max(0, attempts.size() - 3), attempts.size());
    return attempts.size()
        + " connections, the last: "
        + last.stream().map(one -> one.told.size() + " messages, " + one.end).toList();
  }

  /** How often it connected. */
  synchronized int count() {
    return attempts.size();
  }

  /** One connection, from its opening to its end. */
  private final class Attempt extends ClientCall.Listener<R> {
    private final String from;
    private final boolean last;
    private final Map<String, Long> knownBefore;
    private final long openedAt;
    private final List<Told> told = new ArrayList<>();
    private final ClientCall<Q, R> call;
    private @Nullable CompletableFuture<Map<String, Long>> knownAfter;
    private int cutAfter = Integer.MAX_VALUE;
    private int restAfter = Integer.MAX_VALUE;
    private Status end = Status.CANCELLED;

    Attempt(String from, Channel channel) {
      this.call = channel.newCall(kind.method(), CallOptions.DEFAULT);
      this.from = from;
      this.last = finishing;
      this.knownBefore = Map.copyOf(world.known());
      this.openedAt = world.tick();
    }

    void open() {
      if (!last) {
        switch (random.nextInt(3)) {
          case 0 -> cutAfter = 1 + random.nextInt(40);
          case 1 ->
              world.timer().schedule(this::cut, 20 + random.nextInt(4_000), TimeUnit.MILLISECONDS);
          default -> restAfter = 1 + random.nextInt(40);
        }
      }
      call.start(this, new Metadata());
      call.sendMessage(kind.request(from));
      call.halfClose();
      call.request(1 + random.nextInt(16));
    }

    @Override
    public void onMessage(R message) {
      Told one = kind.told(message);
      synchronized (Subscriber.this) {
        if (current != this || inStep.isDone()) {
          return; // It was cut: what still comes nobody reads.
        }
        told.add(one);
        if (!one.cursor().isEmpty()) {
          handled(one);
        }
        if (last && one.content() == Content.SYNCED) {
          call.cancel("everything was told", null);
          inStep.complete(null);
        } else if (told.size() >= cutAfter) {
          call.cancel("cut off", null);
        } else if (told.size() == restAfter) {
          world
              .timer()
              .schedule(() -> call.request(1), random.nextInt(1_000), TimeUnit.MILLISECONDS);
        } else {
          call.request(1);
        }
      }
      listener.accept(one);
    }

    private void handled(Told one) {
      cursor = one.cursor();
      cursors.add(cursor);
      if (cursors.size() > OLDER_CURSORS) {
        cursors.remove(0);
      }
      if (from.isEmpty() && knownAfter == null) {
        knownAfter = world.ends();
      }
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      synchronized (Subscriber.this) {
        if (!Ledger.isOfTransport(new StatusRuntimeException(status, trailers))) {
          end = status;
        }
        // What has ended is looked at again, but not all the time.
        again(status.isOk() ? 5_000 : 200);
      }
    }

    void cut() {
      call.cancel("cut off", null);
    }

    Connection recorded() {
      return new Connection(
          from,
          openedAt,
          knownBefore,
          knownAfter == null ? Map.of() : knownAfter.getNow(Map.of()),
          told,
          end);
    }
  }
}
