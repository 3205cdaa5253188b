package dev.pmbot.kit;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Another Java program with this test's class path, for what only the end of a process shows. */
public final class ChildJvm implements AutoCloseable {
  private final Process process;
  private final List<String> lines = new ArrayList<>();
  private final List<String> errors = new ArrayList<>();
  private final List<Thread> readers = new ArrayList<>();

  private ChildJvm(Process process) {
    this.process = process;
    readers.add(read(process.inputReader(StandardCharsets.UTF_8), lines));
    readers.add(read(process.errorReader(StandardCharsets.UTF_8), errors));
  }

  /** Starts a class's main method. */
  public static ChildJvm start(
      Class<?> main, Map<String, String> environment, String... arguments) {
    return start(List.of(), main, environment, arguments);
  }

  /** Starts a class's main method, with options for Java itself. */
  public static ChildJvm start(
      List<String> options, Class<?> main, Map<String, String> environment, String... arguments) {
    return start(List.of(), options, main, environment, arguments);
  }

  /** Starts a class's main method through another program, which gives way to it. */
  public static ChildJvm start(
      List<String> through,
      List<String> options,
      Class<?> main,
      Map<String, String> environment,
      String... arguments) {
    List<String> command = new ArrayList<>(through);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // It lives for moments: the second compiler would only cost.
    command.add("-XX:TieredStopAtLevel=1");
    command.addAll(options);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(main.getName());
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    try {
      return new ChildJvm(builder.start());
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static Thread read(BufferedReader reader, List<String> into) {
    Thread thread =
        new Thread(
            () -> {
              try (reader) {
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                  synchronized (into) {
                    into.add(line);
                  }
                }
              } catch (IOException gone) {
                // Its end is the end of its output.
              }
            });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** The process itself. */
  public Process process() {
    return process;
  }

  /**
   * Sends it SIGTERM. What it says while it ends is still read: {@link Process#destroy} would close
   * its output.
   */
  public void terminate() {
    process.toHandle().destroy();
  }

  /** What it has printed so far. */
  public List<String> output() {
    synchronized (lines) {
      return List.copyOf(lines);
    }
  }

  /** What it has said on its standard error so far. */
  public List<String> errors() {
    synchronized (errors) {
      return List.copyOf(errors);
    }
  }

  /** Waits for its end; its exit code. All that it printed is there then. */
  public int awaitExit() {
    try {
      if (!process.waitFor(4 * Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("it did not end; " + output() + errors());
      }
      for (Thread reader : readers) {
        reader.join(Await.PATIENCE.toMillis());
      }
      return process.exitValue();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while waiting for its end", interrupted);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
