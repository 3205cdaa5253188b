package dev.pmbot.inbox;

import dev.pmbot.approval.Approvals;
import dev.pmbot.approval.Risk;
import dev.pmbot.approval.Waiting;
import dev.pmbot.interrupt.Interrupts;
import dev.pmbot.run.Runs;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Looked;
import dev.pmbot.wire.Problem;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What waits for the person. */
public final class Inbox {
  private static final int LOOKED_AT_ONCE = 1_000;

  private final Runs runs;
  private final Approvals approvals;
  private final Interrupts interrupts;

  /** Over what may wait. */
  public Inbox(Runs runs, Approvals approvals, Interrupts interrupts) {
    this.runs = runs;
    this.approvals = approvals;
    this.interrupts = interrupts;
  }

  /** Refuses a query that names what does not exist. */
  void admit(Tx tx, InboxQuery query) {
    runs.admit(tx, query.workspaceId(), query.runId());
  }

  /** Looks at the next items behind a place in the order, at most so many. */
  List<Looked> look(Tx tx, InboxQuery query, @Nullable String behind, int limit) {
    Place from = behind == null ? Place.START : Place.parse(behind);
    List<Looked> looked = new ArrayList<>();
    for (Risk risk : query.risks()) {
      if (risk.compareTo(from.risk) <= 0 && looked.size() < limit) {
        Place place = risk == from.risk ? from : new Place(risk, 0, "");
        looked.addAll(atOneRisk(tx, query, place, limit - looked.size()));
      }
    }
    return looked;
  }

  private List<Looked> atOneRisk(Tx tx, InboxQuery query, Place from, int limit) {
    Waiting.Where where =
        new Waiting.Where(
            query.workspaceId(), query.runId(), from.risk, from.createdAt, from.id, limit);
    ItemKind kind = query.kind();
    List<Waiting> waiting = new ArrayList<>();
    if (kind == null || kind.interrupt() != null) {
      waiting.addAll(interrupts.waiting(tx, where, kind == null ? null : kind.interrupt()));
    }
    if (kind == null || kind.approval() != null) {
      waiting.addAll(approvals.waiting(tx, where, kind == null ? null : kind.approval()));
    }
    return waiting.stream()
        .sorted(Comparator.comparingLong(Waiting::createdAt).thenComparing(Waiting::id))
        .limit(limit)
        .map(
            one -> new Looked(new Place(from.risk, one.createdAt(), one.id()).key(), one.matches()))
        .toList();
  }

  /** The places of everything that waits, in the order. */
  List<String> all(Tx tx, InboxQuery query) {
    List<String> places = new ArrayList<>();
    String behind = null;
    List<Looked> looked;
    do {
      looked = look(tx, query, behind, LOOKED_AT_ONCE);
      for (Looked one : looked) {
        behind = one.key();
        if (one.isTaken()) {
          places.add(behind);
        }
      }
    } while (looked.size() == LOOKED_AT_ONCE);
    return places;
  }

  /** The item at a place, as it is now. */
  Item at(Tx tx, String place) {
    return item(tx, Place.parse(place).id);
  }

  /** The items at some places, as they are now, in no order. */
  List<Item> at(Tx tx, List<String> places) {
    List<String> questions = new ArrayList<>();
    List<String> others = new ArrayList<>();
    for (String place : places) {
      String id = Place.parse(place).id;
      (isQuestion(id) ? questions : others).add(id);
    }
    List<Item> items = new ArrayList<>();
    if (!questions.isEmpty()) {
      interrupts.getAll(tx, questions).forEach(row -> items.add(new Item.OfInterrupt(row)));
    }
    if (!others.isEmpty()) {
      approvals.getAll(tx, others).forEach(row -> items.add(new Item.OfApproval(row)));
    }
    return items;
  }

  /** The place of an item that waits. */
  static String place(Item item) {
    return new Place(item.risk(), item.createdAt(), item.id()).key();
  }

  /** Whether an id is that of a question; what waits otherwise is an approval. */
  static boolean isQuestion(String id) {
    return id.startsWith("intr_");
  }

  /** The item with an id, as it is now. */
  Item item(Tx tx, String id) {
    return isQuestion(id)
        ? new Item.OfInterrupt(interrupts.get(tx, id))
        : new Item.OfApproval(approvals.get(tx, id));
  }

  private record Place(Risk risk, long createdAt, String id) {
    static final Place START = new Place(Risk.HIGH, 0, "");

    String key() {
      return risk.name() + '|' + createdAt + '|' + id;
    }

    static Place parse(String key) {
      String[] parts = key.split("\\|", -1);
      try {
        if (parts.length == 3) {
          return new Place(Risk.valueOf(parts[0]), Long.parseLong(parts[1]), parts[2]);
        }
      } catch (IllegalArgumentException notOurs) {
        throw Problem.invalidPageToken();
      }
      throw Problem.invalidPageToken();
    }
  }
}
