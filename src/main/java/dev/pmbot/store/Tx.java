package dev.pmbot.store;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.ibatis.session.SqlSession;

/** One transaction, as the work in it sees it. Not to be kept after the work has returned. */
public final class Tx {
  private final SqlSession session;
  private final long now;
  private final Shared shared;
  private final boolean tentative;
  private final Map<Class<?>, Object> attachments = new HashMap<>();
  private final List<Runnable> beforeEnd = new ArrayList<>();
  private final List<Runnable> afterCommit = new ArrayList<>();
  private String actor;

  /** For work that has a transaction to itself, or a part of one that can be undone alone. */
  Tx(SqlSession session, String actor, long now) {
    this(session, actor, now, new Shared(), false);
  }

  Tx(SqlSession session, String actor, long now, Shared shared, boolean tentative) {
    this.session = session;
    this.actor = actor;
    this.now = now;
    this.shared = shared;
    this.tentative = tentative;
  }

  /** What units that stand and fall together have in common. */
  static final class Shared {
    private final Map<Class<?>, Object> mappers = new HashMap<>();
    private final Map<Class<?>, Object> attachments = new HashMap<>();
    private final List<Runnable> beforeEnd = new ArrayList<>();

    void end() {
      beforeEnd.forEach(Runnable::run);
    }
  }

  /** A mapper that works in this transaction. */
  public <M> M mapper(Class<M> type) {
    return type.cast(shared.mappers.computeIfAbsent(type, session::getMapper));
  }

  /** Who this is done for, as the audit log names them. */
  public String actor() {
    return actor;
  }

  /** Names more precisely who this is done for: the worker whose lease was checked. */
  public void actAs(String actor) {
    this.actor = actor;
  }

  /**
   * The one time of everything that happens in this transaction, in microseconds since the epoch.
   */
  public long now() {
    return now;
  }

  /** What one room keeps for the length of this transaction; made on first use. */
  public <A> A attachment(Class<A> type, Supplier<A> maker) {
    return type.cast(attachments.computeIfAbsent(type, ignored -> maker.get()));
  }

  /**
   * What one room keeps for all units that stand and fall with this one: those of a group, or this
   * one alone. When one of them fails, it is forgotten with all that they did.
   */
  public <A> A shared(Class<A> type, Supplier<A> maker) {
    return type.cast(shared.attachments.computeIfAbsent(type, ignored -> maker.get()));
  }

  /** Runs once the last of the units that share has ended; what it throws undoes them all. */
  public void beforeSharedEnd(Runnable action) {
    shared.beforeEnd.add(action);
  }

  /**
   * Whether the work is done again should it fail: then not tentatively. A check that hardly ever
   * finds something may wait until then, if its absence makes the work fail.
   */
  public boolean isTentative() {
    return tentative;
  }

  /** Runs as the last part of the transaction; what it throws undoes the whole. */
  public void beforeEnd(Runnable action) {
    beforeEnd.add(action);
  }

  /**
   * Runs once the transaction is committed, before anyone is answered, and never when it was
   * undone.
   */
  public void afterCommit(Runnable action) {
    afterCommit.add(action);
  }

  void end() {
    beforeEnd.forEach(Runnable::run);
    if (!tentative) {
      shared.end();
    }
  }

  List<Runnable> committed() {
    return afterCommit;
  }
}
