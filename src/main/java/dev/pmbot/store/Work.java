package dev.pmbot.store;

/**
 * A unit of work inside a transaction. It must be synchronous and short, must wait for nothing, and
 * must have no effect but through the {@link Tx}: it may be undone after it returned.
 */
@FunctionalInterface
public interface Work<T> {
  /** Does the work; what it throws undoes it. */
  T in(Tx tx);
}
