package dev.pmbot.audit;

import dev.pmbot.audit.Verification.Fault;
import dev.pmbot.files.Disagreement;
import dev.pmbot.store.Store;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;

/** Whether every chain holds, and every event is in one. */
public final class ChainCheck {
  /** What keeps the log append-only in the database, whoever holds the connection. */
  public static final List<String> TRIGGERS =
      List.of("audit_events_no_update", "audit_events_no_delete");

  private static final int HEADS_AT_ONCE = 500;

  private final Store store;
  private final Consumer<Disagreement> found;

  /** Over a database that nobody else works in. */
  public ChainCheck(Store store, Consumer<Disagreement> found) {
    this.store = store;
    this.found = found;
  }

  /** Walks all chains. */
  public void chains() {
    ChainVerifier verifier = new ChainVerifier(store);
    String behind = "";
    List<HeadRow> heads;
    do {
      String from = behind;
      heads =
          store.read(tx -> tx.mapper(AuditMapper.class).headsBehind(from, HEADS_AT_ONCE)).join();
      for (HeadRow head : heads) {
        behind = head.workspaceId();
        Consumer<Fault> tell = fault -> found.accept(disagreement(head.workspaceId(), fault));
        Verification verification = verifier.verifyAll(head, tell).join();
        Optional.ofNullable(verification.fault()).ifPresent(tell);
      }
    } while (heads.size() == HEADS_AT_ONCE);
    eventsWithoutAChain();
  }

  private void eventsWithoutAChain() {
    Optional<String> next = withEventsBehind("");
    while (next.isPresent()) {
      String workspaceId = next.get();
      boolean hasHead =
          store.read(tx -> tx.mapper(AuditMapper.class).head(workspaceId) != null).join();
      if (!hasHead) {
        found.accept(
            Disagreement.of(
                "chain of " + workspaceId, "there are events, but no head to say where they end"));
      }
      next = withEventsBehind(workspaceId);
    }
  }

  private Optional<String> withEventsBehind(String workspaceId) {
    return store
        .read(tx -> Optional.ofNullable(tx.mapper(AuditMapper.class).withEventsBehind(workspaceId)))
        .join();
  }

  private static Disagreement disagreement(String workspaceId, Fault fault) {
    return Disagreement.of(
        "chain of " + workspaceId + ", event " + fault.seq(),
        Objects.requireNonNull(fault.description()));
  }
}
