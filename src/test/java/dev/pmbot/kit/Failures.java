package dev.pmbot.kit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.fail;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.pmbot.v1.Reason;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.function.Executable;

/** Reads what a refused call says, and holds every refusal to what all of them promise. */
public final class Failures {
  /** What a stack trace or SQL looks like; no status may hold either. */
  private static final Pattern INNARDS =
      Pattern.compile(
          "\\bat [a-z]\\w*\\.[\\w.$]+\\(|Exception|\\.java:|\\[SQLITE|\\bSQL\\b"
              + "|\\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|PRAGMA)\\s+\\w");

  private Failures() {}

  /**
   * What a refused call says.
   *
   * @param reason the name of the {@code pmbot.v1.Reason}, without its prefix
   * @param metadata the facts beside the reason
   * @param violations what is wrong with each field, in the order in which it was said
   * @param retryAfter how long to wait before trying again, where that helps
   */
  public record Refusal(
      Status.Code code,
      String message,
      String reason,
      Map<String, String> metadata,
      Map<String, String> violations,
      Optional<Duration> retryAfter) {}

  /** Makes a call that must be refused, and reads the refusal. */
  public static Refusal of(Executable call) {
    return read(assertThrows(StatusRuntimeException.class, call));
  }

  /** Makes a call that must be refused for a reason, and reads the refusal. */
  public static Refusal of(Reason reason, Executable call) {
    Refusal refusal = of(call);
    String expected = reason.name().substring("REASON_".length());
    assertEquals(expected, refusal.reason(), refusal.toString());
    return refusal;
  }

  /** Reads a refusal; one without our details fails the test. */
  public static Refusal read(StatusRuntimeException failure) {
    Metadata trailers = failure.getTrailers();
    return read(failure.getStatus(), trailers == null ? new Metadata() : trailers);
  }

  /** Reads a refusal; one without our details fails the test. */
  public static Refusal read(Status status, Metadata trailers) {
    assertHoldsNoInnards(status.toString());
    com.google.rpc.Status details = StatusProto.fromStatusAndTrailers(status, trailers);
    ErrorInfo info = null;
    Map<String, String> violations = new LinkedHashMap<>();
    Optional<Duration> retryAfter = Optional.empty();
    try {
      for (Any detail : details.getDetailsList()) {
        assertHoldsNoInnards(detail.toString());
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(BadRequest.class)) {
          for (var violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            violations.merge(
                violation.getField(), violation.getDescription(), (one, two) -> one + "; " + two);
          }
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Optional.of(Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
        }
      }
    } catch (InvalidProtocolBufferException damaged) {
      return fail("damaged details", damaged);
    }
    if (info == null) {
      return fail("no ErrorInfo came with " + status);
    }
    assertEquals("pmbot", info.getDomain());
    String reason = info.getReason();
    assertEquals(
        1,
        Arrays.stream(Reason.values())
            .filter(known -> known.name().equals("REASON_" + reason))
            .count(),
        "not in the closed list: " + reason);
    assertEquals(status.getCode().value(), details.getCode(), "the details name another code");
    return new Refusal(
        status.getCode(),
        String.valueOf(status.getDescription()),
        reason,
        info.getMetadataMap(),
        violations,
        retryAfter);
  }

  /** No stack trace, class of an exception, or SQL. */
  public static void assertHoldsNoInnards(String text) {
    assertFalse(INNARDS.matcher(text).find(), () -> "holds a stack trace or SQL: " + text);
  }
}
