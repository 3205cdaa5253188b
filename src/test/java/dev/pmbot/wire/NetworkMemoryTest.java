package dev.pmbot.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.ConfinedServer;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.RawConnection;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.wire.Principal.Role;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Clients that stop in the middle, of a server that has 32 MiB for what is on its way. */
final class NetworkMemoryTest {
  private static final int MEBIBYTE = 1 << 20;
  private static final int MEBIBYTES = 32;

  @TempDir Path folder;
  private ConfinedServer server;
  private Client client;
  private String workspaceId;
  private final List<RawConnection> slow = new ArrayList<>();

  @BeforeEach
  void serve() {
    server =
        ConfinedServer.start(
            folder.resolve("data"), "-Xmx96m", "-XX:MaxDirectMemorySize=" + MEBIBYTES + "m");
    client = server.as(Role.OPERATOR);
    workspaceId =
        client
            .workspaces()
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("slow").build())
            .getWorkspace()
            .getWorkspaceId();
  }

  @AfterEach
  void stop() {
    slow.forEach(RawConnection::close);
    server.close();
  }

  private RawConnection connect() {
    RawConnection connection = server.connectRaw(Role.OPERATOR);
    slow.add(connection);
    return connection;
  }

  private String createRun(int bytes) {
    return client
        .runs()
        .createRun(
            CreateRunRequest.newBuilder()
                .setWorkspaceId(workspaceId)
                .setGoal("go on")
                .setGraphId("graph/v1")
                .setAgentRunSpecJson("{\"input\":\"" + "x".repeat(bytes) + "\"}")
                .build())
        .getRun()
        .getRunId();
  }

  /** Whether a call is served; if not, it must have been told why. */
  private static boolean isServed(Runnable call) {
    try {
      call.run();
      return true;
    } catch (StatusRuntimeException refused) {
      Failures.Refusal refusal = Failures.read(refused);
      assertEquals("TOO_MANY_OPEN", refusal.reason(), refusal.toString());
      assertEquals(Status.Code.RESOURCE_EXHAUSTED, refusal.code());
      assertTrue(refusal.retryAfter().isPresent());
      return false;
    }
  }

  @Test
  void messagesThatAreNeverWholeAreRefusedAndTheOthersAreServed() {
    for (int number = 0; number < 2 * MEBIBYTES; number++) {
      RawConnection connection = connect();
      connection.begin("pmbot.v1.RunService/CreateRun");
      connection.sendPart(MEBIBYTE, 900_000);
    }
    Await.until(
        "those that there is no room for are refused",
        () -> slow.stream().filter(one -> !one.ended().isEmpty()).count() >= MEBIBYTES);
    for (RawConnection one : slow) {
      String ended = one.ended();
      assertTrue(ended.isEmpty() || (ended.startsWith("8 ") && ended.contains("memory")), ended);
    }
    // What was refused is let go of a moment later.
    Await.until("a small one is served", () -> isServed(() -> createRun(10)));

    slow.forEach(RawConnection::close);
    Await.until("a large one is served", () -> isServed(() -> createRun(1_000_000)));
    assertEquals(List.of(), server.logged("OutOfMemory"));
  }

  @Test
  void whileNobodyTakesLargeAnswersFurtherCallsAreRefused() {
    byte[] request =
        GetRunRequest.newBuilder().setRunId(createRun(1_000_000)).build().toByteArray();
    // What the system keeps of an answer is not the server's.
    for (int number = 0; number < 4; number++) {
      RawConnection connection = connect();
      for (int call = 0; call < MEBIBYTES; call++) {
        connection.begin("pmbot.v1.RunService/GetRun");
        connection.send(request);
      }
    }
    GetServerInfoRequest info = GetServerInfoRequest.getDefaultInstance();
    Await.until(
        "further calls are refused", () -> !isServed(() -> client.server().getServerInfo(info)));

    slow.forEach(RawConnection::close);
    Await.until("calls are served", () -> isServed(() -> client.server().getServerInfo(info)));
    Await.until("a large one too", () -> isServed(() -> createRun(1_000_000)));
    assertEquals(List.of(), server.logged("OutOfMemory"));
  }
}
