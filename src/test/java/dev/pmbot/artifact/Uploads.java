package dev.pmbot.artifact;

import com.google.protobuf.ByteString;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.UploadArtifactResponse;
import io.grpc.Channel;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.StreamObserver;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.IntFunction;

/** Uploads as a client makes them, message by message. */
public final class Uploads {
  private Uploads() {}

  /** The SHA-256 of content, as hex digits. */
  public static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** An upload's header as its first message. */
  public static UploadArtifactRequest header(ArtifactHeader header) {
    return UploadArtifactRequest.newBuilder().setHeader(header).build();
  }

  /** Some content. */
  public static UploadArtifactRequest chunk(byte[] content) {
    return UploadArtifactRequest.newBuilder().setChunk(ByteString.copyFrom(content)).build();
  }

  /** A header and content, in chunks of a mebibyte. */
  public static List<UploadArtifactRequest> messages(ArtifactHeader header, byte[] content) {
    List<UploadArtifactRequest> messages = new ArrayList<>();
    messages.add(header(header));
    int largest = 1 << 20;
    for (int from = 0; from < content.length; from += largest) {
      int to = Math.min(content.length, from + largest);
      messages.add(chunk(java.util.Arrays.copyOfRange(content, from, to)));
    }
    return messages;
  }

  /** Uploads whole content; what the server refuses is thrown. */
  public static Artifact upload(Client client, ArtifactHeader header, byte[] content)
      throws Throwable {
    return upload(client, messages(header, content));
  }

  /** Sends these messages and the end; what the server refuses is thrown. */
  public static Artifact upload(Client client, List<UploadArtifactRequest> messages)
      throws Throwable {
    Begun upload = begin(client);
    messages.forEach(upload.requests()::onNext);
    upload.requests().onCompleted();
    return upload.value();
  }

  /** An upload that has begun, and what will come of it. */
  public record Begun(
      StreamObserver<UploadArtifactRequest> requests, CompletableFuture<Artifact> stored) {
    /** What came of it; what the server refuses is thrown. */
    public Artifact value() throws Throwable {
      try {
        return stored.get(Await.PATIENCE.toSeconds(), java.util.concurrent.TimeUnit.SECONDS);
      } catch (ExecutionException refused) {
        throw refused.getCause();
      }
    }
  }

  /** Uploads content that is made while it is sent, as fast as the server takes it. */
  public static CompletableFuture<Artifact> flowing(
      Channel channel, ArtifactHeader header, int chunks, IntFunction<ByteString> chunk) {
    CompletableFuture<Artifact> stored = new CompletableFuture<>();
    ArtifactServiceGrpc.newStub(channel)
        .uploadArtifact(
            new ClientResponseObserver<UploadArtifactRequest, UploadArtifactResponse>() {
              private int next = -1;

              @Override
              public void beforeStart(ClientCallStreamObserver<UploadArtifactRequest> upload) {
                upload.setOnReadyHandler(
                    () -> {
                      while (next < chunks && upload.isReady()) {
                        upload.onNext(
                            next < 0
                                ? header(header)
                                : UploadArtifactRequest.newBuilder()
                                    .setChunk(chunk.apply(next))
                                    .build());
                        next++;
                        if (next == chunks) {
                          upload.onCompleted();
                        }
                      }
                    });
              }

              @Override
              public void onNext(UploadArtifactResponse response) {
                stored.complete(response.getArtifact());
              }

              @Override
              public void onError(Throwable failure) {
                stored.completeExceptionally(failure);
              }

              @Override
              public void onCompleted() {
                stored.completeExceptionally(new AssertionError("no answer came"));
              }
            });
    return stored;
  }

  /** Begins an upload. */
  public static Begun begin(Client client) {
    return begin(client.channel());
  }

  static Begun begin(Channel channel) {
    CompletableFuture<Artifact> stored = new CompletableFuture<>();
    StreamObserver<UploadArtifactRequest> requests =
        ArtifactServiceGrpc.newStub(channel)
            .uploadArtifact(
                new StreamObserver<>() {
                  @Override
                  public void onNext(UploadArtifactResponse response) {
                    stored.complete(response.getArtifact());
                  }

                  @Override
                  public void onError(Throwable failure) {
                    stored.completeExceptionally(failure);
                  }

                  @Override
                  public void onCompleted() {
                    stored.completeExceptionally(new AssertionError("no answer came"));
                  }
                });
    return new Begun(requests, stored);
  }
}
