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
  private final Map<Class<?>, Object> attachments = new HashMap<>();
  private final List<Runnable> beforeEnd = new ArrayList<>();
  private final List<Runnable> afterCommit = new ArrayList<>();
  private String actor;

  Tx(SqlSession session, String actor, long now) {
    this.session = session;
    this.actor = actor;
    this.now = now;
  }

  /** A mapper that works in this transaction. */
  public <M> M mapper(Class<M> type) {
    return session.getMapper(type);
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
  }

  List<Runnable> committed() {
    return afterCommit;
  }
}
