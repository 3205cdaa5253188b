package dev.pmbot.bench;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;

/** A server in a process of its own, as README starts it. */
final class ServerProcess implements AutoCloseable {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Path directory;
  private final Process process;
  private final String address;
  private final List<ManagedChannel> channels = new ArrayList<>();

  ServerProcess(Path jar, Path directory, String... options)
      throws IOException, InterruptedException {
    this.directory = directory;
    List<String> command =
        new ArrayList<>(
            List.of(
                "java",
                "-XX:SharedArchiveFile=target/pmbot.jsa",
                "-XX:+UseSerialGC",
                "-Xms48m",
                "-Xmn20m"));
    command.addAll(List.of("-jar", jar.toString(), "serve", "--port=0", "--data=" + directory));
    command.addAll(List.of(options));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("XDG_RUNTIME_DIR", directory + "/runtime");
    Path discovery = directory.resolve("server.json");
    Files.deleteIfExists(discovery);
    process = builder.start();
    while (!Files.exists(discovery)) {
      if (!process.isAlive()) {
        throw new IOException("the server ended with exit code " + process.exitValue());
      }
      Thread.sleep(1);
    }
    address = JsonMapper.shared().readTree(Files.readString(discovery)).path("address").asString();
  }

  /** A connection of its own, with the operator's token. */
  Channel channel() {
    ManagedChannel channel = NettyChannelBuilder.forTarget(address).usePlaintext().build();
    channels.add(channel);
    String token;
    try {
      token = Files.readString(directory.resolve("tokens/operator.token")).strip();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
    return io.grpc.ClientInterceptors.intercept(channel, new Bearer(token));
  }

  private record Bearer(String token) implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(
        MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<R> listener, Metadata headers) {
          headers.put(AUTHORIZATION, "Bearer " + token);
          super.start(listener, headers);
        }
      };
    }
  }

  /** Memory that the process holds, in MiB. */
  long residentMebibytes() throws IOException {
    return Files.readAllLines(Path.of("/proc", Long.toString(process.pid()), "status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
        .findFirst()
        .orElseThrow();
  }

  @Override
  public void close() throws IOException, InterruptedException {
    channels.forEach(ManagedChannel::shutdownNow);
    process.destroy();
    process.waitFor();
  }

  /** A new folder for a server's data. */
  static Path newDirectory() throws IOException {
    return Files.createTempDirectory("pmbot-bench");
  }

  /** Deletes a server's data. */
  static void delete(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
