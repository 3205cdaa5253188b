package dev.pmbot.wire;

import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/**
 * The outermost interceptor: turns whatever is thrown below it into a status of the closed list,
 * and lets no UNKNOWN or INTERNAL out that the list does not know.
 */
public final class ErrorsInterceptor implements ServerInterceptor {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final int largestMessage;

  /** With the transport's limit on a message, in bytes. */
  public ErrorsInterceptor(int largestMessage) {
    this.largestMessage = largestMessage;
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    ConformingCall<Q, R> conforming = new ConformingCall<>(call, largestMessage);
    try {
      return new ConformingListener<>(conforming, next.startCall(conforming, headers));
    } catch (RuntimeException failure) {
      conforming.refuse(failure);
      return new ServerCall.Listener<>() {};
    }
  }

  private static final class ConformingCall<Q, R> extends SimpleForwardingServerCall<Q, R> {
    private final int largestMessage;
    private volatile boolean closed;

    ConformingCall(ServerCall<Q, R> delegate, int largestMessage) {
      super(delegate);
      this.largestMessage = largestMessage;
    }

    boolean isClosed() {
      return closed;
    }

    void refuse(Throwable failure) {
      if (!closed) {
        Statuses.close(this, explain(failure));
      }
    }

    /** A packed message is unpacked while it is parsed, and the limit shows only then. */
    private Throwable explain(Throwable failure) {
      return failure instanceof StatusRuntimeException status
              && status.getStatus().getCode() == Status.Code.RESOURCE_EXHAUSTED
          ? Problem.tooLarge("the message, unpacked", largestMessage)
          : failure;
    }

    @Override
    public void close(Status status, Metadata trailers) {
      boolean unexplained =
          (status.getCode() == Status.Code.UNKNOWN || status.getCode() == Status.Code.INTERNAL)
              && !trailers.containsKey(DETAILS);
      if (unexplained) {
        // gRPC's own stubs close so when a call that takes one message ends with none, or sends
        // two.
        String description = String.valueOf(status.getDescription());
        boolean messageCount =
            description.contains("Half-closed without a request")
                || description.contains("Too many requests");
        refuse(
            messageCount
                ? Problem.malformedMessage("this method takes exactly one message")
                : status.asRuntimeException());
        return;
      }
      closed = true;
      super.close(status, trailers);
    }
  }

  private static final class ConformingListener<Q, R>
      extends SimpleForwardingServerCallListener<Q> {
    private final ConformingCall<Q, R> call;

    ConformingListener(ConformingCall<Q, R> call, ServerCall.Listener<Q> delegate) {
      super(delegate);
      this.call = call;
    }

    private void guarded(Runnable callback) {
      if (call.isClosed()) {
        return;
      }
      try {
        callback.run();
      } catch (RuntimeException failure) {
        call.refuse(failure);
        // Nobody below learns otherwise that the call is over; an upload has a file to let go of.
        super.onCancel();
      }
    }

    @Override
    public void onMessage(Q message) {
      guarded(() -> super.onMessage(message));
    }

    @Override
    public void onHalfClose() {
      guarded(super::onHalfClose);
    }

    @Override
    public void onReady() {
      guarded(super::onReady);
    }
  }
}
