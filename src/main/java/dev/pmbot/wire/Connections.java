package dev.pmbot.wire;

import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.Channel;
import io.grpc.netty.shaded.io.netty.channel.ChannelHandlerContext;
import io.grpc.netty.shaded.io.netty.channel.ChannelInboundHandlerAdapter;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.IoHandlerFactory;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.ServerChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioServerSocketChannel;
import io.grpc.netty.shaded.io.netty.util.concurrent.DefaultThreadFactory;
import java.net.SocketAddress;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The connections that clients have. Each costs a file descriptor, and a process has only so many:
 * were all of them connections, the database could not open its file again, and no upload its own.
 * So there is a most. Of those who come beyond it a few at a time are let in for a moment, in which
 * each of their calls is refused with the reason; the others find their connection closed, and come
 * again at the pace that clients have for that.
 *
 * <p>As an interceptor, it is the one that refuses.
 */
public final class Connections implements ServerInterceptor, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Connections.class);
  private static final long TOLD_AGAIN_NANOS = TimeUnit.MINUTES.toNanos(1);
  private static final int MOST_BEYOND = 16;
  private static final long MOMENT_MILLIS = 1_000;
  // Each thread has a few descriptors of its own; where they are few, threads must be.
  private static final int CONNECTIONS_FOR_A_THREAD = 8;

  private final int most;
  private final EventLoopGroup acceptor;
  private final EventLoopGroup threads;
  private final AtomicInteger open = new AtomicInteger();
  private final Set<SocketAddress> beyond = ConcurrentHashMap.newKeySet();
  // Touched by the thread that accepts.
  private boolean told;
  private long toldAt;

  /** With the most that may be open at once. */
  public Connections(int most) {
    this.most = most;
    IoHandlerFactory io =
        Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory();
    int count =
        Math.min(
            2 * Runtime.getRuntime().availableProcessors(),
            Math.max(1, most / CONNECTIONS_FOR_A_THREAD));
    acceptor =
        new MultiThreadIoEventLoopGroup(1, new DefaultThreadFactory("pmbot-accept", true), io);
    threads =
        new MultiThreadIoEventLoopGroup(count, new DefaultThreadFactory("pmbot-net", true), io);
  }

  /** Lets a server have its connections here. */
  public NettyServerBuilder attachTo(NettyServerBuilder builder) {
    return builder
        .bossEventLoopGroup(acceptor)
        .workerEventLoopGroup(threads)
        .channelFactory(this::listener);
  }

  private ServerChannel listener() {
    ServerChannel channel =
        Epoll.isAvailable() ? new EpollServerSocketChannel() : new NioServerSocketChannel();
    channel.pipeline().addFirst(new Door());
    return channel;
  }

  /** Stands before whatever takes a connection that was accepted. */
  private final class Door extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext context, Object accepted) {
      Channel connection = (Channel) accepted;
      if (open.incrementAndGet() <= most) {
        connection.closeFuture().addListener(closed -> open.decrementAndGet());
      } else {
        open.decrementAndGet();
        tell();
        if (beyond.size() >= MOST_BEYOND) {
          connection.unsafe().closeForcibly();
          return;
        }
        SocketAddress address = connection.remoteAddress();
        beyond.add(address);
        connection.closeFuture().addListener(closed -> beyond.remove(address));
        context.executor().schedule(() -> connection.close(), MOMENT_MILLIS, TimeUnit.MILLISECONDS);
      }
      context.fireChannelRead(accepted);
    }
  }

  private void tell() {
    long now = System.nanoTime();
    if (!told || now - toldAt >= TOLD_AGAIN_NANOS) {
      told = true;
      toldAt = now;
      log.warn(
          "{} connections are open, all that the files which the system lets this process open"
              + " (ulimit -n) suffice for: whoever comes now is refused",
          most);
    }
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    SocketAddress address = call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR);
    if (address != null && beyond.contains(address)) {
      throw Problem.tooManyOpen("connections are open", most);
    }
    return next.startCall(call, headers);
  }

  /** Ends the threads, once the server has ended. */
  @Override
  public void close() {
    acceptor.shutdownGracefully(0, MOMENT_MILLIS, TimeUnit.MILLISECONDS);
    threads.shutdownGracefully(0, MOMENT_MILLIS, TimeUnit.MILLISECONDS);
  }
}
