package dev.pmbot.access;

import dev.pmbot.wire.AccessLog;
import dev.pmbot.wire.CallContext;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.Principal.Role;
import dev.pmbot.wire.Problem;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Lets a call pass whose token's role may make it, and names its principal; puts every other on the
 * record.
 */
public final class AccessInterceptor implements ServerInterceptor {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> WORKER_ID =
      Metadata.Key.of("pmbot-worker-id", Metadata.ASCII_STRING_MARSHALLER);
  private static final Pattern WORKER_ID_RULE =
      Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}");
  private static final String BEARER = "bearer ";

  private final Tokens tokens;
  private final AccessLog log;

  /** With the tokens, and the record of those who were refused. */
  public AccessInterceptor(Tokens tokens, AccessLog log) {
    this.tokens = tokens;
    this.log = log;
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    if (Roles.isOpen(call.getMethodDescriptor().getServiceName())) {
      return next.startCall(call, headers);
    }
    Context context = Context.current().withValue(CallContext.PRINCIPAL, admit(call, headers));
    return Contexts.interceptCall(context, call, headers, next);
  }

  private Principal admit(ServerCall<?, ?> call, Metadata headers) {
    String method = call.getMethodDescriptor().getFullMethodName();
    String token = token(headers.get(AUTHORIZATION));
    Role role = token == null ? null : tokens.role(token);
    if (role == null) {
      String message =
          token == null
              ? "no token came with the call; send metadata «authorization: Bearer TOKEN», the token being in the server's"
                  + " data directory below tokens/"
              : "no token of this server came with the call; those are in its data directory below tokens/";
      throw refuse(call, method, "unknown", "unauthenticated", Problem.unauthenticated(message));
    }
    Principal principal = new Principal(role, workerId(headers));
    Role required = Roles.required(method);
    if (required == null || role.compareTo(required) < 0) {
      String needed = required == null ? "nobody" : name(required);
      throw refuse(
          call,
          method,
          principal.actor(),
          "role",
          Problem.roleNotAllowed(method, name(role), needed));
    }
    return principal;
  }

  private Problem refuse(
      ServerCall<?, ?> call, String method, String actor, String reason, Problem problem) {
    log.denied(peer(call), method, actor, reason);
    return problem;
  }

  private static @Nullable String token(@Nullable String authorization) {
    return authorization != null && authorization.toLowerCase(Locale.ROOT).startsWith(BEARER)
        ? authorization.substring(BEARER.length()).strip()
        : null;
  }

  private static @Nullable String workerId(Metadata headers) {
    String workerId = headers.get(WORKER_ID);
    if (workerId != null && !WORKER_ID_RULE.matcher(workerId).matches()) {
      throw Problem.invalidField(
          "pmbot-worker-id", "must be 1 to 100 letters, digits, `.`, `_`, `:`, `@` and `-`");
    }
    return workerId;
  }

  private static String peer(ServerCall<?, ?> call) {
    SocketAddress address = call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR);
    return address instanceof InetSocketAddress internet
        ? internet.getAddress().getHostAddress()
        : String.valueOf(address);
  }

  private static String name(Role role) {
    return role.name().toLowerCase(Locale.ROOT);
  }
}
