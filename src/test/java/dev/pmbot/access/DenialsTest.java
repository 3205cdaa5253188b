package dev.pmbot.access;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import dev.pmbot.files.CrashPoints;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Gate;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.CreateWorkspaceResponse;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import dev.pmbot.wire.Principal.Role;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DenialsTest {
  @TempDir Path folder;

  private static CreateWorkspaceRequest named(String name) {
    return CreateWorkspaceRequest.newBuilder().setName(name).build();
  }

  @Test
  void aDenialThatCouldNotBeStoredIsCountedAndStoredLater() {
    Gate gate = new Gate();
    AtomicBoolean fails = new AtomicBoolean();
    CountDownLatch failed = new CountDownLatch(1);
    CrashPoints points =
        point -> {
          gate.reached(point);
          if (point.equals("commit.before") && fails.getAndSet(false)) {
            failed.countDown();
            throw new IllegalStateException("the disk is gone");
          }
        };
    try (TestServer server = TestServer.in(folder, points)) {
      fails.set(true);
      Failures.of(
          Reason.REASON_ROLE_NOT_ALLOWED,
          () -> server.as(Role.READER).workspaces().createWorkspace(named("mine")));
      Await.until("it could not be stored", () -> failed.getCount() == 0);

      // What failed is answered before the group that is answered here.
      WorkspaceServiceGrpc.WorkspaceServiceFutureStub workspaces =
          WorkspaceServiceGrpc.newFutureStub(server.as(Role.OPERATOR).channel());
      gate.close();
      final ListenableFuture<CreateWorkspaceResponse> holds =
          workspaces.createWorkspace(named("holds"));
      gate.awaitHeld();
      List<ListenableFuture<CreateWorkspaceResponse>> group =
          Stream.of("one", "two").map(name -> workspaces.createWorkspace(named(name))).toList();
      server.as(Role.OPERATOR).server().getServerInfo(GetServerInfoRequest.getDefaultInstance());
      gate.open();
      Await.value("the one that held", holds);
      group.forEach(one -> Await.value("one of the group", one));

      server.restart();
      List<AuditEvent> denials =
          new Scenario(server)
              .events("system").stream()
                  .filter(event -> event.getType().startsWith("access.denied"))
                  .toList();
      assertEquals(1, denials.size(), denials.toString());
      assertTrue(denials.get(0).getPayloadJson().contains("\"count\":1"), denials.toString());
    }
  }
}
