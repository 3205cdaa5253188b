package dev.pmbot.kit;

import static org.junit.jupiter.api.Assertions.fail;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** One open stream, and everything that came over it. */
public final class Recording<R> implements AutoCloseable {
  private final List<R> messages = new ArrayList<>();
  private final ClientCall<?, R> call;
  private final boolean reading;
  private boolean headers;
  private Status status;
  private Metadata trailers;

  private <Q> Recording(
      Channel channel, MethodDescriptor<Q, R> method, Q request, boolean reading) {
    ClientCall<Q, R> opened = channel.newCall(method, CallOptions.DEFAULT);
    this.call = opened;
    this.reading = reading;
    opened.start(new Listener(), new Metadata());
    if (request != null) {
      opened.sendMessage(request);
      opened.halfClose();
    }
    if (reading) {
      opened.request(1);
    }
  }

  /** Opens a stream and reads all that comes. */
  public static <Q, R> Recording<R> of(Channel channel, MethodDescriptor<Q, R> method, Q request) {
    return new Recording<>(channel, method, request, true);
  }

  /** Opens a call and sends nothing, as if more were to come. */
  public static <R> Recording<R> open(Channel channel, MethodDescriptor<?, R> method) {
    return new Recording<>(channel, method, null, true);
  }

  /** Opens a stream whose client does not read, until it asks for messages. */
  public static <Q, R> Recording<R> notReading(
      Channel channel, MethodDescriptor<Q, R> method, Q request) {
    return new Recording<>(channel, method, request, false);
  }

  private final class Listener extends ClientCall.Listener<R> {
    @Override
    public void onHeaders(Metadata received) {
      synchronized (messages) {
        headers = true;
        messages.notifyAll();
      }
    }

    @Override
    public void onMessage(R message) {
      synchronized (messages) {
        messages.add(message);
        messages.notifyAll();
      }
      if (reading) {
        call.request(1);
      }
    }

    @Override
    public void onClose(Status closed, Metadata received) {
      synchronized (messages) {
        status = closed;
        trailers = received;
        messages.notifyAll();
      }
    }
  }

  /** Asks for so many messages more; for a stream that does not read by itself. */
  public void request(int count) {
    call.request(count);
  }

  /** What has come so far. */
  public List<R> messages() {
    synchronized (messages) {
      return List.copyOf(messages);
    }
  }

  /** Whether the stream stands: the server has said so, even if there is nothing to send yet. */
  public boolean hasHeaders() {
    synchronized (messages) {
      return headers;
    }
  }

  /** Whether it is over. */
  public boolean hasEnded() {
    synchronized (messages) {
      return status != null;
    }
  }

  /** Waits until what has come satisfies a condition; what had come then. */
  public List<R> await(String what, Predicate<List<R>> enough) {
    long deadline = System.nanoTime() + Await.PATIENCE.toNanos();
    synchronized (messages) {
      while (!enough.test(messages)) {
        if (status != null) {
          return fail("the stream ended with " + status + " before: " + what + "; " + messages);
        }
        waitForMore(what, deadline);
      }
      return List.copyOf(messages);
    }
  }

  /** Waits for the first message that satisfies a condition. */
  public R awaitMessage(String what, Predicate<R> wanted) {
    return await(what, all -> all.stream().anyMatch(wanted)).stream()
        .filter(wanted)
        .findFirst()
        .orElseThrow();
  }

  /** Waits for the end of the stream, which must come. */
  public Status awaitEnd() {
    long deadline = System.nanoTime() + Await.PATIENCE.toNanos();
    synchronized (messages) {
      while (status == null) {
        waitForMore("the end of the stream", deadline);
      }
      return status;
    }
  }

  /** Waits for the refusal that ends the stream. */
  public Failures.Refusal awaitRefusal() {
    awaitEnd();
    synchronized (messages) {
      return Failures.read(new StatusRuntimeException(status, trailers));
    }
  }

  private void waitForMore(String what, long deadline) {
    long left = deadline - System.nanoTime();
    if (left <= 0) {
      fail("waited in vain: " + what + "; so far " + messages.size() + " messages: " + messages);
    }
    try {
      TimeUnit.NANOSECONDS.timedWait(messages, left);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      fail("interrupted while waiting: " + what);
    }
  }

  /** Goes away without a word to the server but a cancel. */
  public void cancel() {
    call.cancel("the test has seen enough", null);
  }

  @Override
  public void close() {
    cancel();
  }
}
