package dev.pmbot.feed;

import dev.pmbot.feed.StreamKind.Shown;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.LogHead;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Decides afterwards, from the log, whether what a client was told breaks a promise: that every
 * event which is its business comes once and in order, whole transactions at a time; that a cursor
 * resumes exactly behind its message; that a stream is in step only when it is; and that nothing is
 * told that did not happen.
 */
final class StreamValidator {
  private static final int UNKNOWN = -1;

  private final RecordedLog log;
  private final Map<StreamKind<?, ?>, Business> businesses = new HashMap<>();

  StreamValidator(RecordedLog log) {
    this.log = log;
  }

  /** A transaction of which a stream must tell something. */
  private record Transaction(String workspaceId, long first, long last, List<Shown> shown) {
    boolean mayBeLeftOut() {
      return shown.stream().allMatch(Shown::mayBeLeftOut);
    }
  }

  private record Place(String workspaceId, int index) {}

  /** Everything that a kind of stream must tell, by workspace. */
  private record Business(
      Map<String, List<Transaction>> transactions, Map<Object, List<Place>> placesOf) {
    List<Transaction> of(String workspaceId) {
      return transactions.getOrDefault(workspaceId, List.of());
    }
  }

  private Business business(StreamKind<?, ?> kind) {
    return businesses.computeIfAbsent(kind, this::readBusiness);
  }

  private Business readBusiness(StreamKind<?, ?> kind) {
    Map<String, List<Transaction>> transactions = new TreeMap<>();
    Map<Object, List<Place>> placesOf = new HashMap<>();
    for (String workspaceId : log.workspaces()) {
      List<Transaction> mine = new ArrayList<>();
      List<AuditEvent> events = log.events(workspaceId);
      int index = 0;
      while (index < events.size()) {
        long first = events.get(index).getTxFirstSeq();
        List<Shown> shown = new ArrayList<>();
        int next = index;
        while (next < events.size() && events.get(next).getTxFirstSeq() == first) {
          shown.addAll(kind.shows(log, events.get(next)));
          next++;
        }
        if (!shown.isEmpty()) {
          Place place = new Place(workspaceId, mine.size());
          shown.forEach(
              one -> placesOf.computeIfAbsent(one.fact(), fact -> new ArrayList<>()).add(place));
          mine.add(new Transaction(workspaceId, first, events.get(next - 1).getSeq(), shown));
        }
        index = next;
      }
      transactions.put(workspaceId, mine);
    }
    return new Business(transactions, placesOf);
  }

  /** What is wrong with what a client was told; empty when nothing is. */
  List<String> complaints(StreamKind<?, ?> kind, List<Connection> connections) {
    List<String> complaints = new ArrayList<>();
    int begin = 0;
    for (int index = 1; index <= connections.size(); index++) {
      if (index == connections.size() || connections.get(index).from().isEmpty()) {
        new Chapter(kind, complaints, connections.subList(begin, index)).read();
        begin = index;
      }
    }
    List<Told> end = connections.get(connections.size() - 1).told();
    if (end.isEmpty() || end.get(end.size() - 1).content() != Told.Content.SYNCED) {
      complaints.add(kind + ": it never got in step in the end");
    }
    return complaints;
  }

  /** All that follows from one beginning without a cursor. */
  private final class Chapter {
    private final StreamKind<?, ?> kind;
    private final Business business;
    private final List<String> complaints;
    private final Map<String, Map<String, Integer>> stateAt = new HashMap<>();
    private final Map<String, Integer> earliestFirst = new HashMap<>();
    private final Map<String, Integer> latestFirst = new HashMap<>();
    private final List<Object> standing = new ArrayList<>();
    private final List<Connection> connections;
    private final Connection opening;
    private boolean openingIsOver;

    // The connection that is being read.
    private Connection connection;
    private int number;
    private Map<String, Integer> state = Map.of();
    private List<Told> parts = new ArrayList<>();
    private boolean synced;

    Chapter(StreamKind<?, ?> kind, List<String> complaints, List<Connection> connections) {
      this.kind = kind;
      this.business = business(kind);
      this.complaints = complaints;
      this.connections = connections;
      this.opening = connections.get(0);
      this.connection = opening;
    }

    /** The first transaction of a workspace that has not been told. */
    private int next(String workspaceId) {
      return state.getOrDefault(workspaceId, UNKNOWN);
    }

    private @Nullable Place place(Object fact) {
      return place(List.of(fact));
    }

    /**
     * Where something was said: what is said twice, at the first place that has not been told and
     * may read like this.
     */
    private @Nullable Place place(List<Object> facts) {
      List<Place> places = business.placesOf.getOrDefault(facts.get(0), List.of());
      List<Place> ahead =
          places.stream().filter(place -> place.index >= next(place.workspaceId)).toList();
      return ahead.stream()
          .filter(place -> fits(business.of(place.workspaceId).get(place.index).shown, facts))
          .findFirst()
          .or(() -> ahead.stream().findFirst())
          .orElse(places.isEmpty() ? null : places.get(places.size() - 1));
    }

    private void complain(String what) {
      complaints.add(kind + ", connection " + number + ": " + what);
    }

    void read() {
      for (Connection next : connections) {
        connection = next;
        number++;
        state = begin();
        parts = new ArrayList<>();
        synced = false;
        next.told().forEach(this::read);
        checkUnfinished();
        if (!next.end().isOk() && next.end().getCode() != Status.Code.CANCELLED
            || next.end().isOk() && !kind.mayEnd(log)) {
          complain("it ended with " + next.end());
        }
      }
      if (openingIsOver && kind.beginsWithWhatStands()) {
        checkWhatStands();
      }
    }

    private Map<String, Integer> begin() {
      if (connection.from().isEmpty()) {
        Map<String, Integer> beginning = new HashMap<>();
        for (String workspaceId : log.workspaces()) {
          beginning.put(workspaceId, kind.fromBeginning() ? 0 : UNKNOWN);
        }
        return beginning;
      }
      Map<String, Integer> known = stateAt.get(connection.from());
      if (known == null) {
        throw new AssertionError("the recording resumes behind a cursor that it was never told");
      }
      return new HashMap<>(known);
    }

    private void read(Told told) {
      switch (told.content()) {
        case ITEMS -> {
          if (told.facts().isEmpty()) {
            complain("a message tells nothing");
          }
          parts.add(told);
          if (!told.cursor().isEmpty()) {
            takeWhatStands();
            transaction(parts.stream().flatMap(part -> part.facts().stream()).toList());
            parts.clear();
          }
        }
        case SYNCED -> {
          takeWhatStands();
          if (!parts.isEmpty()) {
            complain("a transaction did not come to its end");
            parts.clear();
          }
          if (synced) {
            complain("it was in step twice");
          }
          synced = true;
          checkInStep();
        }
        case HEARTBEAT -> told.heads().forEach(this::checkHead);
      }
      if (!told.cursor().isEmpty()) {
        openingIsOver = true;
        stateAt.put(told.cursor(), new HashMap<>(state));
      } else if (told.content() != Told.Content.ITEMS) {
        complain("no cursor came with " + told.content());
      }
    }

    /**
     * What comes first over a connection without a cursor stands; but for what is the beginning of
     * the transaction that the first cursor comes with.
     */
    private void takeWhatStands() {
      if (openingIsOver || connection != opening || !kind.beginsWithWhatStands()) {
        return;
      }
      int last = parts.size() - 1;
      boolean endsWithTransaction = last >= 0 && !parts.get(last).cursor().isEmpty();
      int from = parts.size();
      if (endsWithTransaction && !parts.get(last).facts().isEmpty()) {
        Place place = place(parts.get(last).facts().get(0));
        from = last;
        while (from > 0
            && parts.get(from - 1).facts().stream()
                .allMatch(fact -> place != null && place.equals(place(fact)))) {
          from--;
        }
      }
      parts.subList(0, from).forEach(part -> standing.addAll(part.facts()));
      parts = new ArrayList<>(parts.subList(from, parts.size()));
    }

    private void transaction(List<Object> facts) {
      if (facts.isEmpty()) {
        return;
      }
      Place place = place(facts);
      if (place == null) {
        complain("it is not on the record: " + brief(facts.get(0)));
        return;
      }
      Transaction transaction = business.of(place.workspaceId).get(place.index);
      if (!fits(transaction.shown, facts)) {
        complain(
            "of "
                + name(transaction)
                + " it told "
                + brief(facts)
                + ", not "
                + brief(transaction.shown));
      }
      for (Object fact : facts) {
        kind.complaintAboutTime(fact, connection.openedAt()).ifPresent(this::complain);
      }
      int next = next(place.workspaceId);
      if (next == UNKNOWN) {
        begins(place, transaction);
      } else if (place.index < next) {
        complain(name(transaction) + " came again, or too late");
      } else {
        checkPassed(place.workspaceId, next, place.index, "before " + name(transaction));
      }
      state.put(place.workspaceId, Math.max(next, place.index + 1));
    }

    private boolean fits(List<Shown> shown, List<Object> facts) {
      int index = 0;
      for (Shown one : shown) {
        if (index < facts.size() && facts.get(index).equals(one.fact())) {
          index++;
        } else if (!one.mayBeLeftOut()) {
          return false;
        }
      }
      return index == facts.size();
    }

    /** The first of a workspace, of a stream that begins where the log ends. */
    private void begins(Place place, Transaction transaction) {
      String workspaceId = place.workspaceId;
      if (transaction.last <= opening.knownBefore().getOrDefault(workspaceId, 0L)) {
        complain(name(transaction) + " is older than the stream");
      }
      if (openingKnowsItsEnd()) {
        long end = opening.knownAfter().getOrDefault(workspaceId, 0L);
        List<Transaction> all = business.of(workspaceId);
        for (int index = 0; index < place.index; index++) {
          if (all.get(index).first > end && !all.get(index).mayBeLeftOut()) {
            complain("missed " + name(all.get(index)) + ", which came after it had begun");
          }
        }
      }
      earliestFirst.merge(workspaceId, place.index, Math::min);
      latestFirst.merge(workspaceId, place.index, Math::max);
      checkPassed(
          workspaceId,
          earliestFirst.getOrDefault(workspaceId, place.index),
          latestFirst.getOrDefault(workspaceId, place.index),
          "when it was resumed where it had begun");
    }

    private boolean openingKnowsItsEnd() {
      return !opening.knownAfter().isEmpty();
    }

    /** Nothing that must be told was passed over. */
    private void checkPassed(String workspaceId, int from, int to, String when) {
      List<Transaction> all = business.of(workspaceId);
      for (int index = from; index < to; index++) {
        if (!all.get(index).mayBeLeftOut()) {
          complain(
              "missed " + name(all.get(index)) + ": " + brief(all.get(index).shown) + " " + when);
        }
      }
    }

    /** In step means: all that somebody had been told of before it was opened has been told. */
    private void checkInStep() {
      for (String workspaceId : log.workspaces()) {
        long known = connection.knownBefore().getOrDefault(workspaceId, 0L);
        List<Transaction> all = business.of(workspaceId);
        int next = next(workspaceId);
        long begun =
            next != UNKNOWN || !openingKnowsItsEnd()
                ? 0
                : opening.knownAfter().getOrDefault(workspaceId, 0L);
        if (next == UNKNOWN && !openingKnowsItsEnd()) {
          continue;
        }
        for (int index = Math.max(next, 0); index < all.size(); index++) {
          Transaction transaction = all.get(index);
          if (transaction.last <= known
              && transaction.first > begun
              && !transaction.mayBeLeftOut()) {
            complain("in step without " + name(transaction) + ": " + brief(transaction.shown));
          }
        }
      }
    }

    private void checkHead(LogHead head) {
      List<AuditEvent> events = log.events(head.getWorkspaceId());
      if (head.getSeq() > events.size()
          || !events.get((int) head.getSeq() - 1).getHash().equals(head.getHash())) {
        complain("the log never ended at " + head);
      }
    }

    /** What a cut left half told must be the beginning of something. */
    private void checkUnfinished() {
      if (!openingIsOver && connection == opening) {
        return;
      }
      Place place = null;
      for (Told part : parts) {
        for (Object fact : part.facts()) {
          Place mine = place(fact);
          if (mine == null || place != null && !mine.equals(place)) {
            complain("a part of no transaction: " + brief(fact));
          } else if (mine.index < next(mine.workspaceId)) {
            complain("again, a part: " + brief(fact));
          }
          place = mine;
        }
      }
    }

    private void checkWhatStands() {
      number = 1;
      kind.complaintAboutOrder(log, standing).ifPresent(this::complain);
      Map<String, List<Object>> byWorkspace = new LinkedHashMap<>();
      for (Object fact : standing) {
        String workspaceId = kind.workspaceOf(log, fact);
        byWorkspace.computeIfAbsent(workspaceId, id -> new ArrayList<>()).add(fact);
      }
      for (String workspaceId : log.workspaces()) {
        checkWhatStands(workspaceId, byWorkspace.getOrDefault(workspaceId, List.of()));
        byWorkspace.remove(workspaceId);
      }
      byWorkspace.values().forEach(facts -> complain("nothing like it ever stood: " + facts));
    }

    /** It must have stood at one of the places where the stream may have begun. */
    private void checkWhatStands(String workspaceId, List<Object> facts) {
      List<Transaction> all = business.of(workspaceId);
      long known = opening.knownBefore().getOrDefault(workspaceId, 0L);
      long end =
          openingKnowsItsEnd()
              ? opening.knownAfter().getOrDefault(workspaceId, 0L)
              : log.events(workspaceId).size();
      int from = 0;
      while (from < all.size() && all.get(from).last <= known) {
        from++;
      }
      int to = from;
      while (to < all.size() && all.get(to).first <= end) {
        to++;
      }
      Integer first = earliestFirst.get(workspaceId);
      if (first != null) {
        to = Math.min(to, first);
        int back = first;
        while (back > from && all.get(back - 1).mayBeLeftOut()) {
          back--;
        }
        from = back;
      }
      Optional<String> complaint = Optional.of("it begins nowhere in " + workspaceId);
      for (int place = from; place <= to && complaint.isPresent(); place++) {
        long position = place == 0 ? 0 : all.get(place - 1).last;
        long before = place == all.size() ? Long.MAX_VALUE : all.get(place).first;
        complaint = kind.complaintAboutWhatStands(log, workspaceId, position, before, facts);
      }
      complaint.ifPresent(this::complain);
    }

    private String name(Transaction transaction) {
      return transaction.workspaceId + " " + transaction.first + " to " + transaction.last;
    }

    private String brief(Object facts) {
      String text = facts.toString().replaceAll("\\s+", " ");
      return text.length() > 400 ? text.substring(0, 400) + "…" : text;
    }
  }
}
