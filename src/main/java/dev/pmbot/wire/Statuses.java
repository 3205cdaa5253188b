package dev.pmbot.wire;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.pmbot.store.Ids;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.SystemTime;
import dev.pmbot.v1.Reason;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The one translator from what went wrong to what travels. */
public final class Statuses {
  private static final Logger log = LoggerFactory.getLogger(Statuses.class);
  private static final String DOMAIN = "pmbot";
  private static final String PREFIX = "REASON_";
  private static final Ids INCIDENTS = new Ids(new SystemTime());

  private Statuses() {}

  /**
   * What travels for any failure. What is no refusal is a defect: it goes to the log, and only its
   * number travels.
   */
  public static StatusRuntimeException of(Throwable failure) {
    return of(problem(failure));
  }

  private static Problem problem(Throwable failure) {
    if (failure instanceof CompletionException && failure.getCause() != null) {
      return problem(failure.getCause());
    }
    if (failure instanceof Problem problem) {
      return problem;
    }
    if (failure instanceof StoreException store) {
      return problem(store);
    }
    if (failure instanceof StatusRuntimeException status
        && status.getCause() instanceof InvalidProtocolBufferException malformed) {
      return Problem.malformedMessage(
          "the bytes are not the message that this method takes: " + malformed.getMessage());
    }
    return defect(failure);
  }

  private static Problem problem(StoreException store) {
    String message = String.valueOf(store.getMessage());
    return switch (store.kind()) {
      case QUEUE_FULL -> Problem.queueFull(message);
      case DISK_FULL -> Problem.diskFull(message);
      case UNAVAILABLE -> Problem.databaseUnavailable(message);
      case OUTCOME_UNKNOWN -> Problem.outcomeUnknown(message);
      case ABANDONED -> Problem.callEnded();
      case CLOSED -> Problem.shuttingDown();
    };
  }

  static Problem defect(Throwable failure) {
    String incident = INCIDENTS.token().substring(0, 12);
    log.error("a defect of the server, which the caller knows as incident {}", incident, failure);
    return Problem.internal(incident);
  }

  /** Ends a call with what travels for a failure. */
  static void close(ServerCall<?, ?> call, Throwable failure) {
    StatusRuntimeException status = of(failure);
    Metadata trailers = status.getTrailers();
    call.close(status.getStatus(), trailers == null ? new Metadata() : trailers);
  }

  private static StatusRuntimeException of(Problem problem) {
    return StatusProto.toStatusRuntimeException(toProto(problem));
  }

  /** A refusal as a message: what travels for a call, and for one of several things in a call. */
  public static com.google.rpc.Status toProto(Problem problem) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder()
            .setCode(code(problem.reason()).getNumber())
            .setMessage(String.valueOf(problem.getMessage()))
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain(DOMAIN)
                        .setReason(problem.reason().name().substring(PREFIX.length()))
                        .putAllMetadata(problem.metadata())
                        .build()));
    if (!problem.violations().isEmpty()) {
      BadRequest.Builder request = BadRequest.newBuilder();
      for (Violation violation : problem.violations()) {
        request
            .addFieldViolationsBuilder()
            .setField(violation.field())
            .setDescription(violation.description());
      }
      status.addDetails(Any.pack(request.build()));
    }
    Duration retry = problem.retryAfter();
    if (retry != null) {
      com.google.protobuf.Duration delay =
          com.google.protobuf.Duration.newBuilder()
              .setSeconds(retry.getSeconds())
              .setNanos(retry.getNano())
              .build();
      status.addDetails(Any.pack(RetryInfo.newBuilder().setRetryDelay(delay).build()));
    }
    return status.build();
  }

  private static Code code(Reason reason) {
    return switch (reason) {
      case REASON_MALFORMED_MESSAGE,
          REASON_INVALID_FIELDS,
          REASON_INVALID_PAGE_TOKEN,
          REASON_INVALID_CURSOR,
          REASON_REQUEST_ID_REUSED,
          REASON_CONTENT_MISMATCH,
          REASON_INVALID_DECISION ->
          Code.INVALID_ARGUMENT;
      case REASON_UNAUTHENTICATED -> Code.UNAUTHENTICATED;
      case REASON_ROLE_NOT_ALLOWED -> Code.PERMISSION_DENIED;
      case REASON_NOT_FOUND -> Code.NOT_FOUND;
      case REASON_ALREADY_EXISTS -> Code.ALREADY_EXISTS;
      case REASON_WRONG_STATE,
          REASON_LEASE_LOST,
          REASON_ALREADY_DECIDED,
          REASON_THREAD_IN_USE,
          REASON_QUESTION_CLOSED,
          REASON_BUDGET_EXCEEDED ->
          Code.FAILED_PRECONDITION;
      case REASON_STALE_DECISION, REASON_STALE_VERSION -> Code.ABORTED;
      case REASON_CURSOR_OTHER_FILTER,
          REASON_CURSOR_OTHER_DATABASE,
          REASON_CURSOR_HISTORY_CHANGED ->
          Code.OUT_OF_RANGE;
      case REASON_TOO_LARGE, REASON_QUEUE_FULL, REASON_DISK_FULL, REASON_TOO_MANY_OPEN ->
          Code.RESOURCE_EXHAUSTED;
      case REASON_SHUTTING_DOWN, REASON_DATABASE_UNAVAILABLE, REASON_OUTCOME_UNKNOWN ->
          Code.UNAVAILABLE;
      case REASON_CALL_ENDED -> Code.CANCELLED;
      case REASON_INTERNAL, REASON_UNSPECIFIED, UNRECOGNIZED -> Code.INTERNAL;
    };
  }
}
