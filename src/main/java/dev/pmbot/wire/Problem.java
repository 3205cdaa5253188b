package dev.pmbot.wire;

import dev.pmbot.v1.Reason;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A refusal, as the domain says it: a reason from the closed list, a sentence that says what is
 * wrong and what would be right, and the facts. {@link Statuses} turns it into what travels.
 */
public final class Problem extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Reason reason;
  private final transient Map<String, String> metadata;
  private final transient List<Violation> violations;
  private final @Nullable Duration retryAfter;

  private Problem(
      Reason reason,
      String message,
      Map<String, String> metadata,
      List<Violation> violations,
      @Nullable Duration retryAfter) {
    // Refusals are answers, not defects: no stack is recorded for them.
    super(message, null, false, false);
    this.reason = reason;
    this.metadata = metadata;
    this.violations = violations;
    this.retryAfter = retryAfter;
  }

  Reason reason() {
    return reason;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  /** Every field that is wrong; empty when it is not about fields. */
  public List<Violation> violations() {
    return violations;
  }

  @Nullable Duration retryAfter() {
    return retryAfter;
  }

  private static Problem of(Reason reason, String message, Map<String, String> metadata) {
    return new Problem(reason, message, metadata, List.of(), null);
  }

  private static String sentence(String what, List<Violation> violations) {
    return violations.stream()
        .map(violation -> violation.field() + ": " + violation.description())
        .collect(Collectors.joining("; ", what, ""));
  }

  /** Fields break rules: all of them at once. */
  public static Problem invalidFields(List<Violation> violations) {
    return new Problem(
        Reason.REASON_INVALID_FIELDS, sentence("", violations), Map.of(), violations, null);
  }

  /** One field breaks a rule. */
  public static Problem invalidField(String field, String description) {
    return invalidFields(List.of(new Violation(field, description)));
  }

  /** A decision does not answer its question. */
  public static Problem invalidDecision(List<Violation> violations) {
    return new Problem(
        Reason.REASON_INVALID_DECISION,
        sentence("the decision does not answer the question: ", violations),
        Map.of(),
        violations,
        null);
  }

  /** The bytes are not the message. */
  public static Problem malformedMessage(String message) {
    return of(Reason.REASON_MALFORMED_MESSAGE, message, Map.of());
  }

  /** The page token is damaged or of another query. */
  public static Problem invalidPageToken() {
    return of(
        Reason.REASON_INVALID_PAGE_TOKEN,
        "page_token: it is damaged, or belongs to another query; take next_page_token from the last answer to this very"
            + " query, or leave it empty for the first page",
        Map.of());
  }

  /** The cursor is damaged. */
  public static Problem invalidCursor() {
    return of(
        Reason.REASON_INVALID_CURSOR,
        "cursor: it is damaged; send back the last one that a stream sent, or none to begin anew",
        Map.of());
  }

  /** The same request id for something else. */
  public static Problem requestIdReused(String method) {
    return of(
        Reason.REASON_REQUEST_ID_REUSED,
        "request_id: it was used before, for another request to "
            + method
            + "; repeat that request as it was, or take a new id",
        Map.of("method", method));
  }

  /** What came is not what was announced. */
  public static Problem contentMismatch(String what, String announced, String received) {
    return of(
        Reason.REASON_CONTENT_MISMATCH,
        what + ": " + announced + " was announced, " + received + " came; nothing was stored",
        Map.of("announced", announced, "received", received));
  }

  /** No token, or none that is known. */
  public static Problem unauthenticated(String message) {
    return of(Reason.REASON_UNAUTHENTICATED, message, Map.of());
  }

  /** The role may not do this. */
  public static Problem roleNotAllowed(String method, String role, String required) {
    return of(
        Reason.REASON_ROLE_NOT_ALLOWED,
        "the " + role + "'s token may not call " + method + "; it takes the " + required + "'s",
        Map.of("role", role, "required", required));
  }

  /** Nothing has this id. */
  public static Problem notFound(String what, String id) {
    return of(Reason.REASON_NOT_FOUND, "there is no " + what + " " + id, Map.of("id", id));
  }

  /** Another one has this name. */
  public static Problem alreadyExists(String what, String name, String id) {
    return of(
        Reason.REASON_ALREADY_EXISTS,
        "there is a " + what + " named " + name + " already: " + id,
        Map.of("id", id));
  }

  /** Something else is on record at this place. */
  public static Problem contentExists(String place, String id) {
    return of(
        Reason.REASON_ALREADY_EXISTS,
        "other content is on record at "
            + place
            + " already: "
            + id
            + "; what is on record is never replaced, so take another place",
        Map.of("id", id));
  }

  /** The state does not allow this. */
  public static Problem wrongState(
      String what, String id, Enum<?> state, Collection<? extends Enum<?>> allowed) {
    return wrongState(what, id, lower(state), allowed.stream().map(Problem::lower).toList());
  }

  /** The state does not allow this, in words. */
  public static Problem wrongState(String what, String id, String state, List<String> allowed) {
    return of(
        Reason.REASON_WRONG_STATE,
        what
            + " "
            + id
            + " is "
            + state
            + "; this takes one that is "
            + String.join(" or ", allowed),
        Map.of("id", id, "state", state, "allowed", String.join(",", allowed)));
  }

  /** The lease is not, or no longer, the caller's. */
  public static Problem leaseLost(String runId) {
    return of(
        Reason.REASON_LEASE_LOST,
        "the lease_token is not the current one of run " + runId + "; claim the run again",
        Map.of("id", runId));
  }

  /** Somebody decided differently before. */
  public static Problem alreadyDecided(
      String what, String id, Enum<?> state, @Nullable String actor, @Nullable Long resolvedAt) {
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("id", id);
    metadata.put("state", lower(state));
    metadata.put("actor", String.valueOf(actor));
    metadata.put("resolved_at", resolvedAt == null ? "" : ProtoTime.text(resolvedAt));
    return of(
        Reason.REASON_ALREADY_DECIDED,
        what
            + " "
            + id
            + " was decided before: "
            + lower(state)
            + " by "
            + actor
            + " at "
            + metadata.get("resolved_at"),
        metadata);
  }

  /** The question was closed before it was answered. */
  public static Problem questionClosed(String what, String id, Enum<?> closedBy) {
    return of(
        Reason.REASON_QUESTION_CLOSED,
        what + " " + id + " was closed before it was answered: " + lower(closedBy),
        Map.of("id", id, "closed_by", lower(closedBy)));
  }

  /** The thread is another run's. */
  public static Problem threadInUse(String threadId, String runId) {
    return of(
        Reason.REASON_THREAD_IN_USE,
        "thread " + threadId + " belongs to run " + runId + ", which has not ended",
        Map.of("thread_id", threadId, "run_id", runId));
  }

  /** A run has gone on over its budget for too long. */
  public static Problem budgetExceeded(String runId, String complaint, List<String> exceeded) {
    return of(
        Reason.REASON_BUDGET_EXCEEDED,
        "run "
            + runId
            + " is "
            + complaint
            + "; its lease is renewed again once it has raised an approve_spend interrupt, and else it fails",
        Map.of("id", runId, "exceeded", String.join(",", exceeded)));
  }

  /** What was shown is not what would be answered. */
  public static Problem staleDecision(String what, String id) {
    return of(
        Reason.REASON_STALE_DECISION,
        "payload_hash is not that of "
            + what
            + " "
            + id
            + ": read it again and decide on what it says now",
        Map.of("id", id));
  }

  /** The row changed since the version that an update names. */
  public static Problem staleVersion(String what, String id, long version) {
    return of(
        Reason.REASON_STALE_VERSION,
        what + " " + id + " has changed since: it is at version " + version + "; read it again",
        Map.of("id", id, "version", Long.toString(version)));
  }

  /** The cursor is of a stream with another filter. */
  public static Problem cursorOtherFilter(String earliest) {
    return of(
        Reason.REASON_CURSOR_OTHER_FILTER,
        "cursor: it was made by a stream with another filter; use it with that filter, or begin anew",
        Map.of("earliest", earliest));
  }

  /** The cursor is of another database. */
  public static Problem cursorOtherDatabase(String earliest) {
    return of(
        Reason.REASON_CURSOR_OTHER_DATABASE,
        "cursor: it was made by another database, or before a restore; begin anew",
        Map.of("earliest", earliest));
  }

  /** The log no longer holds what the cursor saw. */
  public static Problem cursorHistoryChanged(String workspaceId, long seq, String earliest) {
    return of(
        Reason.REASON_CURSOR_HISTORY_CHANGED,
        "cursor: the log of "
            + workspaceId
            + " no longer holds what it saw at seq "
            + seq
            + " (an older copy of the database was put back); begin anew",
        Map.of("workspace_id", workspaceId, "seq", Long.toString(seq), "earliest", earliest));
  }

  /** More than the limit. */
  public static Problem tooLarge(String what, long limit) {
    return of(
        Reason.REASON_TOO_LARGE,
        what + ": more than the limit of " + limit + " bytes",
        Map.of("limit", Long.toString(limit)));
  }

  /** As many as the server serves at once. */
  public static Problem tooManyOpen(String what, int limit) {
    return new Problem(
        Reason.REASON_TOO_MANY_OPEN,
        limit + " " + what + " already; try again later",
        Map.of(),
        List.of(),
        Duration.ofSeconds(1));
  }

  /** Messages have all the memory that is for them. */
  public static Problem noMemory() {
    return new Problem(
        Reason.REASON_TOO_MANY_OPEN,
        "messages that are on their way take all the memory that is for them; try again later",
        Map.of(),
        List.of(),
        Duration.ofSeconds(1));
  }

  /** The system lets the server open no more files. */
  public static Problem tooManyFiles() {
    return new Problem(
        Reason.REASON_TOO_MANY_OPEN,
        "the server may open no more files at present; try again later",
        Map.of(),
        List.of(),
        Duration.ofSeconds(1));
  }

  /** The disk is full. */
  public static Problem diskFull(String message) {
    return of(Reason.REASON_DISK_FULL, message, Map.of());
  }

  /** The queue of writes is full. */
  public static Problem queueFull(String message) {
    return new Problem(
        Reason.REASON_QUEUE_FULL, message, Map.of(), List.of(), Duration.ofMillis(100));
  }

  /** The server is stopping. */
  public static Problem shuttingDown() {
    return new Problem(
        Reason.REASON_SHUTTING_DOWN,
        "the server is stopping; try again, with the same request_id or the last cursor",
        Map.of(),
        List.of(),
        Duration.ofSeconds(1));
  }

  /** The database did not answer. */
  public static Problem databaseUnavailable(String message) {
    return new Problem(
        Reason.REASON_DATABASE_UNAVAILABLE, message, Map.of(), List.of(), Duration.ofSeconds(1));
  }

  /** Whether it was stored is not known. */
  public static Problem outcomeUnknown(String message) {
    return new Problem(
        Reason.REASON_OUTCOME_UNKNOWN, message, Map.of(), List.of(), Duration.ofMillis(100));
  }

  /** The caller went first. */
  public static Problem callEnded() {
    return of(
        Reason.REASON_CALL_ENDED,
        "the call ended before its turn came; nothing was stored",
        Map.of());
  }

  /** A defect of the server. */
  static Problem internal(String incident) {
    return of(
        Reason.REASON_INTERNAL,
        "a defect of the server; its log has more under incident " + incident,
        Map.of("incident", incident));
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
