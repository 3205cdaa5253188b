package dev.pmbot.feed;

import com.google.protobuf.MessageLite;
import dev.pmbot.feed.Cursor.Position;
import dev.pmbot.files.Sha256;
import dev.pmbot.store.Store;
import dev.pmbot.store.Time;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Statuses;
import io.grpc.stub.ServerCallStreamObserver;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One stream. It is a cursor and a loop: read a little of what is new, send it, look again; and it
 * stops while the client is not ready. At most one step runs at a time, on a thread of the store.
 */
final class Following<E extends LoggedEvent, R extends MessageLite> {
  private static final long HEARTBEAT_NANOS = TimeUnit.SECONDS.toNanos(15);
  // All that is sent before the client is asked again whether it is ready: for each one that does
  // not read, the server holds this much, or one message.
  private static final int BYTES_AT_ONCE = 128 << 10;
  private static final int LARGEST_MESSAGE = 1 << 20;

  private final Store store;
  private final EventLog<E> log;
  private final Recent<E> recent;
  private final Time time;
  private final ServerCallStreamObserver<R> call;
  private final View<E, R> view;
  private final Scope scope;
  private final String filter;
  private final String resumedFrom;
  private final Consumer<Following<E, ?>> onEnd;
  private final Executor sender;

  /** Makes the message for events of one transaction. */
  private interface Teller<E, R> {
    @Nullable R message(List<E> events, String cursor);
  }

  /** What one look at the log gave: messages to send, and what to do then. */
  private record Step<R>(List<R> messages, Next next) {
    Step(List<R> messages, boolean more) {
      this(messages, more ? Next.LOOK : Next.REST);
    }
  }

  private enum Next {
    LOOK,
    REST,
    END
  }

  /** The messages of one step, while it is made. */
  private static final class Batch<R extends MessageLite> {
    final List<R> messages = new ArrayList<>();
    private int bytes;

    void add(R message) {
      messages.add(message);
      bytes += message.getSerializedSize();
    }

    boolean isFull() {
      return bytes >= BYTES_AT_ONCE;
    }

    boolean isEmpty() {
      return messages.isEmpty();
    }
  }

  private final AtomicInteger kicks = new AtomicInteger();
  private final Set<String> woken = ConcurrentHashMap.newKeySet();
  private volatile long lastSentNanos;
  private volatile boolean heartbeatDue;
  private volatile @Nullable Problem ending;

  // Touched by one step at a time.
  private boolean begun;
  private boolean synced;
  private boolean ended;
  private Map<String, Position> positions = new TreeMap<>();
  private @Nullable String halfToldIn;
  private int told;
  private final Deque<String> snapshot = new ArrayDeque<>();

  Following(
      Store store,
      EventLog<E> log,
      Recent<E> recent,
      Time time,
      ServerCallStreamObserver<R> call,
      View<E, R> view,
      String cursor,
      Consumer<Following<E, ?>> onEnd,
      Executor sender) {
    this.store = store;
    this.log = log;
    this.recent = recent;
    this.time = time;
    this.call = call;
    this.view = view;
    this.scope = view.scope();
    this.resumedFrom = cursor;
    this.onEnd = onEnd;
    this.sender = sender;
    String canonical = view.kind() + "|" + scope.canonical() + view.filter();
    byte[] digest = Sha256.of(canonical.getBytes(StandardCharsets.UTF_8));
    this.filter = HexFormat.of().formatHex(digest, 0, 8);
    this.lastSentNanos = time.monotonicNanos();
  }

  Scope scope() {
    return scope;
  }

  /** Something was committed in this workspace that it may show. Called by the sender's thread. */
  void wake(String workspaceId) {
    woken.add(workspaceId);
    if (kicks.getAndIncrement() == 0) {
      step(1);
    }
  }

  void tick() {
    if (time.monotonicNanos() - lastSentNanos >= HEARTBEAT_NANOS) {
      heartbeatDue = true;
      kick();
    }
  }

  void end(Problem problem) {
    ending = problem;
    kick();
  }

  /**
   * Looks whether there is something to do; cheap when there is not, and when a step runs already.
   */
  void kick() {
    if (kicks.getAndIncrement() == 0) {
      go(1);
    }
  }

  /** One look at what is new; on the sender's thread. */
  private void step(int seen) {
    if (ended || call.isCancelled()) {
      return; // The count stays above zero: no further step begins.
    }
    Problem problem = ending;
    if (problem != null) {
      fail(problem);
      return;
    }
    if (!call.isReady()) {
      rest(seen);
      return;
    }
    if (synced && !heartbeatDue && halfToldIn == null && view instanceof EventView<E, R> plain) {
      Step<R> known = readRecent(plain);
      if (known != null) {
        send(known, seen);
        return;
      }
    }
    store
        .read(call::isCancelled, this::readSome)
        .whenCompleteAsync(
            (step, failure) -> {
              if (failure != null) {
                fail(failure);
              } else {
                send(step, seen);
              }
            },
            sender);
  }

  private void send(Step<R> step, int seen) {
    try {
      if (!step.messages.isEmpty() && !call.isCancelled()) {
        // Before, not after: who has received it may count the silence from then on.
        lastSentNanos = time.monotonicNanos();
        step.messages.forEach(call::onNext);
      }
    } catch (RuntimeException gone) {
      fail(gone);
      return;
    }
    switch (step.next) {
      case LOOK -> go(kicks.get());
      case REST -> rest(seen);
      case END -> complete();
    }
  }

  /** Goes on, but not from here: a long catch-up would nest one step in the next. */
  private void go(int seen) {
    try {
      sender.execute(() -> step(seen));
    } catch (RejectedExecutionException stopped) {
      fail(Problem.shuttingDown());
    }
  }

  /** Nothing left to do, unless somebody kicked since that many kicks had been seen. */
  private void rest(int seen) {
    int more = kicks.addAndGet(-seen);
    if (more > 0) {
      go(more);
    }
  }

  private void complete() {
    ended = true;
    onEnd.accept(this);
    try {
      call.onCompleted();
    } catch (IllegalStateException | io.grpc.StatusRuntimeException alreadyClosed) {
      // The client went while this was being said; there is nobody left to tell.
      return;
    }
  }

  private void fail(Throwable failure) {
    ended = true;
    onEnd.accept(this);
    if (!call.isCancelled()) {
      try {
        call.onError(Statuses.of(failure));
      } catch (IllegalStateException | io.grpc.StatusRuntimeException alreadyClosed) {
        // The client went while this was being said; there is nobody left to tell.
        return;
      }
    }
  }

  /** What is new, from memory; absent when it is not all there. */
  private @Nullable Step<R> readRecent(EventView<E, R> plain) {
    Set<String> hints = new HashSet<>(woken);
    woken.removeAll(hints);
    Batch<R> batch = new Batch<>();
    for (String workspaceId : hints) {
      List<E> events = recent.after(workspaceId, at(workspaceId).seq());
      if (events == null) {
        woken.addAll(hints);
        return batch.isEmpty() ? null : new Step<>(batch.messages, true);
      }
      for (int index = 0; index < events.size(); ) {
        int next = endOfGroup(events, index);
        List<E> transaction = events.subList(index, next);
        List<E> shown = transaction.stream().filter(scope::includes).toList();
        Position end = position(transaction.get(transaction.size() - 1));
        if (batch.isFull() || !say(plain::transaction, workspaceId, shown, end, batch)) {
          woken.addAll(hints);
          return new Step<>(batch.messages, true);
        }
        index = next;
      }
    }
    return new Step<>(batch.messages, false);
  }

  private Position at(String workspaceId) {
    return positions.getOrDefault(workspaceId, Position.START);
  }

  private Step<R> readSome(Tx tx) {
    // Taken before anything is read: what is committed after this point wakes it again.
    Set<String> hints = new HashSet<>(woken);
    woken.removeAll(hints);
    if (!begun) {
      begin(tx);
      begun = true;
    }
    // What ended it may be in the log already, and its wake-up still on the way.
    boolean over = view.isOver(tx);
    boolean lookEverywhere = !synced || heartbeatDue || over;
    Batch<R> batch = new Batch<>();
    while (!snapshot.isEmpty() && !batch.isFull()) {
      R item = view.snapshotItem(tx, snapshot.remove());
      if (item != null) {
        batch.add(item);
      }
    }
    if (!batch.isEmpty()) {
      woken.addAll(hints);
      return new Step<>(batch.messages, true);
    }
    List<LogEnd> ends = log.ends(tx, scope);
    if (halfToldIn != null) {
      // Nothing may come between the parts of a transaction.
      woken.addAll(hints);
      ends.stream()
          .filter(end -> end.workspaceId().equals(halfToldIn))
          .findFirst()
          .ifPresent(end -> readWorkspace(tx, end, batch));
      return new Step<>(batch.messages, true);
    }
    for (LogEnd end : ends) {
      String workspaceId = end.workspaceId();
      if (!lookEverywhere && !hints.contains(workspaceId)) {
        continue;
      }
      if (!readWorkspace(tx, end, batch) || !batch.isEmpty()) {
        if (batch.isEmpty() && heartbeatDue) {
          // A long way through what it does not show: how far it has come must not be lost.
          batch.add(view.heartbeat(cursor(), ends));
          heartbeatDue = false;
        }
        // What has not been looked at yet is looked at in the next step.
        woken.addAll(hints);
        woken.add(workspaceId);
        return new Step<>(batch.messages, true);
      }
    }
    if (!synced) {
      synced = true;
      batch.add(view.synced(cursor()));
    } else if (heartbeatDue) {
      batch.add(view.heartbeat(cursor(), ends));
    }
    heartbeatDue = false;
    return new Step<>(batch.messages, over ? Next.END : Next.REST);
  }

  /** Adds a workspace's next messages; whether its log has been read to its end. */
  private boolean readWorkspace(Tx tx, LogEnd end, Batch<R> batch) {
    String workspaceId = end.workspaceId();
    Position position = at(workspaceId);
    if (position.seq() >= end.seq()) {
      return true;
    }
    EventLog.Slice<E> slice = log.after(tx, scope, workspaceId, position.seq(), BYTES_AT_ONCE);
    List<E> events = slice.events();
    for (int index = 0; index < events.size(); ) {
      int next = endOfGroup(events, index);
      List<E> transaction = events.subList(index, next);
      Teller<E, R> teller = (shown, cursor) -> view.transaction(tx, shown, cursor);
      Position behind = position(endOf(tx, transaction));
      if (batch.isFull() || !say(teller, workspaceId, transaction, behind, batch)) {
        return false;
      }
      index = next;
    }
    if (slice.more()) {
      return false;
    }
    positions.put(workspaceId, new Position(end.seq(), prefix(end.hash())));
    return true;
  }

  /**
   * The event that ends a transaction: in a narrow scope it may be one that the stream does not
   * show.
   */
  private E endOf(Tx tx, List<E> transaction) {
    E last = transaction.get(transaction.size() - 1);
    if (!scope.isNarrow()) {
      return last;
    }
    long end = log.endOfTransaction(tx, last.workspaceId(), last.seq());
    return end == last.seq() ? last : Objects.requireNonNull(log.at(tx, last.workspaceId(), end));
  }

  private int endOfGroup(List<E> events, int from) {
    long transaction = events.get(from).txFirstSeq();
    int next = from;
    while (next < events.size() && events.get(next).txFirstSeq() == transaction) {
      next++;
    }
    return next;
  }

  /**
   * Says one transaction, in parts when its message would be very large; or as many of its parts as
   * are sent at once. An event may be small and what it shows large: only the message tells.
   *
   * @param behind where the stream stands once all of it is said
   * @return whether all of it is said
   */
  private boolean say(
      Teller<E, R> teller,
      String workspaceId,
      List<E> transaction,
      Position behind,
      Batch<R> batch) {
    Position before = positions.put(workspaceId, behind);
    halfToldIn = null;
    while (told < transaction.size()) {
      if (told > 0 && batch.isFull()) {
        halfToldIn = workspaceId;
        stand(workspaceId, before);
        return false;
      }
      told += sayPart(teller, transaction.subList(told, transaction.size()), batch);
    }
    told = 0;
    return true;
  }

  private void stand(String workspaceId, @Nullable Position position) {
    if (position == null) {
      positions.remove(workspaceId);
    } else {
      positions.put(workspaceId, position);
    }
  }

  /** Says the first of some events, as many as one message holds; how many those were. */
  private int sayPart(Teller<E, R> teller, List<E> events, Batch<R> batch) {
    R all = teller.message(events, cursor());
    if (all == null || isMessage(all, events)) {
      add(all, batch);
      return events.size();
    }
    int count = events.size();
    R part = all;
    while (part != null && !isMessage(part, events.subList(0, count))) {
      count = (count + 1) / 2;
      part = teller.message(events.subList(0, count), "");
    }
    // The last that shows something carries the cursor.
    if (teller.message(events.subList(count, events.size()), "") == null) {
      add(teller.message(events, cursor()), batch);
      return events.size();
    }
    add(part, batch);
    return count;
  }

  private void add(@Nullable R message, Batch<R> batch) {
    if (message != null) {
      batch.add(message);
    }
  }

  private static boolean isMessage(MessageLite message, List<?> events) {
    return message.getSerializedSize() <= LARGEST_MESSAGE || events.size() == 1;
  }

  private void begin(Tx tx) {
    view.admit(tx);
    if (!resumedFrom.isEmpty()) {
      positions = resume(tx, Cursor.decode(resumedFrom));
    } else if (!view.fromBeginning()) {
      for (LogEnd end : log.ends(tx, scope)) {
        positions.put(end.workspaceId(), new Position(end.seq(), prefix(end.hash())));
      }
      snapshot.addAll(view.snapshot(tx));
    }
  }

  private Map<String, Position> resume(Tx tx, Cursor cursor) {
    String earliest = new Cursor(store.incarnation(), filter, Map.of()).encode();
    if (!cursor.incarnation().equals(store.incarnation())) {
      throw Problem.cursorOtherDatabase(earliest);
    }
    if (!cursor.filter().equals(filter)) {
      throw Problem.cursorOtherFilter(earliest);
    }
    cursor
        .positions()
        .forEach(
            (workspaceId, position) -> {
              E event = log.at(tx, workspaceId, position.seq());
              if (event != null
                  && log.endOfTransaction(tx, workspaceId, position.seq()) != position.seq()) {
                throw Problem.invalidCursor();
              }
              if (event == null || prefix(event.hash()) != position.hash()) {
                throw Problem.cursorHistoryChanged(workspaceId, position.seq(), earliest);
              }
            });
    return new TreeMap<>(cursor.positions());
  }

  private String cursor() {
    return new Cursor(store.incarnation(), filter, positions).encode();
  }

  private static Position position(LoggedEvent event) {
    return new Position(event.seq(), prefix(event.hash()));
  }

  private static long prefix(byte[] hash) {
    return ByteBuffer.wrap(hash).getLong();
  }
}
