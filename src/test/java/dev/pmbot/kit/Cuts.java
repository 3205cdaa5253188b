package dev.pmbot.kit;

import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * A client that follows a stream, loses it at random points, and comes back each time with the last
 * cursor that it handled. It handles messages as a client should: what carries no cursor is a part,
 * and counts once the message behind it that carries one has come.
 */
public final class Cuts<R> {
  private final Channel channel;
  private final MethodDescriptor<?, R> method;
  private final Function<R, String> cursorOf;
  private final Predicate<R> isSynced;
  private final List<R> handled = new ArrayList<>();
  private final List<Integer> syncedPerConnection = new ArrayList<>();
  private String cursor = "";

  /** Over a kind of stream. */
  public Cuts(
      Channel channel,
      MethodDescriptor<?, R> method,
      Function<R, String> cursorOf,
      Predicate<R> isSynced) {
    this.channel = channel;
    this.method = method;
    this.cursorOf = cursorOf;
    this.isSynced = isSynced;
  }

  /** Follows until it is enough, cutting the stream after a few messages each time. */
  @SuppressWarnings("unchecked")
  public <Q> void follow(Function<String, Q> request, Random random, BooleanSupplier enough) {
    while (!enough.getAsBoolean()) {
      int messages = 1 + random.nextInt(6);
      try (Recording<R> stream =
          Recording.of(channel, (MethodDescriptor<Q, R>) method, request.apply(cursor))) {
        // The last connection of all may have nothing more to bring than that it is in step.
        List<R> received =
            stream.await(
                messages + " messages, or that the stream is in step",
                all -> all.size() >= messages || all.stream().anyMatch(isSynced));
        handle(received);
      }
    }
  }

  private void handle(List<R> received) {
    List<R> open = new ArrayList<>();
    int synced = 0;
    for (R message : received) {
      open.add(message);
      synced += isSynced.test(message) ? 1 : 0;
      if (!cursorOf.apply(message).isEmpty()) {
        handled.addAll(open);
        open.clear();
        cursor = cursorOf.apply(message);
      }
    }
    syncedPerConnection.add(synced);
  }

  /** Everything that was handled, over all connections. */
  public List<R> handled() {
    return handled;
  }

  /** How often each connection said that it was in step. */
  public List<Integer> syncedPerConnection() {
    return syncedPerConnection;
  }

  /** How often it connected. */
  public int connections() {
    return syncedPerConnection.size();
  }
}
