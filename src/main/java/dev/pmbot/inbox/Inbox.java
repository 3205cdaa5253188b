package dev.pmbot.inbox;

import dev.pmbot.approval.Approvals;
import dev.pmbot.approval.Risk;
import dev.pmbot.interrupt.Interrupts;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Problem;
import dev.pmbot.workspace.Workspaces;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What waits for the person. */
public final class Inbox {
  private static final List<Risk> WORST_FIRST = List.of(Risk.HIGH, Risk.MEDIUM, Risk.LOW);

  private final Workspaces workspaces;
  private final Approvals approvals;
  private final Interrupts interrupts;

  /** Over what may wait. */
  public Inbox(Workspaces workspaces, Approvals approvals, Interrupts interrupts) {
    this.workspaces = workspaces;
    this.approvals = approvals;
    this.interrupts = interrupts;
  }

  /** What waits, behind a place in the order, at most so many. */
  List<Item> list(Tx tx, @Nullable String workspaceId, @Nullable String behind, int limit) {
    admit(tx, workspaceId);
    Place from = behind == null ? Place.START : Place.parse(behind);
    List<Item> items = new ArrayList<>();
    for (Risk risk : WORST_FIRST) {
      if (risk.compareTo(from.risk) <= 0 && items.size() < limit) {
        Place place = risk == from.risk ? from : new Place(risk, 0, "");
        items.addAll(atOneRisk(tx, workspaceId, place, limit - items.size()));
      }
    }
    return items;
  }

  private List<Item> atOneRisk(Tx tx, @Nullable String workspaceId, Place from, int limit) {
    List<Item> items = new ArrayList<>();
    interrupts
        .waiting(tx, workspaceId, from.risk, from.createdAt, from.id, limit)
        .forEach(row -> items.add(new Item.OfInterrupt(row)));
    approvals
        .waiting(tx, workspaceId, from.risk, from.createdAt, from.id, limit)
        .forEach(row -> items.add(new Item.OfApproval(row)));
    items.sort(Comparator.comparingLong(Item::createdAt).thenComparing(Item::id));
    return items.subList(0, Math.min(limit, items.size()));
  }

  /** Refuses a workspace that does not exist. */
  void admit(Tx tx, @Nullable String workspaceId) {
    if (workspaceId != null) {
      workspaces.get(tx, workspaceId);
    }
  }

  /** The item with an id, as it is now. */
  Item item(Tx tx, String id) {
    return id.startsWith("intr_")
        ? new Item.OfInterrupt(interrupts.get(tx, id))
        : new Item.OfApproval(approvals.get(tx, id));
  }

  private record Place(Risk risk, long createdAt, String id) {
    static final Place START = new Place(Risk.HIGH, 0, "");

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
