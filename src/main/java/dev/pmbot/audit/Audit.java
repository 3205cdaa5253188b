package dev.pmbot.audit;

import dev.pmbot.feed.EventLog;
import dev.pmbot.feed.LogEnd;
import dev.pmbot.feed.Scope;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Problem;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The log: what every room appends to, and what every stream follows. */
public final class Audit implements EventLog<EventRow> {
  /** The reserved workspace, whose chain holds what belongs to no workspace. */
  public static final String SYSTEM = "system";

  private static final int SALT_BYTES = 16;
  private static final int ROWS_AT_ONCE = 256;

  private final Ids ids;
  private volatile @Nullable Wake wake;

  /** Who is told what was committed. */
  @FunctionalInterface
  public interface Wake {
    /** A workspace's log has these new events; called in the order of commits. */
    void committed(String workspaceId, List<EventRow> events);
  }

  /** With a source of ids and salts. */
  public Audit(Ids ids) {
    this.ids = ids;
  }

  /** Names who is told what was committed. */
  public void onCommitted(Wake wake) {
    this.wake = wake;
  }

  /** Begins the chain of a new workspace. */
  public void begin(Tx tx, String workspaceId) {
    tx.mapper(AuditMapper.class).begin(new HeadRow(workspaceId, 0, Chain.START));
  }

  /**
   * Puts an event on the record, in this transaction or not at all, in the name of whom the
   * transaction acts for now. Its payload is redacted.
   */
  public void append(Tx tx, Event event) {
    Batch batch = tx.attachment(Batch.class, Batch::new);
    if (batch.settled) {
      throw new IllegalStateException("the events of this transaction have their places already");
    }
    if (batch.events.isEmpty()) {
      tx.beforeEnd(
          () -> {
            if (!batch.settled) {
              write(tx, batch);
            }
          });
    }
    batch.events.add(new Pending(event, tx.actor()));
  }

  /**
   * Gives the events of a transaction their places now, for a caller that must know them: the
   * transaction can append no more.
   */
  List<EventRow> settle(Tx tx) {
    Batch batch = tx.attachment(Batch.class, Batch::new);
    batch.settled = true;
    return write(tx, batch);
  }

  private record Pending(Event event, String actor) {}

  private static final class Batch {
    final List<Pending> events = new ArrayList<>();
    boolean settled;
  }

  /**
   * Where the chains end that a group of transactions has added to. They are read once and written
   * once for the whole group.
   */
  private static final class Heads {
    final Map<String, HeadRow> moved = new TreeMap<>();
  }

  /**
   * Gives the events of a transaction their places: last, so that the head is held for as short as
   * can be.
   */
  private List<EventRow> write(Tx tx, Batch batch) {
    Map<String, List<Pending>> byWorkspace = new LinkedHashMap<>();
    for (Pending pending : batch.events) {
      byWorkspace
          .computeIfAbsent(pending.event.workspaceId(), id -> new ArrayList<>())
          .add(pending);
    }
    List<EventRow> written = new ArrayList<>(batch.events.size());
    byWorkspace.forEach((workspaceId, events) -> written.addAll(write(tx, workspaceId, events)));
    return written;
  }

  private List<EventRow> write(Tx tx, String workspaceId, List<Pending> events) {
    AuditMapper mapper = tx.mapper(AuditMapper.class);
    Heads heads = tx.shared(Heads.class, Heads::new);
    if (heads.moved.isEmpty()) {
      tx.beforeSharedEnd(() -> heads.moved.values().forEach(mapper::advance));
    }
    HeadRow head = heads.moved.get(workspaceId);
    if (head == null) {
      head = mapper.head(workspaceId);
    }
    if (head == null) {
      throw new IllegalStateException("workspace " + workspaceId + " has no chain");
    }
    long first = head.seq() + 1;
    long seq = head.seq();
    byte[] previous = head.hash();
    List<EventRow> rows = new ArrayList<>(events.size());
    for (Pending pending : events) {
      seq++;
      EventRow row = seal(pending, tx, seq, first, previous);
      mapper.append(row);
      previous = row.hash();
      rows.add(row);
    }
    heads.moved.put(workspaceId, new HeadRow(workspaceId, seq, previous));
    tx.afterCommit(
        () -> {
          Wake listener = wake;
          if (listener != null) {
            listener.committed(workspaceId, rows);
          }
        });
    return rows;
  }

  private EventRow seal(Pending pending, Tx tx, long seq, long first, byte[] previous) {
    Event event = pending.event;
    String payload = Kept.json("what goes on the record", event.payloadJson());
    byte[] salt = ids.bytes(SALT_BYTES);
    EventRow unsealed =
        new EventRow(
            ids.next("evt"),
            event.workspaceId(),
            event.runId(),
            event.threadId(),
            event.nodeId(),
            event.type(),
            payload,
            tx.now(),
            seq,
            first,
            pending.actor,
            salt,
            Chain.payloadHash(salt, payload),
            previous,
            Chain.START);
    return unsealed.sealed(Chain.hash(unsealed));
  }

  @Override
  public List<LogEnd> ends(Tx tx, Scope scope) {
    AuditMapper mapper = tx.mapper(AuditMapper.class);
    if (scope.workspaceId() == null) {
      return mapper.heads().stream().map(Audit::end).toList();
    }
    HeadRow head = mapper.head(scope.workspaceId());
    return head == null || head.seq() == 0 ? List.of() : List.of(end(head));
  }

  private static LogEnd end(HeadRow head) {
    return new LogEnd(head.workspaceId(), head.seq(), head.hash());
  }

  @Override
  public Slice<EventRow> after(Tx tx, Scope scope, String workspaceId, long seq, int bytes) {
    AuditMapper mapper = tx.mapper(AuditMapper.class);
    for (int limit = ROWS_AT_ONCE; ; limit *= 4) {
      Gathered gathered = new Gathered(bytes);
      mapper.after(scope, workspaceId, seq, limit, gathered::take);
      if (gathered.enough || gathered.events.size() < limit) {
        return new Slice<>(gathered.events, gathered.enough);
      }
      // The last transaction may go on behind these rows; if it is the only one, more are needed.
      List<EventRow> whole = gathered.withoutLastTransaction();
      if (!whole.isEmpty()) {
        return new Slice<>(whole, true);
      }
    }
  }

  /** Whole transactions, until they come to so many bytes. */
  private static final class Gathered {
    private final int mostBytes;
    private final List<EventRow> events = new ArrayList<>();
    private int bytes;
    private boolean enough;

    Gathered(int mostBytes) {
      this.mostBytes = mostBytes;
    }

    boolean take(EventRow event) {
      enough = bytes >= mostBytes && event.txFirstSeq() != last().txFirstSeq();
      if (!enough) {
        events.add(event);
        bytes += event.size();
      }
      return !enough;
    }

    private EventRow last() {
      return events.get(events.size() - 1);
    }

    List<EventRow> withoutLastTransaction() {
      long last = last().txFirstSeq();
      return events.stream().filter(event -> event.txFirstSeq() != last).toList();
    }
  }

  @Override
  public @Nullable EventRow at(Tx tx, String workspaceId, long seq) {
    return tx.mapper(AuditMapper.class).at(workspaceId, seq);
  }

  @Override
  public long endOfTransaction(Tx tx, String workspaceId, long seq) {
    AuditMapper mapper = tx.mapper(AuditMapper.class);
    Long next = mapper.nextTransaction(workspaceId, seq);
    if (next != null) {
      return next - 1;
    }
    HeadRow head = mapper.head(workspaceId);
    return head == null ? seq : head.seq();
  }

  /**
   * The tip of a workspace's chain.
   *
   * @throws Problem NOT_FOUND when there is no such workspace
   */
  HeadRow head(Tx tx, String workspaceId) {
    HeadRow head = tx.mapper(AuditMapper.class).head(workspaceId);
    if (head == null) {
      throw Problem.notFound("workspace", workspaceId);
    }
    return head;
  }
}
