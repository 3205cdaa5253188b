package dev.pmbot.store;

import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;

/**
 * The database.
 *
 * <p>A write must be whole or undone; must be completed only after its commit; must, once completed
 * well, survive the end of the program; must not be visible to any other unit before the units
 * ahead of it. A read must see one state of the database, with every write that completed before it
 * began.
 */
public interface Store extends AutoCloseable {
  /** Never given up: for units that no caller can take back. */
  BooleanSupplier NEVER = () -> false;

  /**
   * Does a unit of work in a transaction that writes.
   *
   * @param actor who it is done for, as the audit log names them
   * @param abandoned whether the caller has gone; asked just before the unit's turn
   * @return completed on a thread of the store after the commit; else failed with what the work
   *     threw, or with a {@link StoreException}
   */
  <T> CompletableFuture<T> write(String actor, BooleanSupplier abandoned, Work<T> work);

  /**
   * Does a unit of work in a transaction that only reads, on a thread of the store.
   *
   * @param abandoned whether the caller has gone; asked just before the unit's turn
   * @return failed with what the work threw, or with a {@link StoreException}
   */
  <T> CompletableFuture<T> read(BooleanSupplier abandoned, Work<T> work);

  /** Does a unit of work that only reads, and that no caller can take back. */
  default <T> CompletableFuture<T> read(Work<T> work) {
    return read(NEVER, work);
  }

  /** How many units wait for their turn to write. */
  int waitingWrites();

  /**
   * How much the database takes on the disk.
   *
   * @param databaseBytes the database itself
   * @param logBytes what it writes ahead
   */
  record Size(long databaseBytes, long logBytes) {}

  /** How much the database takes on the disk now; cheap, however large it is. */
  Size size();

  /** Names this database's history: cursors are bound to it. */
  String incarnation();

  /** The newest migration that the database has. */
  String schemaVersion();

  /** Finishes what is waiting, writes the log back into the database, and closes it. */
  @Override
  void close();
}
