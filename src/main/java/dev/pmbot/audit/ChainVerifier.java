package dev.pmbot.audit;

import dev.pmbot.store.Store;
import dev.pmbot.store.Tx;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Walks a chain in short reads, from its beginning to where it ended when the walk began. */
public final class ChainVerifier {
  // A payload may be mebibytes long.
  private static final int EVENTS_AT_ONCE = 50;

  private final Store store;

  /** Over a database. */
  public ChainVerifier(Store store) {
    this.store = store;
  }

  /** Walks a workspace's chain, which must exist, up to the first fault. */
  public CompletableFuture<Verification> verify(HeadRow head) {
    return walk(new Walk(head, null));
  }

  /**
   * Walks a workspace's chain, which must exist, to its end, whatever is wrong on the way.
   *
   * @param found told of each event that is wrong; what is wrong with the end is in the result
   */
  public CompletableFuture<Verification> verifyAll(
      HeadRow head, Consumer<Verification.Fault> found) {
    return walk(new Walk(head, found));
  }

  private CompletableFuture<Verification> walk(Walk walk) {
    return store
        .read(walk::further)
        .thenComposeAsync(
            result -> result.map(CompletableFuture::completedFuture).orElseGet(() -> walk(walk)));
  }

  private static final class Walk {
    private final HeadRow head;
    private final @Nullable Consumer<Verification.Fault> found;
    private long seq;
    private long transaction;
    private byte[] previous = Chain.START;

    Walk(HeadRow head, @Nullable Consumer<Verification.Fault> found) {
      this.head = head;
      this.found = found;
    }

    /** Verifies some more; what it found, once it is through or found a fault. */
    Optional<Verification> further(Tx tx) {
      List<EventRow> events =
          tx.mapper(AuditMapper.class).after(head.workspaceId(), seq, EVENTS_AT_ONCE);
      for (EventRow event : events) {
        if (seq == head.seq()) {
          break;
        }
        String wrong = wrong(event);
        if (wrong != null) {
          long at = Math.min(event.seq(), seq + 1);
          if (found == null) {
            return Optional.of(fault(at, wrong));
          }
          found.accept(new Verification.Fault(at, wrong));
        }
        seq = event.seq();
        transaction = event.txFirstSeq();
        previous = event.hash();
      }
      if (seq == head.seq()) {
        return Optional.of(
            Arrays.equals(previous, head.hash())
                ? outside(tx)
                : fault(seq, "the head names another hash than the last event has"));
      }
      return events.isEmpty()
          ? Optional.of(
              fault(
                  seq + 1, "the head names events up to " + head.seq() + ", but they are missing"))
          : Optional.empty();
    }

    /** No event may stand before the first place, or behind where the head is by now. */
    private Verification outside(Tx tx) {
      AuditMapper mapper = tx.mapper(AuditMapper.class);
      List<EventRow> before = mapper.before(head.workspaceId(), 1, 1);
      if (!before.isEmpty()) {
        return fault(before.get(0).seq(), "an event stands before the first place");
      }
      HeadRow now = mapper.head(head.workspaceId());
      List<EventRow> behind = mapper.after(head.workspaceId(), now == null ? seq : now.seq(), 1);
      return behind.isEmpty()
          ? new Verification(seq, head, null)
          : fault(behind.get(0).seq(), "an event stands behind the head");
    }

    private Verification fault(long at, String description) {
      return new Verification(seq, head, new Verification.Fault(at, description));
    }

    private @Nullable String wrong(EventRow event) {
      if (event.seq() != seq + 1) {
        return "the event is missing";
      }
      if (event.txFirstSeq() != event.seq() && event.txFirstSeq() != transaction) {
        return "the transaction's bounds do not fit those of the event before";
      }
      if (!Arrays.equals(event.prevHash(), previous)) {
        return "it does not name the hash of the event before it";
      }
      if (event.payloadSalt() == null
          || !Arrays.equals(
              event.payloadHash(), Chain.payloadHash(event.payloadSalt(), event.payloadJson()))) {
        return "the payload is not the one that was hashed";
      }
      if (!Arrays.equals(event.hash(), Chain.hash(event))) {
        return "the fields are not the ones that were hashed";
      }
      return null;
    }
  }
}
