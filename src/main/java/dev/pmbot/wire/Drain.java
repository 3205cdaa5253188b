package dev.pmbot.wire;

import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Knows which calls are under way. From the moment the server stops it lets no further one in, and
 * it tells when the last has its answer. Those that get none in time are told to come again: gRPC's
 * own way to end them would look to the client as if it had given up itself.
 */
public final class Drain implements ServerInterceptor {
  private final Predicate<String> always;
  private final Set<UnderWay<?, ?>> open = ConcurrentHashMap.newKeySet();
  private final AtomicInteger unanswered = new AtomicInteger();
  private final Object lock = new Object();
  private volatile boolean closing;

  /**
   * With the services that answer to the last, and for whose calls nobody waits: who watches a
   * server's health watches it for ever.
   *
   * @param always whether a service of this name is one
   */
  public Drain(Predicate<String> always) {
    this.always = always;
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    String service = String.valueOf(call.getMethodDescriptor().getServiceName());
    UnderWay<Q, R> underWay = new UnderWay<>(call, !always.test(service));
    boolean begun = false;
    try {
      // Counted before it is looked whether the server stops: whoever waits for the last call has
      // either seen this one, or it sees that it comes too late.
      if (closing && underWay.counts) {
        throw Problem.shuttingDown();
      }
      ServerCall.Listener<Q> listener = underWay.heardBy(next.startCall(underWay, headers));
      begun = true;
      return listener;
    } finally {
      if (!begun) {
        underWay.over();
      }
    }
  }

  /** Lets no further call in. */
  public void close() {
    closing = true;
  }

  /** Calls that have no answer yet. */
  public int unanswered() {
    return unanswered.get();
  }

  /** Waits until every call has its answer, but not longer than that; whether they have. */
  public boolean awaitAnswered(Duration longest) throws InterruptedException {
    long deadline = System.nanoTime() + longest.toNanos();
    synchronized (lock) {
      while (unanswered.get() > 0) {
        long millis = (deadline - System.nanoTime()) / 1_000_000;
        if (millis <= 0) {
          return false;
        }
        lock.wait(millis);
      }
    }
    return true;
  }

  /** Ends every call that has no answer yet. */
  public void cut() {
    open.forEach(UnderWay::cut);
  }

  /**
   * One call, until it has its answer. Whoever answers it and whoever cuts it are different
   * threads; what comes after the first end is dropped.
   */
  private final class UnderWay<Q, R> extends SimpleForwardingServerCall<Q, R> {
    final boolean counts;
    private ServerCall.@Nullable Listener<Q> handler;
    private boolean asked;
    private boolean closed;

    UnderWay(ServerCall<Q, R> call, boolean counts) {
      super(call);
      this.counts = counts;
      open.add(this);
      if (counts) {
        unanswered.incrementAndGet();
      }
    }

    ServerCall.Listener<Q> heardBy(ServerCall.Listener<Q> listener) {
      synchronized (this) {
        handler = listener;
      }
      return new SimpleForwardingServerCallListener<>(listener) {
        @Override
        public void onHalfClose() {
          synchronized (UnderWay.this) {
            asked = true;
          }
          super.onHalfClose();
        }

        @Override
        public void onCancel() {
          over();
          super.onCancel();
        }

        @Override
        public void onComplete() {
          over();
          super.onComplete();
        }
      };
    }

    @Override
    public synchronized void sendHeaders(Metadata headers) {
      if (!closed) {
        super.sendHeaders(headers);
      }
    }

    @Override
    public synchronized void sendMessage(R message) {
      if (!closed) {
        super.sendMessage(message);
      }
    }

    @Override
    public void close(Status status, Metadata trailers) {
      synchronized (this) {
        if (closed) {
          return;
        }
        closed = true;
        super.close(status, trailers);
      }
      over();
    }

    void cut() {
      ServerCall.Listener<Q> told;
      boolean mayBeStored;
      synchronized (this) {
        told = closed ? null : handler;
        mayBeStored = asked && getMethodDescriptor().getType().serverSendsOneMessage();
      }
      if (told != null) {
        Statuses.close(
            this,
            mayBeStored
                ? Problem.outcomeUnknown(
                    "the server stops, and has not done this yet; ask again with the same request_id")
                : Problem.shuttingDown());
        // Nobody below learns otherwise that the call is over; an upload has a file to let go of.
        told.onCancel();
      }
    }

    /** It has its answer, or wants none any more. */
    void over() {
      if (open.remove(this) && counts) {
        unanswered.decrementAndGet();
        if (closing) {
          synchronized (lock) {
            lock.notifyAll();
          }
        }
      }
    }
  }
}
