package dev.pmbot.wire;

import io.grpc.Context;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerStreamTracer;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.buffer.PooledByteBufAllocator;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.netty.shaded.io.netty.util.internal.PlatformDependent;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The memory that messages have while they come in, and while they wait for a client to take them.
 * Clients decide how long that is, and there is only so much of it. Were it used up, whichever
 * connection needed the next piece would be closed, be it the fault of others or not. So before
 * that, large messages are refused while they are still coming in, then large answers and further
 * calls: each with the reason, and only until there is room again.
 *
 * <p>As an interceptor, it is the one that refuses. What lies above it must take an end from any
 * thread, and a second end.
 */
public final class NetworkMemory extends ServerStreamTracer.Factory implements ServerInterceptor {
  private static final Context.Key<Arrival> ARRIVAL = Context.key("arrival");

  /** Of smaller messages there is room for many, and they are let go of at once. */
  private static final int LARGE_BYTES = 64 << 10;

  /**
   * What a client may send ahead of what was taken. Refusing takes a moment on a busy machine, and
   * meanwhile every connection may send as much: dozens must not use up the last third.
   */
  private static final int WINDOW_BYTES = 128 << 10;

  /** As gRPC has it: pieces of 2 MiB. */
  private static final int PIECE_ORDER = 8;

  private static final long LOOK_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

  private final PooledByteBufAllocator allocator =
      new PooledByteBufAllocator(
          true,
          PooledByteBufAllocator.defaultNumHeapArena(),
          PooledByteBufAllocator.defaultNumDirectArena(),
          PooledByteBufAllocator.defaultPageSize(),
          PIECE_ORDER,
          PooledByteBufAllocator.defaultSmallCacheSize(),
          PooledByteBufAllocator.defaultNormalCacheSize(),
          PooledByteBufAllocator.defaultUseCacheForAllThreads());
  // Well below all of it: pieces that are used in part are used.
  private final long mostForArriving = PlatformDependent.maxDirectMemory() / 3;
  private final long most = PlatformDependent.maxDirectMemory() / 2;
  private final Executor threads;
  private volatile long used;
  private volatile long lookedAt = System.nanoTime();

  /** With threads for ending calls. */
  public NetworkMemory(Executor threads) {
    this.threads = threads;
  }

  /** Lets a server have its messages here. */
  public NettyServerBuilder attachTo(NettyServerBuilder builder) {
    return builder
        .withChildOption(ChannelOption.ALLOCATOR, allocator)
        .flowControlWindow(WINDOW_BYTES)
        .addStreamTracerFactory(this);
  }

  /** Whether it was used up a moment ago: asked for each call. */
  private boolean isShort() {
    long now = System.nanoTime();
    if (now - lookedAt > LOOK_AGAIN_NANOS) {
      lookedAt = now;
      used = allocator.pinnedDirectMemory();
    }
    return used > most;
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    if (isShort()) {
      throw Problem.noMemory();
    }
    Answering<Q, R> answering = new Answering<>(call);
    ServerCall.Listener<Q> handler = next.startCall(answering, headers);
    answering.handler = handler;
    Arrival arrival = ARRIVAL.get();
    if (arrival != null) {
      arrival.call = answering;
    }
    return handler;
  }

  private final class Answering<Q, R> extends SimpleForwardingServerCall<Q, R> {
    private volatile ServerCall.@Nullable Listener<Q> handler;

    Answering(ServerCall<Q, R> call) {
      super(call);
    }

    @Override
    public void sendMessage(R message) {
      if (isLarge(message) && allocator.pinnedDirectMemory() > most) {
        end(
            getMethodDescriptor().getType().serverSendsOneMessage()
                ? Problem.outcomeUnknown(
                    "there is no memory for the answer at present; ask again with the same"
                        + " request_id")
                : Problem.noMemory());
        leave();
        return;
      }
      super.sendMessage(message);
    }

    void end(Problem problem) {
      Statuses.close(this, problem);
    }

    /** Nobody below learns otherwise that the call is over; an upload has a file to let go of. */
    void leave() {
      ServerCall.Listener<Q> told = handler;
      if (told != null) {
        told.onCancel();
      }
    }
  }

  /** An answer is still to be encoded; it knows how large it will be. */
  private static boolean isLarge(Object message) {
    try {
      return message instanceof InputStream encoded && encoded.available() > LARGE_BYTES;
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
  }

  @Override
  public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
    return new Arrival();
  }

  /** The message of one call that is coming in. All but refusing is done by its connection. */
  private final class Arrival extends ServerStreamTracer {
    private volatile @Nullable Answering<?, ?> call;
    private long bytes;
    private long lookedAtBytes;
    private boolean refusing;
    private boolean arrived;

    @Override
    public Context filterContext(Context context) {
      return context.withValue(ARRIVAL, this);
    }

    @Override
    public void inboundWireSize(long more) {
      bytes += more;
      if (bytes - lookedAtBytes < LARGE_BYTES) {
        return;
      }
      lookedAtBytes = bytes;
      if (!refusing && allocator.pinnedDirectMemory() > mostForArriving) {
        refusing = true;
        synchronized (this) {
          arrived = false;
        }
        threads.execute(this::refuse);
      }
    }

    @Override
    public void inboundMessageRead(int number, long wireBytes, long unpackedBytes) {
      bytes = 0;
      lookedAtBytes = 0;
      if (refusing) {
        refusing = false;
        synchronized (this) {
          arrived = true;
        }
      }
    }

    private void refuse() {
      Answering<?, ?> refused = call;
      if (refused == null) {
        return;
      }
      // What has arrived may be carried out already, and then it was not refused.
      synchronized (this) {
        if (arrived) {
          return;
        }
        refused.end(Problem.noMemory());
      }
      refused.leave();
    }
  }
}
