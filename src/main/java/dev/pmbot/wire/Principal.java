package dev.pmbot.wire;

import org.jspecify.annotations.Nullable;

/** Who a call comes from, as its token and the worker's own word say. */
public record Principal(Role role, @Nullable String workerId) {
  /** The operator, in the specification's word. */
  public static final String LOCAL_USER = "local_user";

  /** What the server does by itself. */
  public static final String SYSTEM = "system";

  /** What a token lets its bearer do; each may do all that the ones before it may. */
  public enum Role {
    /** May look. */
    READER,
    /** May carry out runs. */
    WORKER,
    /** May decide. */
    OPERATOR
  }

  /** Whose request ids these are: the token's bearer, whatever they call themselves. */
  public String name() {
    return switch (role) {
      case OPERATOR -> LOCAL_USER;
      case WORKER -> "worker";
      case READER -> "reader";
    };
  }

  /** How the audit log names them. */
  public String actor() {
    return role == Role.WORKER && workerId != null ? worker(workerId) : name();
  }

  /** How the audit log names a worker. */
  public static String worker(String workerId) {
    return "worker:" + workerId;
  }
}
