package dev.pmbot.access;

import static dev.pmbot.wire.Principal.Role.OPERATOR;
import static dev.pmbot.wire.Principal.Role.READER;
import static dev.pmbot.wire.Principal.Role.WORKER;

import dev.pmbot.wire.Principal.Role;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The least role for each method. A method that is not here is refused. */
public final class Roles {
  private static final String PACKAGE = "pmbot.v1.";

  /** Services that anyone may call without a token, as everyone expects of them. */
  private static final Set<String> OPEN =
      Set.of(
          "grpc.health.v1.Health",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection");

  private static final Map<String, Role> TABLE =
      Map.ofEntries(
          Map.entry("WorkspaceService/CreateWorkspace", OPERATOR),
          Map.entry("WorkspaceService/UpdateWorkspace", OPERATOR),
          Map.entry("WorkspaceService/GetWorkspace", READER),
          Map.entry("WorkspaceService/ListWorkspaces", READER),
          Map.entry("RepoService/RegisterRepo", OPERATOR),
          Map.entry("RepoService/UpdateRepo", OPERATOR),
          Map.entry("RepoService/GetRepo", READER),
          Map.entry("RepoService/ListRepos", READER),
          Map.entry("RunService/CreateRun", WORKER),
          Map.entry("RunService/GetRun", READER),
          Map.entry("RunService/ListRuns", READER),
          Map.entry("RunService/WatchRun", READER),
          Map.entry("RunService/CancelRun", OPERATOR),
          Map.entry("RunService/RetryRun", OPERATOR),
          Map.entry("RunService/ClaimRuns", WORKER),
          Map.entry("RunService/StartRun", WORKER),
          Map.entry("RunService/RenewLease", WORKER),
          Map.entry("RunService/RecordUsage", WORKER),
          Map.entry("RunService/PauseRun", WORKER),
          Map.entry("RunService/ReleaseRun", WORKER),
          Map.entry("RunService/CompleteRun", WORKER),
          Map.entry("RunService/FailRun", WORKER),
          Map.entry("ApprovalService/RequestApproval", WORKER),
          Map.entry("ApprovalService/ResolveApproval", OPERATOR),
          Map.entry("ApprovalService/GetApproval", READER),
          Map.entry("ApprovalService/ListApprovals", READER),
          Map.entry("InterruptService/RaiseInterrupts", WORKER),
          Map.entry("InterruptService/ResolveInterrupt", OPERATOR),
          Map.entry("InterruptService/GetInterrupt", READER),
          Map.entry("InterruptService/ListInterrupts", READER),
          Map.entry("InterruptService/WatchDecisions", WORKER),
          Map.entry("InterruptService/AcknowledgeDecisions", WORKER),
          Map.entry("InboxService/ListInbox", READER),
          Map.entry("InboxService/StreamInbox", READER),
          Map.entry("ArtifactService/UploadArtifact", WORKER),
          Map.entry("ArtifactService/RegisterArtifact", WORKER),
          Map.entry("ArtifactService/GetArtifact", READER),
          Map.entry("ArtifactService/ListArtifacts", READER),
          Map.entry("ArtifactService/DownloadArtifact", READER),
          Map.entry("ArtifactService/VerifyArtifact", READER),
          Map.entry("ChangesetService/ProposeChangeset", WORKER),
          Map.entry("ChangesetService/GetChangeset", READER),
          Map.entry("ChangesetService/ListChangesets", READER),
          Map.entry("ChangesetService/MarkChangesetApplied", WORKER),
          Map.entry("AuditService/AppendEvents", WORKER),
          Map.entry("AuditService/ListEvents", READER),
          Map.entry("AuditService/TailEvents", READER),
          Map.entry("AuditService/VerifyChain", READER),
          Map.entry("ServerService/GetServerInfo", READER));

  private Roles() {}

  /** Whether a service may be called without a token. */
  public static boolean isOpen(@Nullable String service) {
    return service != null && OPEN.contains(service);
  }

  /** The least role for a method by its full name; none when the table does not know it. */
  public static @Nullable Role required(String method) {
    return method.startsWith(PACKAGE) ? TABLE.get(method.substring(PACKAGE.length())) : null;
  }
}
