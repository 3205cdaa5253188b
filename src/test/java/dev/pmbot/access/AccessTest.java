package dev.pmbot.access;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.pmbot.files.PrivateFiles;
import dev.pmbot.json.JsonText;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Client;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Methods;
import dev.pmbot.kit.Methods.Method;
import dev.pmbot.kit.RawCall;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.AuditEvent;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.wire.Principal.Role;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class AccessTest {
  /** The least role for each call, as the contract states it in words. */
  private static final Map<Role, Set<String>> CONTRACT =
      Map.of(
          Role.OPERATOR,
          Set.of(
              "WorkspaceService/CreateWorkspace",
              "WorkspaceService/UpdateWorkspace",
              "RepoService/RegisterRepo",
              "RepoService/UpdateRepo",
              "RunService/CancelRun",
              "RunService/RetryRun",
              "ApprovalService/ResolveApproval",
              "InterruptService/ResolveInterrupt"),
          Role.WORKER,
          Set.of(
              "RunService/CreateRun",
              "RunService/ClaimRuns",
              "RunService/StartRun",
              "RunService/RenewLease",
              "RunService/RecordUsage",
              "RunService/PauseRun",
              "RunService/ReleaseRun",
              "RunService/CompleteRun",
              "RunService/FailRun",
              "ApprovalService/RequestApproval",
              "InterruptService/RaiseInterrupts",
              "InterruptService/WatchDecisions",
              "InterruptService/AcknowledgeDecisions",
              "ArtifactService/UploadArtifact",
              "ArtifactService/RegisterArtifact",
              "AuditService/AppendEvents",
              "ChangesetService/ProposeChangeset",
              "ChangesetService/MarkChangesetApplied"),
          Role.READER,
          Set.of(
              "WorkspaceService/GetWorkspace",
              "WorkspaceService/ListWorkspaces",
              "RepoService/GetRepo",
              "RepoService/ListRepos",
              "RunService/GetRun",
              "RunService/ListRuns",
              "RunService/WatchRun",
              "ApprovalService/GetApproval",
              "ApprovalService/ListApprovals",
              "InterruptService/GetInterrupt",
              "InterruptService/ListInterrupts",
              "InboxService/ListInbox",
              "InboxService/StreamInbox",
              "ArtifactService/GetArtifact",
              "ArtifactService/ListArtifacts",
              "ArtifactService/DownloadArtifact",
              "ArtifactService/VerifyArtifact",
              "ChangesetService/GetChangeset",
              "ChangesetService/ListChangesets",
              "AuditService/ListEvents",
              "AuditService/TailEvents",
              "AuditService/VerifyChain",
              "ServerService/GetServerInfo"));

  @TempDir Path folder;
  private TestServer server;
  private Scenario scenario;

  @BeforeEach
  void start() {
    server = TestServer.in(folder);
    scenario = new Scenario(server);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private RawCall.Outcome call(Client client, Method method) {
    return RawCall.make(client.channel(), method, CallOptions.DEFAULT, List.of(new byte[0]));
  }

  private Client sending(String authorization) {
    return server.with(Optional.of(authorization));
  }

  private static void info(Client client) {
    client.server().getServerInfo(GetServerInfoRequest.getDefaultInstance());
  }

  private List<AuditEvent> denials(String type) {
    return scenario.events("system").stream()
        .filter(event -> event.getType().equals(type))
        .toList();
  }

  private static String fact(AuditEvent event, String name) {
    return JsonText.parse(event.getPayloadJson(), 1 << 20).path(name).asString("");
  }

  @Test
  void everyMethodOfTheServerIsInTheTable() {
    Set<String> served =
        Methods.of(server).stream()
            .map(Method::name)
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> contract =
        CONTRACT.values().stream()
            .flatMap(Set::stream)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(contract, served);
    Map<String, Role> table = new TreeMap<>();
    served.forEach(name -> table.put(name, Roles.required("pmbot.v1." + name)));
    Map<String, Role> expected = new TreeMap<>();
    CONTRACT.forEach((role, names) -> names.forEach(name -> expected.put(name, role)));
    assertEquals(expected, table);
  }

  @ParameterizedTest
  @EnumSource(Role.class)
  void aRoleMayCallWhatTheTableAllowsAndNothingElse(Role role) {
    Client client = server.as(role);
    for (Method method : Methods.of(server)) {
      Role least =
          CONTRACT.entrySet().stream()
              .filter(entry -> entry.getValue().contains(method.name()))
              .map(Map.Entry::getKey)
              .findFirst()
              .orElseThrow();
      RawCall.Outcome outcome = call(client, method);
      if (role.compareTo(least) < 0) {
        Failures.Refusal refusal = outcome.refusal();
        assertEquals(Status.Code.PERMISSION_DENIED, refusal.code(), method.name());
        assertEquals("ROLE_NOT_ALLOWED", refusal.reason(), method.name());
        assertEquals(
            Map.of(
                "role", role.name().toLowerCase(Locale.ROOT),
                "required", least.name().toLowerCase(Locale.ROOT)),
            refusal.metadata(),
            method.name());
      } else {
        // An empty request is either good enough or breaks a rule; the role is no hindrance.
        assertTrue(
            outcome.accepted() || outcome.refusal().reason().equals("INVALID_FIELDS"),
            () -> method.name() + ": " + outcome);
      }
    }
  }

  @Test
  void withoutATokenNothingOfOursCanBeCalled() {
    List<Client> strangers =
        List.of(
            server.with(Optional.empty()),
            sending("Bearer " + "x".repeat(80)),
            sending("Bearer"),
            sending("Bearer "),
            sending(server.token(Role.OPERATOR)),
            sending("Basic " + server.token(Role.OPERATOR)),
            sending("Bearer " + server.token(Role.OPERATOR) + "x"),
            sending("Bearer " + server.token(Role.OPERATOR).toUpperCase(Locale.ROOT)));
    for (Client stranger : strangers) {
      for (Method method : Methods.of(server)) {
        Failures.Refusal refusal = call(stranger, method).refusal();
        assertEquals(Status.Code.UNAUTHENTICATED, refusal.code(), method.name());
        assertEquals("UNAUTHENTICATED", refusal.reason(), method.name());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"Bearer ", "bearer ", "BEARER ", "Bearer   "})
  void theSchemesNameIsReadAsHttpHasIt(String scheme) {
    assertDoesNotThrow(() -> info(sending(scheme + server.token(Role.READER))));
  }

  @Test
  void aRefusedCallChangesNothing() {
    Failures.of(
        Reason.REASON_ROLE_NOT_ALLOWED,
        () ->
            server
                .as(Role.WORKER)
                .workspaces()
                .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("mine").build()));
    assertEquals("mine", scenario.workspace("mine").getName());
  }

  @Test
  void theFirstDenialIsOnTheRecordAtOnceAndFurtherOnesAreCounted() {
    Client worker = server.asWorker("worker-9");
    for (int count = 0; count < 5; count++) {
      Failures.of(
          Reason.REASON_ROLE_NOT_ALLOWED,
          () ->
              worker
                  .workspaces()
                  .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("mine").build()));
    }
    Failures.of(Reason.REASON_UNAUTHENTICATED, () -> info(sending("Bearer wrong")));
    Await.until("both kinds are on the record", () -> denials("access.denied").size() == 2);
    AuditEvent first = denials("access.denied").get(0);
    assertEquals("system", first.getActor());
    assertEquals("pmbot.v1.WorkspaceService/CreateWorkspace", fact(first, "method"));
    assertEquals("worker:worker-9", fact(first, "caller"));
    assertEquals("role", fact(first, "reason"));
    assertEquals("127.0.0.1", fact(first, "peer"));
    AuditEvent second = denials("access.denied").get(1);
    assertEquals("unknown", fact(second, "caller"));
    assertEquals("unauthenticated", fact(second, "reason"));
    assertFalse(second.getPayloadJson().contains("wrong"), "what was sent is nobody's business");
    assertEquals(List.of(), denials("access.denied_again"));

    server.restart();
    List<AuditEvent> counted = denials("access.denied_again");
    assertEquals(1, counted.size());
    assertTrue(counted.get(0).getPayloadJson().contains("\"count\":4"), counted.toString());
    assertTrue(scenario.verify("system").getValid());
  }

  @Test
  void nobodyCanFillTheChainByBeingRefused() {
    int kinds = 230;
    for (int number = 0; number < kinds; number++) {
      Client worker = server.asWorker("worker-" + number);
      Failures.of(
          Reason.REASON_ROLE_NOT_ALLOWED,
          () ->
              worker
                  .workspaces()
                  .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("mine").build()));
      worker.managed().shutdownNow();
    }
    server.restart();
    assertEquals(200, denials("access.denied").size());
    List<AuditEvent> counted = denials("access.denied_again");
    assertEquals(1, counted.size());
    assertEquals("various", fact(counted.get(0), "method"));
    assertTrue(counted.get(0).getPayloadJson().contains("\"count\":30"), counted.toString());
  }

  @Test
  void aReplacedTokenCountsWithoutARestart() throws IOException {
    String old = server.token(Role.WORKER);
    Client before = sending("Bearer " + old);
    info(before);
    String next = "a-token-of-the-operators-own-making";
    PrivateFiles.replace(
        server.controlPlane().tokenFile(Role.WORKER), next.getBytes(StandardCharsets.UTF_8));
    server.time().advance(Duration.ofSeconds(1));
    Failures.of(Reason.REASON_UNAUTHENTICATED, () -> info(before));
    info(sending("Bearer " + next));
    info(server.as(Role.OPERATOR));
  }

  @Test
  void tokensThatCannotBeReadLeaveTheOldOnesInForce() throws IOException {
    Client worker = server.as(Role.WORKER);
    Path file = server.controlPlane().tokenFile(Role.WORKER);
    PrivateFiles.replace(file, new byte[0]);
    server.time().advance(Duration.ofSeconds(2));
    info(worker);
    Failures.of(Reason.REASON_UNAUTHENTICATED, () -> info(sending("Bearer ")));
    Files.delete(file);
    server.time().advance(Duration.ofSeconds(2));
    info(worker);
  }

  @Test
  void theThreeTokensDiffer() {
    assertEquals(
        Role.values().length, Stream.of(Role.values()).map(server::token).distinct().count());
    for (Role role : EnumSet.allOf(Role.class)) {
      assertEquals(
          role.name().toLowerCase(Locale.ROOT),
          server
              .as(role)
              .server()
              .getServerInfo(GetServerInfoRequest.getDefaultInstance())
              .getRole());
    }
  }

  @Test
  void nobodyElseOnTheMachineCanReadWhatTheServerKeeps() throws IOException {
    scenario.upload(scenario.running(scenario.workspace()), "a.log", new byte[] {1});
    List<String> readable = new ArrayList<>();
    try (Stream<Path> files = Files.walk(server.dataDirectory())) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
        boolean privately = mode.endsWith("------") || behindAPrivateFolder(file);
        if (!privately) {
          readable.add(mode + " " + file);
        }
      }
    }
    assertEquals(List.of(), readable);
    for (Role role : Role.values()) {
      assertEquals(
          "rw-------",
          PosixFilePermissions.toString(
              Files.getPosixFilePermissions(server.controlPlane().tokenFile(role))));
    }
  }

  private boolean behindAPrivateFolder(Path file) throws IOException {
    for (Path parent = file.getParent();
        parent != null && parent.startsWith(server.dataDirectory());
        parent = parent.getParent()) {
      if (PosixFilePermissions.toString(Files.getPosixFilePermissions(parent)).endsWith("------")) {
        return true;
      }
    }
    return false;
  }

  @Test
  void healthNeedsNoToken() {
    assertEquals(
        ServingStatus.SERVING,
        HealthGrpc.newBlockingStub(server.connect())
            .check(HealthCheckRequest.getDefaultInstance())
            .getStatus());
  }

  @Test
  void reflectionNeedsNoTokenAndListsEveryService() {
    ManagedChannel connection = server.connect();
    Set<String> expected =
        CONTRACT.values().stream()
            .flatMap(Set::stream)
            .map(name -> "pmbot.v1." + name.substring(0, name.indexOf('/')))
            .collect(Collectors.toCollection(TreeSet::new));
    expected.add("grpc.health.v1.Health");
    expected.add("grpc.reflection.v1.ServerReflection");
    expected.add("grpc.reflection.v1alpha.ServerReflection");
    assertEquals(expected, new TreeSet<>(Methods.services(connection)));
    assertEquals(expected, new TreeSet<>(OlderReflection.services(connection)));
  }

  @Test
  void reflectionKnowsTheTypesOfErrorDetails() throws InvalidProtocolBufferException {
    for (String type : List.of("ErrorInfo", "BadRequest", "RetryInfo")) {
      var answer =
          Methods.ask(
              server.connect(),
              ServerReflectionRequest.newBuilder()
                  .setFileContainingSymbol("google.rpc." + type)
                  .build());
      assertFalse(answer.hasErrorResponse(), answer.toString());
      FileDescriptorProto file =
          FileDescriptorProto.parseFrom(
              answer.getFileDescriptorResponse().getFileDescriptorProto(0));
      assertTrue(
          file.getMessageTypeList().stream().anyMatch(message -> message.getName().equals(type)));
    }
  }

  @Test
  void aWorkersWordForItselfIsCheckedAndNeverMakesItSomebodyElse() {
    Failures.Refusal refusal =
        Failures.of(Reason.REASON_INVALID_FIELDS, () -> info(server.asWorker("has space")));
    assertEquals(Set.of("pmbot-worker-id"), refusal.violations().keySet());
    String actor =
        server
            .asWorker("local_user")
            .server()
            .getServerInfo(GetServerInfoRequest.getDefaultInstance())
            .getActor();
    assertNotEquals("local_user", actor);
    assertEquals("worker:local_user", actor);
  }
}
