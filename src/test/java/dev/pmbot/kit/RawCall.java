package dev.pmbot.kit;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Calls a method with bytes that no stub would send. */
public final class RawCall {
  private RawCall() {}

  /**
   * How a call went.
   *
   * @param accepted whether the server answered with a message, or a stream stood
   */
  public record Outcome(boolean accepted, Status status, Metadata trailers) {
    /** What it was refused with. */
    public Failures.Refusal refusal() {
      return Failures.read(new StatusRuntimeException(status, trailers));
    }
  }

  /** Sends these messages and waits for an answer, a standing stream, or a refusal. */
  public static Outcome make(
      Channel channel, Methods.Method method, CallOptions options, List<byte[]> messages) {
    MethodDescriptor<byte[], byte[]> raw =
        MethodDescriptor.<byte[], byte[]>newBuilder()
            .setFullMethodName(method.descriptor().getFullMethodName())
            .setType(MethodDescriptor.MethodType.UNKNOWN)
            .setRequestMarshaller(Bytes.AS_THEY_ARE)
            .setResponseMarshaller(Bytes.AS_THEY_ARE)
            .build();
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    ClientCall<byte[], byte[]> call = channel.newCall(raw, options);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(byte[] message) {
            outcome.complete(new Outcome(true, Status.OK, new Metadata()));
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            outcome.complete(new Outcome(status.isOk(), status, trailers));
          }
        },
        new Metadata());
    call.request(1);
    for (byte[] message : messages) {
      call.sendMessage(message);
    }
    call.halfClose();
    Outcome result = Await.value("an answer of " + method, outcome);
    call.cancel("the test has seen enough", null);
    return result;
  }
}
