package dev.pmbot.kit;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.ArtifactHeader;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.ClaimRunsResponse;
import dev.pmbot.v1.ClaimedRun;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.UploadArtifactRequest;
import dev.pmbot.v1.UploadArtifactResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.CallOptions;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Makes mutations as a client must that wants each of them done once: under a request id of its
 * own, and again under the same one until it is answered, whoever dies meanwhile. Keeps every
 * answer, byte for byte, to ask for it again later.
 */
public final class Ledger {
  private static final int LARGEST_CHUNK = 1 << 18;
  private static final long DEADLINE_SECONDS = 60;

  private final MortalServer server;
  private final List<Entry> answered = new ArrayList<>();
  private final AtomicLong unanswered = new AtomicLong();

  /** Over a server that may be killed at any time. */
  public Ledger(MortalServer server) {
    this.server = server;
  }

  /** How a mutation is sent; the answer's bytes. */
  @FunctionalInterface
  private interface Sending {
    byte[] over(Client client);
  }

  /** One mutation, and what it was answered. */
  public static final class Entry {
    private final MethodDescriptor<?, ?> method;
    private final Role role;
    private final Sending sending;
    private final byte[] answer;

    private Entry(MethodDescriptor<?, ?> method, Role role, Sending sending, byte[] answer) {
      this.method = method;
      this.role = role;
      this.sending = sending;
      this.answer = answer;
    }

    /** The method's full name without the package. */
    public String method() {
      return method.getFullMethodName().substring("pmbot.v1.".length());
    }

    /** What it was answered. */
    public Object answer() {
      return parse(method, answer);
    }

    /** Asks again; what is wrong with the answer, if anything. */
    public Optional<String> complaint(ConfinedServer life) {
      byte[] again;
      try {
        again = sending.over(life.as(role));
      } catch (StatusRuntimeException failure) {
        if (isOfTransport(failure)) {
          throw failure;
        }
        return Optional.of(
            method() + " was answered, and is refused when asked again: " + failure.getStatus());
      }
      if (method.equals(RunServiceGrpc.getClaimRunsMethod())) {
        return complaint((ClaimRunsResponse) answer(), (ClaimRunsResponse) parse(method, again));
      }
      return Arrays.equals(answer, again)
          ? Optional.empty()
          : Optional.of(
              method() + " was answered\n" + answer() + "and then\n" + parse(method, again));
    }

    /**
     * A claim is answered from live rows: those of its runs whose lease is still the one it got.
     */
    private static Optional<String> complaint(ClaimRunsResponse first, ClaimRunsResponse again) {
      Map<String, String> tokens = new HashMap<>();
      first
          .getClaimedRunsList()
          .forEach(claimed -> tokens.put(claimed.getRun().getRunId(), claimed.getLeaseToken()));
      for (ClaimedRun claimed : again.getClaimedRunsList()) {
        if (!claimed.getLeaseToken().equals(tokens.get(claimed.getRun().getRunId()))) {
          return Optional.of("a claim was answered\n" + first + "and then\n" + again);
        }
      }
      return Optional.empty();
    }
  }

  private static Object parse(MethodDescriptor<?, ?> method, byte[] bytes) {
    return method.parseResponse(new ByteArrayInputStream(bytes));
  }

  /**
   * Makes a mutation until it is answered. One that is refused, or answered with an error that the
   * server itself sent, fails the caller.
   */
  @SuppressWarnings("unchecked")
  public <Q extends Message, R extends Message> R call(
      Role role, MethodDescriptor<Q, R> method, Q request) {
    Q identified = Scenario.withRequestId(request);
    MethodDescriptor<Q, byte[]> raw =
        method.toBuilder(method.getRequestMarshaller(), Bytes.AS_THEY_ARE).build();
    return (R)
        make(
            method,
            role,
            client ->
                ClientCalls.blockingUnaryCall(
                    client.channel(),
                    raw,
                    CallOptions.DEFAULT.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS),
                    identified));
  }

  /** Uploads an artifact until it is answered. */
  public Artifact upload(Role role, ArtifactHeader header, byte[] content) {
    ArtifactHeader identified = Scenario.withRequestId(header);
    var method = ArtifactServiceGrpc.getUploadArtifactMethod();
    MethodDescriptor<UploadArtifactRequest, byte[]> raw =
        method.toBuilder(method.getRequestMarshaller(), Bytes.AS_THEY_ARE).build();
    var response =
        (UploadArtifactResponse)
            make(method, role, client -> upload(client, raw, identified, content));
    return response.getArtifact();
  }

  private static byte[] upload(
      Client client,
      MethodDescriptor<UploadArtifactRequest, byte[]> method,
      ArtifactHeader header,
      byte[] content) {
    CompletableFuture<byte[]> answer = new CompletableFuture<>();
    StreamObserver<UploadArtifactRequest> requests =
        ClientCalls.asyncClientStreamingCall(
            client
                .channel()
                .newCall(
                    method,
                    CallOptions.DEFAULT.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS)),
            new StreamObserver<>() {
              @Override
              public void onNext(byte[] reply) {
                answer.complete(reply);
              }

              @Override
              public void onError(Throwable failure) {
                answer.completeExceptionally(failure);
              }

              @Override
              public void onCompleted() {
                answer.completeExceptionally(new AssertionError("no answer came"));
              }
            });
    requests.onNext(UploadArtifactRequest.newBuilder().setHeader(header).build());
    for (int from = 0; from < content.length && !answer.isDone(); from += LARGEST_CHUNK) {
      int count = Math.min(LARGEST_CHUNK, content.length - from);
      requests.onNext(
          UploadArtifactRequest.newBuilder()
              .setChunk(ByteString.copyFrom(content, from, count))
              .build());
    }
    requests.onCompleted();
    try {
      return answer.orTimeout(2 * DEADLINE_SECONDS, TimeUnit.SECONDS).join();
    } catch (CompletionException failure) {
      if (failure.getCause() instanceof StatusRuntimeException status) {
        throw status;
      }
      if (failure.getCause() instanceof TimeoutException) {
        throw new AssertionError("an upload was never answered", failure);
      }
      throw failure;
    }
  }

  private Object make(MethodDescriptor<?, ?> method, Role role, Sending sending) {
    ConfinedServer life = server.life();
    while (true) {
      try {
        byte[] answer = sending.over(life.as(role));
        synchronized (answered) {
          answered.add(new Entry(method, role, sending, answer));
        }
        return parse(method, answer);
      } catch (StatusRuntimeException failure) {
        if (!isOfTransport(failure)) {
          throw new AssertionError(method.getFullMethodName() + ": " + failure, failure);
        }
        unanswered.incrementAndGet();
        life = server.lifeOtherThan(life);
      }
    }
  }

  /**
   * Whether the connection went. An error of the server's own says why, in its details; and what
   * Java threw does not travel, so it was thrown here.
   */
  public static boolean isOfTransport(StatusRuntimeException failure) {
    if (failure.getStatus().getCause() instanceof IOException) {
      return true;
    }
    Metadata trailers = failure.getTrailers();
    return failure.getStatus().getCode() == Status.Code.UNAVAILABLE
        && StatusProto.fromStatusAndTrailers(
                    failure.getStatus(), trailers == null ? new Metadata() : trailers)
                .getDetailsCount()
            == 0;
  }

  /** The answered mutations from one on, in the order of their answers. */
  public List<Entry> answered(int from) {
    synchronized (answered) {
      return new ArrayList<>(answered.subList(from, answered.size()));
    }
  }

  /** How many were answered. */
  public int count() {
    synchronized (answered) {
      return answered.size();
    }
  }

  /** How many attempts went without an answer. */
  public long unanswered() {
    return unanswered.get();
  }
}
