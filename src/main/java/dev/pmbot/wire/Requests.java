package dev.pmbot.wire;

import dev.pmbot.store.Tx;

/** What is remembered of requests whose time is over, until it is forgotten. */
public final class Requests {
  private Requests() {}

  /** Forgets some of them, the oldest first; how many. */
  public static int forget(Tx tx, int limit) {
    return tx.mapper(RequestMapper.class).forgetExpired(tx.now(), limit);
  }

  /** How many there are; counts no further than a limit. */
  public static int expired(Tx tx, int limit) {
    return tx.mapper(RequestMapper.class).expired(tx.now(), limit);
  }
}
