package dev.pmbot.kit;

import dev.pmbot.v1.ApprovalServiceGrpc;
import dev.pmbot.v1.ApprovalServiceGrpc.ApprovalServiceBlockingStub;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.ArtifactServiceGrpc.ArtifactServiceBlockingStub;
import dev.pmbot.v1.AuditServiceGrpc;
import dev.pmbot.v1.AuditServiceGrpc.AuditServiceBlockingStub;
import dev.pmbot.v1.ChangesetServiceGrpc;
import dev.pmbot.v1.ChangesetServiceGrpc.ChangesetServiceBlockingStub;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.InboxServiceGrpc.InboxServiceBlockingStub;
import dev.pmbot.v1.InterruptServiceGrpc;
import dev.pmbot.v1.InterruptServiceGrpc.InterruptServiceBlockingStub;
import dev.pmbot.v1.RepoServiceGrpc;
import dev.pmbot.v1.RepoServiceGrpc.RepoServiceBlockingStub;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.RunServiceGrpc.RunServiceBlockingStub;
import dev.pmbot.v1.ServerServiceGrpc;
import dev.pmbot.v1.ServerServiceGrpc.ServerServiceBlockingStub;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import dev.pmbot.v1.WorkspaceServiceGrpc.WorkspaceServiceBlockingStub;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;

/**
 * Everything that one caller may call.
 *
 * @param managed the connection itself, without a token
 * @param channel the connection with the caller's token, for stubs of other kinds
 */
public record Client(
    ManagedChannel managed,
    Channel channel,
    WorkspaceServiceBlockingStub workspaces,
    RepoServiceBlockingStub repos,
    RunServiceBlockingStub runs,
    ApprovalServiceBlockingStub approvals,
    InterruptServiceBlockingStub interrupts,
    InboxServiceBlockingStub inbox,
    ArtifactServiceBlockingStub artifacts,
    ChangesetServiceBlockingStub changesets,
    AuditServiceBlockingStub audit,
    ServerServiceBlockingStub server) {

  /** A connection of its own to a server that is not a {@link TestServer}; close it by itself. */
  public static Client connect(String address, String token) {
    Metadata headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    ManagedChannel managed =
        Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    return over(
        managed,
        ClientInterceptors.intercept(
            managed, MetadataUtils.newAttachHeadersInterceptor(headers), new Deadlines()));
  }

  static Client over(ManagedChannel managed, Channel channel) {
    return new Client(
        managed,
        channel,
        WorkspaceServiceGrpc.newBlockingStub(channel),
        RepoServiceGrpc.newBlockingStub(channel),
        RunServiceGrpc.newBlockingStub(channel),
        ApprovalServiceGrpc.newBlockingStub(channel),
        InterruptServiceGrpc.newBlockingStub(channel),
        InboxServiceGrpc.newBlockingStub(channel),
        ArtifactServiceGrpc.newBlockingStub(channel),
        ChangesetServiceGrpc.newBlockingStub(channel),
        AuditServiceGrpc.newBlockingStub(channel),
        ServerServiceGrpc.newBlockingStub(channel));
  }
}
