package dev.pmbot.kit;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.MethodDescriptor;
import java.util.concurrent.TimeUnit;

/** A call without a deadline would let a test hang where it should fail. */
final class Deadlines implements ClientInterceptor {
  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(
      MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    return next.newCall(
        method,
        options.getDeadline() == null && method.getType().serverSendsOneMessage()
            ? options.withDeadlineAfter(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)
            : options);
  }
}
