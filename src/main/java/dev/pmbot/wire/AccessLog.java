package dev.pmbot.wire;

/** Where refused callers are put on the record. */
@FunctionalInterface
public interface AccessLog {
  /**
   * A call was refused for its token or role.
   *
   * @param peer where it came from
   * @param method the full name of the method
   * @param actor who it was, or {@code unknown}
   * @param reason why
   */
  void denied(String peer, String method, String actor, String reason);
}
