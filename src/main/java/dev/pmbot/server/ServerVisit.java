package dev.pmbot.server;

import dev.pmbot.files.PrivateFiles;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.GetServerInfoResponse;
import dev.pmbot.v1.ServerServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Asks a server that runs how it is, as a reader. */
final class ServerVisit {
  private static final int PATIENCE_SECONDS = 5;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final String address;
  private final Path dataDirectory;
  private String refusal = "";

  ServerVisit(String address, Path dataDirectory) {
    this.address = address;
    this.dataDirectory = dataDirectory;
  }

  /** Why there was no answer. */
  String refusal() {
    return refusal;
  }

  Optional<GetServerInfoResponse> ask() {
    Metadata headers = new Metadata();
    try {
      Path token = dataDirectory.resolve("tokens").resolve("reader.token");
      String text = new String(PrivateFiles.read(token), StandardCharsets.UTF_8).strip();
      headers.put(AUTHORIZATION, "Bearer " + text);
    } catch (IOException unreadable) {
      refusal = "the reader's token cannot be read: " + unreadable;
      return Optional.empty();
    }
    ManagedChannel channel = NettyChannelBuilder.forTarget(address).usePlaintext().build();
    try {
      return Optional.of(
          ServerServiceGrpc.newBlockingStub(channel)
              .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
              .withDeadlineAfter(PATIENCE_SECONDS, TimeUnit.SECONDS)
              .getServerInfo(GetServerInfoRequest.getDefaultInstance()));
    } catch (StatusRuntimeException refused) {
      refusal = refused.getStatus().getCode() + ": " + refused.getStatus().getDescription();
      return Optional.empty();
    } finally {
      channel.shutdownNow();
    }
  }
}
