package dev.pmbot.server;

import dev.pmbot.files.Disagreement;
import dev.pmbot.store.Store;
import java.util.List;
import java.util.function.Consumer;

/** Whether what one row says fits what another says. */
public final class ContradictionCheck {
  private static final int ROWS_AT_ONCE = 500;

  private final Store store;
  private final Consumer<Disagreement> found;

  /** Over a database that nobody else works in. */
  public ContradictionCheck(Store store, Consumer<Disagreement> found) {
    this.store = store;
    this.found = found;
  }

  private interface Query {
    List<String> run(ContradictionMapper mapper, String behind, int limit);
  }

  /** Looks for every contradiction that is known of. */
  public void states() {
    tell(
        ContradictionMapper::startedWithoutApproval,
        "it went past its gate, but its start was never approved");
    tell(
        ContradictionMapper::proposedWithoutQuestion,
        "it waits at its gate, but no approval of its start is pending");
    tell(
        ContradictionMapper::blockedByNothing,
        "it is blocked, but nothing is pending that it could wait for");
    tell(ContradictionMapper::leasedInVain, "it is leased in a state in which nobody works on it");
    tell(ContradictionMapper::approvalsLeftOpen, "it is pending although its run has ended");
    tell(
        ContradictionMapper::approvalsHalfDecided,
        "its status does not fit the time and the maker of its decision");
    tell(ContradictionMapper::approvalsElsewhere, "it belongs to another workspace than its run");
    tell(ContradictionMapper::questionsLeftOpen, "it is pending although its run has ended");
    tell(
        ContradictionMapper::questionsHalfDecided,
        "its status does not fit the time and the maker of its decision");
    tell(ContradictionMapper::questionsElsewhere, "it belongs to another workspace than its run");
    tell(
        ContradictionMapper::questionsApart,
        "its status and that of its approval do not go together");
    tell(
        ContradictionMapper::changesetsApart,
        "its status is not the one that its approval gives it");
  }

  private void tell(Query query, String what) {
    String behind = "";
    List<String> ids;
    do {
      String from = behind;
      ids =
          store
              .read(tx -> query.run(tx.mapper(ContradictionMapper.class), from, ROWS_AT_ONCE))
              .join();
      for (String id : ids) {
        behind = id;
        found.accept(Disagreement.of(id, what));
      }
    } while (ids.size() == ROWS_AT_ONCE);
  }
}
