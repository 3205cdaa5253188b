package dev.pmbot.kit;

import dev.pmbot.Main;
import dev.pmbot.wire.Principal.Role;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/**
 * The program in a process of its own, which has less of something than it would like: memory,
 * files, room on the disk, time.
 */
public final class ConfinedServer implements AutoCloseable {
  private static final Duration LONGEST_START = Await.PATIENCE.multipliedBy(3);

  private final Path data;
  private final ChildJvm child;
  private final String address;
  private final Map<Role, Client> clients = new ConcurrentHashMap<>();
  private final List<ManagedChannel> connections = new CopyOnWriteArrayList<>();

  private ConfinedServer(Path data, ChildJvm child) {
    this.data = data;
    this.child = child;
    awaitServing();
    String first = child.output().get(0);
    this.address = first.substring(first.lastIndexOf(' ') + 1);
  }

  /** A server on a data directory, with options for Java. */
  public static ConfinedServer start(Path data, String... options) {
    return new ConfinedServer(data, launch("", data, options));
  }

  /** A server in a shell that has carried out a command: {@code ulimit} something. */
  public static ConfinedServer startAfter(String command, Path data, String... options) {
    return new ConfinedServer(data, launch(command, data, options));
  }

  /** One that need not come to serve. */
  public static ChildJvm launch(String command, Path data, String... options) {
    return ChildJvm.start(
        command.isEmpty()
            ? List.of()
            : List.of("/bin/sh", "-c", command + " && exec \"$0\" \"$@\""),
        List.of(options),
        Main.class,
        Map.of("XDG_RUNTIME_DIR", data.resolveSibling("runtime").toString()),
        "serve",
        "--data=" + data,
        "--port=0");
  }

  private void awaitServing() {
    long deadline = System.nanoTime() + LONGEST_START.toNanos();
    while (child.output().stream().noneMatch(line -> line.contains("Try:"))) {
      if (System.nanoTime() - deadline > 0 || !child.process().isAlive()) {
        child.close();
        throw new AssertionError("it does not serve: " + child.output() + child.errors());
      }
      try {
        Thread.sleep(5);
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        throw new AssertionError("interrupted while it starts", interrupted);
      }
    }
  }

  /** The process. */
  public ChildJvm child() {
    return child;
  }

  /** The data directory. */
  public Path dataDirectory() {
    return data;
  }

  /** The database file. */
  public Path database() {
    return data.resolve("control_plane").resolve("pmbot.sqlite3");
  }

  /** The services as a role may call them, over one connection for each role. */
  public Client as(Role role) {
    return clients.computeIfAbsent(role, this::connect);
  }

  /** The services as a role may call them, over a connection of its own. */
  public Client connect(Role role) {
    Client client = Client.connect(address, token(role));
    connections.add(client.managed());
    return client;
  }

  /** A connection by hand; the caller closes it. */
  public RawConnection connectRaw(Role role) {
    return RawConnection.to(address, token(role));
  }

  private String token(Role role) {
    try {
      String file = role.name().toLowerCase(Locale.ROOT) + ".token";
      return Files.readString(data.resolve("tokens").resolve(file)).strip();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The lines of its log, but for the one that it serves. */
  public List<String> loggedSinceItServes() {
    return child.errors().stream().filter(line -> !line.contains(" serves ")).toList();
  }

  /** The lines of its log that hold a text. */
  public List<String> logged(String text) {
    return child.errors().stream().filter(line -> line.contains(text)).toList();
  }

  /** Sends it a signal, by its name. */
  public void signal(String name) {
    run("kill", "-" + name, Long.toString(child.process().pid()));
  }

  /** Gives the running process another limit: an option of {@code prlimit}. */
  public void limit(String option) {
    run("prlimit", "--pid=" + child.process().pid(), option);
  }

  /** Runs a program to its end, which must be a good one; what it printed. */
  public static String run(String... command) {
    Ended ended = tryRun(command);
    if (ended.code() != 0) {
      throw new AssertionError(String.join(" ", command) + ": " + ended.output());
    }
    return ended.output();
  }

  /** How a program ended. */
  public record Ended(int code, String output) {}

  /** Runs a program to its end; one that is not there ends badly. */
  public static Ended tryRun(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String output =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      if (!process.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        process.destroyForcibly();
        return new Ended(-1, "it did not end; " + output);
      }
      return new Ended(process.exitValue(), output);
    } catch (IOException notThere) {
      return new Ended(-1, String.valueOf(notThere.getMessage()));
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new AssertionError(interrupted);
    }
  }

  /** A line of {@code /proc/PID/status} in MiB: {@code VmRSS} now, {@code VmHWM} at its highest. */
  public long mebibytes(String line) {
    try {
      return Files.readAllLines(Path.of("/proc", Long.toString(child.process().pid()), "status"))
          .stream()
          .filter(one -> one.startsWith(line + ":"))
          .mapToLong(one -> Long.parseLong(one.replaceAll("\\D", "")) / 1024)
          .findFirst()
          .orElseThrow();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The processor's time that it has used so far. */
  public Duration processorTime() {
    return child.process().info().totalCpuDuration().orElseThrow();
  }

  /** Lets go of every connection. */
  public void disconnect() {
    clients.clear();
    connections.forEach(ManagedChannel::shutdownNow);
    connections.clear();
  }

  /** Stops it as SIGTERM does; its exit code. */
  public int stop() {
    child.process().destroy();
    return child.awaitExit();
  }

  /** Kills it as {@code kill -9} does. */
  public void kill() {
    child.process().destroyForcibly();
    child.awaitExit();
  }

  @Override
  public void close() {
    disconnect();
    child.close();
    child.awaitExit();
  }
}
