package dev.pmbot.wire;

import com.google.protobuf.Message;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.util.List;

/** The innermost interceptor: no handler sees a message that breaks a rule of the contract. */
public final class FieldsInterceptor implements ServerInterceptor {
  private final Fields fields;

  /** With the rules. */
  public FieldsInterceptor(Fields fields) {
    this.fields = fields;
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    Context context = Context.current().withValue(CallContext.METHOD, call.getMethodDescriptor());
    return new SimpleForwardingServerCallListener<>(
        Contexts.interceptCall(context, call, headers, next)) {
      @Override
      public void onMessage(Q message) {
        if (message instanceof Message request) {
          List<Violation> violations = fields.violations(request);
          if (!violations.isEmpty()) {
            throw Problem.invalidFields(violations);
          }
        }
        super.onMessage(message);
      }
    };
  }
}
