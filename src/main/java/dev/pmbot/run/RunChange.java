package dev.pmbot.run;

import org.jspecify.annotations.Nullable;

/**
 * A change of a run: begins as what the row says, and is stored only over that very version of it.
 */
final class RunChange {
  final String runId;
  final long version;
  final RunStatus from;
  final @Nullable String fromToken;
  RunStatus status;
  @Nullable String threadId;
  @Nullable Long startedAt;
  int attempt;
  int maxAttempts;
  @Nullable Long nextAttemptAt;
  @Nullable String leaseOwner;
  @Nullable String leaseToken;
  @Nullable Long leaseExpiresAt;
  @Nullable Long cancelRequestedAt;
  @Nullable String statusReason;
  long wallMicrosUsed;

  private RunChange(RunRow row) {
    runId = row.runId();
    version = row.version();
    from = row.status();
    fromToken = row.leaseToken();
    status = row.status();
    threadId = row.threadId();
    startedAt = row.startedAt();
    attempt = row.attempt();
    maxAttempts = row.maxAttempts();
    nextAttemptAt = row.nextAttemptAt();
    leaseOwner = row.leaseOwner();
    leaseToken = row.leaseToken();
    leaseExpiresAt = row.leaseExpiresAt();
    cancelRequestedAt = row.cancelRequestedAt();
    statusReason = row.statusReason();
    wallMicrosUsed = row.wallMicrosUsed();
  }

  static RunChange of(RunRow row) {
    return new RunChange(row);
  }

  RunChange status(RunStatus to) {
    if (to != status && !status.next().contains(to)) {
      throw new IllegalStateException("a run does not go from " + status + " to " + to);
    }
    status = to;
    return this;
  }

  RunChange thread(String id, long now) {
    threadId = id;
    startedAt = startedAt == null ? Long.valueOf(now) : startedAt;
    return this;
  }

  RunChange attempt(int number) {
    attempt = number;
    return this;
  }

  RunChange maxAttempts(int number) {
    maxAttempts = number;
    return this;
  }

  RunChange claimableFrom(long time) {
    nextAttemptAt = time;
    return this;
  }

  RunChange lease(String owner, String token, long expiresAt) {
    leaseOwner = owner;
    leaseToken = token;
    leaseExpiresAt = expiresAt;
    return this;
  }

  RunChange withoutLease() {
    leaseOwner = null;
    leaseToken = null;
    leaseExpiresAt = null;
    return this;
  }

  RunChange cancelRequested(long time) {
    cancelRequestedAt = time;
    return this;
  }

  RunChange withoutCancel() {
    cancelRequestedAt = null;
    return this;
  }

  RunChange reason(@Nullable String text) {
    statusReason = text;
    return this;
  }
}
