package dev.pmbot.wire;

import io.grpc.Context;
import io.grpc.MethodDescriptor;
import java.util.function.Supplier;

/** What the interceptors found out about a call, for whoever handles it. */
public final class CallContext {
  /** Who calls; set by the access check. */
  public static final Context.Key<Principal> PRINCIPAL = Context.key("pmbot-principal");

  /** What is called, with the marshallers of its messages. */
  static final Context.Key<MethodDescriptor<?, ?>> METHOD = Context.key("pmbot-method");

  private CallContext() {}

  /** Who calls. */
  public static Principal principal() {
    return PRINCIPAL.get();
  }

  /** Goes on with a call on another thread. */
  public static <T> T in(Context context, Supplier<T> work) {
    Context before = context.attach();
    try {
      return work.get();
    } finally {
      context.detach(before);
    }
  }
}
