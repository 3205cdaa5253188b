package dev.pmbot.feed;

import dev.pmbot.v1.AuditEvent;
import dev.pmbot.wire.Principal.Role;
import io.grpc.MethodDescriptor;
import java.util.List;
import java.util.Optional;

/**
 * One kind of stream: how it is opened, and what of the log it must tell. What holds for all of
 * them (order, no gap, no repetition, whole transactions, cursors) is the {@link
 * StreamValidator}'s.
 *
 * @param <Q> what it takes
 * @param <R> its messages
 */
interface StreamKind<Q, R> {
  /** Who follows it. */
  Role role();

  /** How it is called. */
  MethodDescriptor<Q, R> method();

  /** What to open it with, behind a cursor or without one. */
  Q request(String cursor);

  /** What a message told. */
  Told told(R message);

  /** Whether, without a cursor, it begins at the log's beginning. */
  default boolean fromBeginning() {
    return false;
  }

  /**
   * Something that a stream must tell.
   *
   * @param mayBeLeftOut if it was of no use any more when its turn came
   */
  record Shown(Object fact, boolean mayBeLeftOut) {
    static List<Shown> always(Object fact) {
      return List.of(new Shown(fact, false));
    }
  }

  /** What it must tell of an event; nothing, if it is none of its business. */
  List<Shown> shows(RecordedLog log, AuditEvent event);

  /** Whether the server may end it, for what it follows has come to an end. */
  default boolean mayEnd(RecordedLog log) {
    return false;
  }

  /** Whether, without a cursor, it begins with what stands, before anything carries a cursor. */
  default boolean beginsWithWhatStands() {
    return false;
  }

  /** In which workspace something that stands is. */
  default String workspaceOf(RecordedLog log, Object fact) {
    throw new UnsupportedOperationException();
  }

  /**
   * What is wrong with what was said to stand in one workspace.
   *
   * @param position the log was read up to this seq, or further
   * @param before but not up to this one
   */
  default Optional<String> complaintAboutWhatStands(
      RecordedLog log, String workspaceId, long position, long before, List<Object> facts) {
    return Optional.empty();
  }

  /** What is wrong with the order in which it was said what stands. */
  default Optional<String> complaintAboutOrder(RecordedLog log, List<Object> facts) {
    return Optional.empty();
  }

  /** Why something must not be told over a connection that was opened at that time. */
  default Optional<String> complaintAboutTime(Object fact, long openedAt) {
    return Optional.empty();
  }
}
