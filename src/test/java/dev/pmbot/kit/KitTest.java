package dev.pmbot.kit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.RunStatus;
import dev.pmbot.v1.Workspace;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class KitTest {
  @TempDir Path folder;

  @Test
  void aRunGoesThroughItsWholeLife() {
    try (TestServer server = TestServer.in(folder)) {
      Scenario scenario = new Scenario(server);
      Workspace workspace = scenario.workspace();
      Scenario.Held held = scenario.running(scenario.repo(workspace));
      Interrupt question = scenario.raise(held, Scenario.question("q1", "Which one?")).get(0);
      assertEquals(RunStatus.RUN_STATUS_BLOCKED, scenario.pause(held).getStatus());
      scenario.answer(question, "the left one");
      assertEquals(RunStatus.RUN_STATUS_RUNNING, scenario.read(held.run()).getStatus());
      scenario.approve(scenario.raise(held, Scenario.toolCall("t1", "Delete?")).get(0));
      assertEquals(3, scenario.upload(held, "a.log", new byte[] {1, 2, 3}).getSizeBytes());
      assertEquals(RunStatus.RUN_STATUS_COMPLETED, scenario.complete(held).getStatus());
      assertTrue(scenario.verify(workspace.getWorkspaceId()).getValid());
      server.restart();
      assertEquals(RunStatus.RUN_STATUS_COMPLETED, scenario.read(held.run()).getStatus());
    }
  }

  @Test
  void aRefusalIsReadWhole() {
    try (TestServer server = TestServer.start()) {
      Failures.Refusal refusal =
          Failures.of(
              Reason.REASON_INVALID_FIELDS,
              () ->
                  server
                      .as(Role.READER)
                      .runs()
                      .getRun(GetRunRequest.newBuilder().setRunId("x").build()));
      assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code());
      assertEquals(java.util.Set.of("run_id"), refusal.violations().keySet());
    }
  }

  @Test
  void aServerThatGoesLeavesNoDiscoveryFile() {
    TestServer server = TestServer.in(folder);
    Path discovery = folder.resolve("runtime").resolve("pmbot").resolve("server.json");
    assertTrue(Files.exists(discovery));
    server.close();
    assertFalse(Files.exists(discovery));
  }
}
