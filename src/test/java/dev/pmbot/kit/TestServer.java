package dev.pmbot.kit;

import dev.pmbot.ControlPlane;
import dev.pmbot.config.Config;
import dev.pmbot.config.LogLevel;
import dev.pmbot.files.CrashPoints;
import dev.pmbot.store.Synchronous;
import dev.pmbot.store.Time;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;

/**
 * A whole server on a free port, with connections to it.
 *
 * <pre>{@code
 * try (TestServer server = TestServer.in(folder)) {
 *   server.as(Role.OPERATOR).workspaces().createWorkspace(…);
 * }
 * }</pre>
 */
public final class TestServer implements AutoCloseable {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> WORKER_ID =
      Metadata.Key.of("pmbot-worker-id", Metadata.ASCII_STRING_MARSHALLER);

  private final Path home;
  private final boolean homeIsOurs;
  private final TestTime testTime;
  private final Time time;
  private final CrashPoints crashPoints;
  private final Config.Limits limits;
  private final Duration longestStop;
  private final Map<Role, Client> clients = new ConcurrentHashMap<>();
  private final List<ManagedChannel> connections = new CopyOnWriteArrayList<>();
  private ControlPlane controlPlane;
  private boolean running;

  private TestServer(
      Path home, boolean homeIsOurs, TestTime testTime, Time time, CrashPoints crashPoints) {
    this(home, homeIsOurs, testTime, time, crashPoints, Config.Limits.DEFAULT, Config.LONGEST_STOP);
  }

  private TestServer(
      Path home,
      boolean homeIsOurs,
      TestTime testTime,
      Time time,
      CrashPoints crashPoints,
      Config.Limits limits,
      Duration longestStop) {
    this.limits = limits;
    this.longestStop = longestStop;
    this.home = home;
    this.homeIsOurs = homeIsOurs;
    this.testTime = testTime;
    this.time = time;
    this.crashPoints = crashPoints;
    this.controlPlane = open();
    this.running = true;
  }

  /** A server whose home is that folder, with clocks that stand still until the test turns them. */
  public static TestServer in(Path home) {
    return in(home, CrashPoints.NONE);
  }

  /** A server that tells when it reaches a crash point. */
  public static TestServer in(Path home, CrashPoints crashPoints) {
    return in(home, new TestTime(), crashPoints);
  }

  /** A server that tells so, with clocks that its listener may turn. */
  public static TestServer in(Path home, TestTime time, CrashPoints crashPoints) {
    return new TestServer(home, false, time, time, crashPoints);
  }

  /** A server with other limits. */
  public static TestServer in(Path home, Config.Limits limits) {
    TestTime time = new TestTime();
    return new TestServer(home, false, time, time, CrashPoints.NONE, limits, Config.LONGEST_STOP);
  }

  /** A server that waits so long, when it stops, for calls that are under way. */
  public static TestServer in(Path home, CrashPoints crashPoints, Duration longestStop) {
    TestTime time = new TestTime();
    return new TestServer(home, false, time, time, crashPoints, Config.Limits.DEFAULT, longestStop);
  }

  /** A server with other clocks. */
  public static TestServer in(Path home, Time time) {
    TestTime turned = time instanceof TestTime testTime ? testTime : null;
    return new TestServer(home, false, turned, time, CrashPoints.NONE);
  }

  /** A server in a folder of its own, which goes when the server goes. */
  public static TestServer start() {
    try {
      Path home = Files.createTempDirectory("pmbot-test");
      TestTime time = new TestTime();
      return new TestServer(home, true, time, time, CrashPoints.NONE);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private ControlPlane open() {
    try {
      // The user's discovery file goes below the home too: a test must not tell the machine's own
      // clients of its server.
      Map<String, String> environment =
          Map.of("XDG_RUNTIME_DIR", home.resolve("runtime").toAbsolutePath().toString());
      Config config =
          new Config(
              dataDirectory(),
              "127.0.0.1",
              0,
              Synchronous.NORMAL,
              LogLevel.INFO,
              limits,
              longestStop);
      return new ControlPlane(config, time, environment, crashPoints);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The server's data directory. */
  public Path dataDirectory() {
    return home.resolve("data");
  }

  /** The server's database file. Look at it only while the server is stopped, or at a copy. */
  public Path database() {
    return dataDirectory().resolve("control_plane").resolve("pmbot.sqlite3");
  }

  /** The clocks that the test turns. */
  public TestTime time() {
    if (testTime == null) {
      throw new IllegalStateException("this server was given other clocks");
    }
    return testTime;
  }

  /** Host and port. */
  public String address() {
    return controlPlane.address();
  }

  /** The server itself. */
  public ControlPlane controlPlane() {
    return controlPlane;
  }

  /** The token of a role, as its file has it now. */
  public String token(Role role) {
    try {
      return Files.readString(controlPlane.tokenFile(role)).strip();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The services as a role may call them. Valid until the server restarts. */
  public Client as(Role role) {
    return clients.computeIfAbsent(
        role, wanted -> with(Optional.of("Bearer " + token(wanted)), Optional.empty()));
  }

  /** The services as a worker may call them who says who it is. */
  public Client asWorker(String workerId) {
    return with(Optional.of("Bearer " + token(Role.WORKER)), Optional.of(workerId));
  }

  /** The services as somebody may call them who sends this as authorization, or none. */
  public Client with(Optional<String> authorization) {
    return with(authorization, Optional.empty());
  }

  private Client with(Optional<String> authorization, Optional<String> workerId) {
    Metadata headers = new Metadata();
    authorization.ifPresent(text -> headers.put(AUTHORIZATION, text));
    workerId.ifPresent(text -> headers.put(WORKER_ID, text));
    ManagedChannel connection = connect();
    Channel channel =
        ClientInterceptors.intercept(
            connection, MetadataUtils.newAttachHeadersInterceptor(headers), new Deadlines());
    return Client.over(connection, channel);
  }

  /** A connection of its own, which is closed with the server. */
  public ManagedChannel connect() {
    ManagedChannel connection =
        Grpc.newChannelBuilder(controlPlane.address(), InsecureChannelCredentials.create())
            .maxInboundMessageSize(16 << 20)
            .build();
    connections.add(connection);
    return connection;
  }

  /** Stops the server, then starts one in the same data directory. Clients made before are done. */
  public void restart() {
    stop();
    start(untouched -> {});
  }

  /** Stops the server, lets somebody do something to its stopped files, and starts one again. */
  public void restart(FileChange change) {
    stop();
    start(change);
  }

  private void start(FileChange change) {
    if (testTime != null) {
      // A restart takes a moment: what is made after it is younger than what was made before.
      testTime.advance(Duration.ofMillis(1));
    }
    try {
      change.to(dataDirectory());
    } catch (Exception failure) {
      throw new IllegalStateException("the files could not be changed", failure);
    }
    controlPlane = open();
    running = true;
  }

  /** What is done to the files of a stopped server. */
  @FunctionalInterface
  public interface FileChange {
    /** Does it, given the data directory. */
    void to(Path dataDirectory) throws Exception;
  }

  /** Stops the server as SIGTERM does, while clients are connected. */
  public void stop() {
    if (running) {
      running = false;
      controlPlane.close();
    }
    disconnect();
  }

  private void disconnect() {
    clients.clear();
    connections.forEach(ManagedChannel::shutdownNow);
    connections.clear();
  }

  /** Disconnects every client, then stops. */
  @Override
  public void close() {
    disconnect();
    stop();
    if (homeIsOurs) {
      delete(home);
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }
}
