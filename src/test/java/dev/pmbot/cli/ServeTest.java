package dev.pmbot.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.Main;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.ChildJvm;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ArtifactServiceGrpc;
import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Run;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.v1.UploadArtifactResponse;
import dev.pmbot.v1.VerifyChainRequest;
import dev.pmbot.wire.Principal.Role;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The program as a person starts and stops it: a process of its own. */
final class ServeTest {
  private static final int ENDED_BY_SIGTERM = 143;
  private static final int KILLED = 137;

  @TempDir Path folder;

  private ChildJvm pmbot(String... arguments) {
    return ChildJvm.start(Main.class, environment(), arguments);
  }

  private Map<String, String> environment() {
    return Map.of("XDG_RUNTIME_DIR", folder.resolve("runtime").toString());
  }

  private Path data() {
    return folder.resolve("data");
  }

  private String serving(ChildJvm child) {
    Await.until(
        "it says where it serves, not " + child.errors(),
        () -> child.output().stream().anyMatch(line -> line.contains("Try:")));
    String first = child.output().get(0);
    return first.substring(first.lastIndexOf(' ') + 1);
  }

  private Client operator(String address) throws IOException {
    return Client.connect(
        address, Files.readString(data().resolve("tokens").resolve("operator.token")).strip());
  }

  private static String only(List<String> lines) {
    assertEquals(1, lines.size(), lines.toString());
    return lines.get(0);
  }

  @Test
  void itGreetsWithEverythingThatIsNeededNext() throws IOException {
    try (ChildJvm child = pmbot("serve", "--data=" + data(), "--port=0")) {
      String address = serving(child);
      String said = String.join("\n", child.output());
      assertTrue(address.startsWith("127.0.0.1:"), address);
      assertTrue(said.contains(data().toString()), said);
      assertTrue(said.contains("operator.token"), said);
      assertTrue(said.contains("grpcurl"), said);
      String token = Files.readString(data().resolve("tokens").resolve("operator.token")).strip();
      assertFalse(said.contains(token), "a token is nothing to print");
      Client client = operator(address);
      assertEquals(
          "operator",
          client.server().getServerInfo(GetServerInfoRequest.getDefaultInstance()).getRole());
      client.managed().shutdownNow();
      child.terminate();
      assertEquals(ENDED_BY_SIGTERM, child.awaitExit());
    }
  }

  @Test
  void anOccupiedPortIsSaidClearly() throws IOException {
    try (ServerSocket occupied = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        ChildJvm child = pmbot("serve", "--data=" + data(), "--port=" + occupied.getLocalPort())) {
      assertEquals(1, child.awaitExit(), child.errors().toString());
      List<String> errors = said(child);
      assertTrue(
          errors.get(0).startsWith("pmbot: 127.0.0.1:" + occupied.getLocalPort()),
          errors.toString());
      assertTrue(errors.get(0).contains("in use"), errors.toString());
      assertEquals(2, errors.size(), errors.toString());
      assertEquals(List.of(), child.output());
    }
    // Whoever tries again on a free port is not kept from it by what the first one left.
    try (TestServer server = TestServer.in(folder)) {
      assertTrue(new Scenario(server).verify("system").getValid());
    }
  }

  /** What it said to the person; the log's lines begin with a time. */
  private static List<String> said(ChildJvm child) {
    List<String> said =
        child.errors().stream().filter(line -> !line.matches("\\d{4}-\\d\\d-\\d\\dT.*")).toList();
    said.forEach(line -> assertFalse(line.startsWith("\tat "), said.toString()));
    return said;
  }

  @Test
  void aDirectoryThatAnotherServerHoldsIsSaidInOneLine() {
    try (TestServer server = TestServer.in(folder);
        ChildJvm child = pmbot("serve", "--data=" + server.dataDirectory(), "--port=0")) {
      assertEquals(1, child.awaitExit());
      String line = only(child.errors());
      assertTrue(line.startsWith("pmbot: "), line);
      assertTrue(line.contains(server.dataDirectory().toString()), line);
      assertEquals(List.of(), child.output());
    }
  }

  @Test
  void aDirectoryThatIsSomethingElseIsSaidInOneLineAndNotTouched() throws IOException {
    Files.createDirectories(data());
    Files.writeString(data().resolve("thesis.txt"), "chapter one");
    try (ChildJvm child = pmbot("serve", "--data=" + data(), "--port=0")) {
      assertEquals(1, child.awaitExit());
      String line = only(child.errors());
      assertTrue(line.startsWith("pmbot: "), line);
    }
    try (var files = Files.list(data())) {
      assertEquals(List.of(data().resolve("thesis.txt")), files.toList());
    }
  }

  @Test
  void anotherProgramsDatabaseIsSaidInOneLine() throws IOException {
    try (TestServer server = TestServer.in(folder)) {
      server.stop();
      Files.writeString(server.database(), "Dear diary,\n".repeat(500));
      try (ChildJvm child = pmbot("serve", "--data=" + data(), "--port=0")) {
        assertEquals(1, child.awaitExit());
        String line = only(said(child));
        assertTrue(line.contains("cannot be opened as a SQLite database"), line);
        Failures.assertHoldsNoInnards(line.replaceAll("\\[SQLITE_\\w+\\]", ""));
      }
      Files.delete(server.database());
      server.restart(untouched -> {});
    }
  }

  @Test
  void whatServeIsToRunWithMayStandInAFileInANewDirectory() throws IOException {
    Files.createDirectories(data());
    Files.writeString(
        data().resolve("pmbot.toml"), "port = 0\nopen_streams = 3\nsynchronous = \"full\"\n");
    try (ChildJvm child = pmbot("serve", "--data=" + data())) {
      Client client = operator(serving(child));
      var info = client.server().getServerInfo(GetServerInfoRequest.getDefaultInstance());
      assertEquals(3, info.getLimits().getOpenStreams());
      assertEquals("full", info.getSynchronous());
      client.managed().shutdownNow();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "serve --host=0.0.0.0",
        "serve --port=70000",
        "serve --port=many",
        "serve --synchronous=sometimes",
        "serve --nonsense",
        "nonsense"
      })
  void aWrongUseIsExitCodeTwo(String arguments) {
    List<String> all = new ArrayList<>(List.of(arguments.split(" ")));
    if (arguments.startsWith("serve")) {
      all.add("--data=" + data());
    }
    try (ChildJvm child = pmbot(all.toArray(String[]::new))) {
      assertEquals(2, child.awaitExit(), child.output().toString());
      assertFalse(child.errors().isEmpty());
      said(child);
    }
    assertFalse(Files.exists(data()));
  }

  @Test
  void aCheckTellsThatItCanServeAndStops() {
    try (ChildJvm child = pmbot("serve", "--check", "--data=" + data(), "--port=0")) {
      assertEquals(0, child.awaitExit(), child.errors().toString());
      assertTrue(child.output().get(0).startsWith("pmbot "), child.output().toString());
    }
    assertFalse(Files.exists(data().resolve("server.json")));
    assertFalse(Files.exists(data().resolve("control_plane").resolve("pmbot.sqlite3-wal")));
  }

  @Test
  void aCheckTellsWhatKeepsItFromServing() throws IOException {
    try (TestServer server = TestServer.in(folder);
        ChildJvm held = pmbot("serve", "--check", "--data=" + server.dataDirectory(), "--port=0");
        ChildJvm taken =
            pmbot(
                "serve",
                "--check",
                "--data=" + folder.resolve("other"),
                "--port=" + server.address().substring(server.address().lastIndexOf(':') + 1))) {
      assertEquals(1, held.awaitExit());
      assertTrue(only(held.errors()).contains("holds the data directory"));
      assertEquals(1, taken.awaitExit());
      assertTrue(said(taken).get(0).contains("in use"), taken.errors().toString());
      assertEquals(List.of(), held.output());
      assertEquals(List.of(), taken.output());
      assertEquals(
          "operator",
          server
              .as(Role.OPERATOR)
              .server()
              .getServerInfo(GetServerInfoRequest.getDefaultInstance())
              .getRole(),
          "the one that serves does so still");
    }
  }

  @Test
  void aSecondSignalEndsAStopThatTakesTooLong() throws IOException {
    try (ChildJvm child = pmbot("serve", "--data=" + data(), "--port=0", "--stop-seconds=3600")) {
      Client client = operator(serving(child));
      // An upload that never goes on, and of which the server must have taken notice.
      Recording<UploadArtifactResponse> upload =
          Recording.open(client.channel(), ArtifactServiceGrpc.getUploadArtifactMethod());
      client.server().getServerInfo(GetServerInfoRequest.getDefaultInstance());
      child.terminate();
      Await.until(
          "it says that it stops",
          () -> child.errors().stream().anyMatch(line -> line.contains("stopping: 1 calls")));
      assertTrue(child.process().isAlive());
      child.terminate();
      assertEquals(ENDED_BY_SIGTERM, child.awaitExit());
      assertFalse(
          child.errors().stream().anyMatch(line -> line.contains("stopped after")),
          child.errors().toString());
      assertEquals(io.grpc.Status.Code.UNAVAILABLE, upload.awaitEnd().getCode());
      client.managed().shutdownNow();
    }
    assertEquals(0, Pmbot.run("fsck", "--data=" + data()));
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void whatWasAcknowledgedOutlivesTheEndOfTheServer(boolean killed)
      throws IOException, InterruptedException {
    ConcurrentLinkedQueue<String> acknowledged = new ConcurrentLinkedQueue<>();
    try (ChildJvm child = pmbot("serve", "--data=" + data(), "--port=0")) {
      Client client = operator(serving(child));
      String workspaceId =
          client
              .workspaces()
              .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("one").build())
              .getWorkspace()
              .getWorkspaceId();
      Recording<StreamInboxResponse> stream =
          Recording.of(
              client.channel(),
              InboxServiceGrpc.getStreamInboxMethod(),
              StreamInboxRequest.getDefaultInstance());
      stream.awaitMessage("in step", StreamInboxResponse::hasSynced);
      List<Thread> workers = new ArrayList<>();
      ConcurrentLinkedQueue<Throwable> ends = new ConcurrentLinkedQueue<>();
      for (int count = 0; count < 4; count++) {
        Thread worker =
            new Thread(
                () -> {
                  try {
                    while (true) {
                      acknowledged.add(
                          client
                              .runs()
                              .createRun(
                                  CreateRunRequest.newBuilder()
                                      .setWorkspaceId(workspaceId)
                                      .setGoal("go on until it ends")
                                      .setGraphId("graph/v1")
                                      .build())
                              .getRun()
                              .getRunId());
                    }
                  } catch (StatusRuntimeException end) {
                    ends.add(end);
                  }
                });
        workers.add(worker);
        worker.start();
      }
      Await.until("work is in flight", () -> acknowledged.size() > 300);
      if (killed) {
        child.process().destroyForcibly();
      } else {
        child.terminate();
      }
      assertEquals(killed ? KILLED : ENDED_BY_SIGTERM, child.awaitExit());
      for (Thread worker : workers) {
        worker.join(Await.PATIENCE.toMillis());
        assertFalse(worker.isAlive());
      }
      for (Throwable end : ends) {
        assertEquals(
            io.grpc.Status.Code.UNAVAILABLE,
            ((StatusRuntimeException) end).getStatus().getCode(),
            end.toString());
      }
      if (!killed) {
        assertEquals("SHUTTING_DOWN", stream.awaitRefusal().reason());
        Path log = data().resolve("control_plane").resolve("pmbot.sqlite3-wal");
        assertTrue(!Files.exists(log) || Files.size(log) == 0, "a log was left behind");
        assertFalse(Files.exists(data().resolve("server.json")));
        assertFalse(
            Files.exists(folder.resolve("runtime").resolve("pmbot").resolve("server.json")));
        assertEquals(
            List.of("serves", "stopping:", "stopped"),
            child.errors().stream()
                .map(
                    line ->
                        line.replaceFirst(
                            "^\\S+ INFO +ControlPlane .*?(serves|stopping:|stopped).*", "$1"))
                .toList(),
            "whoever reads the log sees all three, and nothing that went wrong");
      }
      client.managed().shutdownNow();
    }
    assertEquals(0, Pmbot.run("fsck", "--data=" + data()));
    try (TestServer server = TestServer.in(folder)) {
      Client reader = server.as(Role.READER);
      String workspaceId = "";
      for (String runId : acknowledged) {
        Run run = reader.runs().getRun(GetRunRequest.newBuilder().setRunId(runId).build()).getRun();
        workspaceId = run.getWorkspaceId();
      }
      var chain =
          reader
              .audit()
              .verifyChain(VerifyChainRequest.newBuilder().setWorkspaceId(workspaceId).build());
      assertTrue(chain.getValid(), chain.toString());
      // Each run is two events, and the workspace is one.
      assertTrue(chain.getVerifiedEvents() >= 1 + 2L * acknowledged.size());
      assertEquals(
          1, chain.getVerifiedEvents() % 2, "a run without its approval, or without events");
    }
  }
}
