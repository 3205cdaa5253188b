package dev.pmbot.wire;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.pmbot.files.Sha256;
import dev.pmbot.store.Store;
import dev.pmbot.store.Tx;
import dev.pmbot.store.Work;
import io.grpc.Context;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import java.util.function.Predicate;

/**
 * The one way to answer a call. A read is answered from one state of the database. A mutation is
 * one transaction: it looks up the request id, does the work, and remembers the reply with the id;
 * it is answered after the commit.
 */
public final class Calls {
  private static final long REMEMBERED_MICROS = Duration.ofHours(24).toNanos() / 1_000;
  private static final int LARGEST_KEPT_WHOLE = 4096;
  private static final byte WHOLE = 0;
  private static final byte THIN = 1;

  private final Store store;
  private final LargeReplies largeReplies;
  private final InFlight inFlight = InFlight.ofThisProcess();

  /** Over a database, with what is known of large replies. */
  public Calls(Store store, LargeReplies largeReplies) {
    this.store = store;
    this.largeReplies = largeReplies;
  }

  /** Answers with what the work reads. */
  public <R extends Message> void read(StreamObserver<R> observer, Work<R> work) {
    answer(observer, store.read(Context.current()::isCancelled, work));
  }

  /** Answers with what the work did, once. */
  public <R extends Message> void mutate(
      Message request, StreamObserver<R> observer, Work<R> work) {
    answer(observer, carryOut(request, new byte[0], work));
  }

  /**
   * Answers with what the work did, once, given what was found out ahead: what may take a while is
   * done before the work waits for its turn to write.
   */
  public <A, R extends Message> void mutate(
      Message request, StreamObserver<R> observer, Work<A> ahead, BiFunction<Tx, A, R> work) {
    Context context = Context.current();
    answer(
        observer,
        inFlight.counted(
            request,
            () ->
                store
                    .read(context::isCancelled, ahead)
                    .thenCompose(
                        found ->
                            CallContext.in(
                                context,
                                () ->
                                    write(
                                        request,
                                        new byte[0],
                                        tx -> work.apply(tx, found),
                                        reply -> true,
                                        (tx, first) -> first)))));
  }

  /**
   * Does a mutation, once for its request id.
   *
   * @param content what came with the request beside the message, or its digest: the same id with
   *     other content is another request
   */
  public <R extends Message> CompletableFuture<R> carryOut(
      Message request, byte[] content, Work<R> work) {
    return carryOut(request, content, work, reply -> true, (tx, first) -> first);
  }

  /**
   * Does a mutation whose reply, when asked for again, is made anew from the first one.
   *
   * @param worthRemembering whether a reply is kept at all
   * @param again what the same request id is answered with, given the first reply
   */
  public <R extends Message> CompletableFuture<R> carryOut(
      Message request,
      byte[] content,
      Work<R> work,
      Predicate<R> worthRemembering,
      BiFunction<Tx, R, R> again) {
    return inFlight.counted(request, () -> write(request, content, work, worthRemembering, again));
  }

  private <R extends Message> CompletableFuture<R> write(
      Message request,
      byte[] content,
      Work<R> work,
      Predicate<R> worthRemembering,
      BiFunction<Tx, R, R> again) {
    Principal principal = CallContext.principal();
    // The marshallers are those of the method that is being called: they know the reply's type.
    @SuppressWarnings("unchecked")
    MethodDescriptor<?, R> method = (MethodDescriptor<?, R>) CallContext.METHOD.get();
    Context context = Context.current();
    String requestId = text(request, "request_id");
    if (requestId.isEmpty()) {
      return store.write(principal.actor(), context::isCancelled, work);
    }
    byte[] hash = Sha256.of(asked(request).toByteArray(), content);
    Work<R> once =
        tx -> {
          RequestMapper requests = tx.mapper(RequestMapper.class);
          // Hardly ever is something remembered, so a first try does not look: it finds out when it
          // cannot remember, and is done again.
          RequestRow known =
              tx.isTentative() ? null : requests.find(principal.name(), requestId, tx.now());
          if (known != null) {
            if (!known.isFor(method.getFullMethodName(), hash)) {
              throw Problem.requestIdReused(known.method());
            }
            return again.apply(tx, decode(tx, method, known.response()));
          }
          R reply = work.in(tx);
          if (worthRemembering.test(reply)) {
            RequestRow row =
                new RequestRow(
                    method.getFullMethodName(), hash, encode(reply), tx.now() + REMEMBERED_MICROS);
            if (!tx.isTentative()) {
              requests.remember(principal.name(), requestId, row);
            } else if (requests.rememberFirst(principal.name(), requestId, row) == 0) {
              throw new AskedBefore();
            }
          } else if (tx.isTentative()
              && requests.find(principal.name(), requestId, tx.now()) != null) {
            throw new AskedBefore();
          }
          return reply;
        };
    return store.write(principal.actor(), context::isCancelled, once);
  }

  /** Undoes a first try: its request id has been used before. No caller ever sees it. */
  private static final class AskedBefore extends RuntimeException {
    private static final long serialVersionUID = 1;

    AskedBefore() {
      super("the request id has been used before", null, false, false);
    }
  }

  /**
   * Whether this caller's request id has been answered: a check ahead of the work would refuse
   * today what was let pass then.
   */
  public boolean isAnswered(Tx tx, Principal principal, String requestId) {
    return !requestId.isEmpty()
        && tx.mapper(RequestMapper.class).find(principal.name(), requestId, tx.now()) != null;
  }

  /** Answers with what the future brings. */
  public static <R> void answer(StreamObserver<R> observer, CompletableFuture<R> future) {
    // Without a handler, answering a call that was cancelled meanwhile would throw.
    ((ServerCallStreamObserver<R>) observer).setOnCancelHandler(() -> {});
    future.whenComplete(
        (reply, failure) -> {
          if (failure != null) {
            observer.onError(Statuses.of(failure));
          } else {
            observer.onNext(reply);
            observer.onCompleted();
          }
        });
  }

  /**
   * What was asked for. A lease token is the caller's credential, not part of it: another lease may
   * repeat a request.
   */
  private static Message asked(Message request) {
    FieldDescriptor lease = request.getDescriptorForType().findFieldByName("lease_token");
    return lease == null ? request : request.toBuilder().clearField(lease).build();
  }

  private static String text(Message request, String name) {
    FieldDescriptor field = request.getDescriptorForType().findFieldByName(name);
    return (String) request.getField(field);
  }

  private byte[] encode(Message reply) {
    boolean whole = reply.getSerializedSize() <= LARGEST_KEPT_WHOLE;
    byte[] kept = (whole ? reply : largeReplies.thin(reply)).toByteArray();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(1 + kept.length);
    bytes.write(whole ? WHOLE : THIN);
    bytes.write(kept, 0, kept.length);
    return bytes.toByteArray();
  }

  @SuppressWarnings("unchecked")
  private <R extends Message> R decode(Tx tx, MethodDescriptor<?, R> method, byte[] bytes) {
    R kept = method.parseResponse(new ByteArrayInputStream(bytes, 1, bytes.length - 1));
    return bytes[0] == WHOLE ? kept : (R) largeReplies.fill(tx, kept);
  }
}
