package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.config.Config;
import dev.pmbot.kit.Await;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Recording;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.v1.ClaimRunsRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.InboxServiceGrpc;
import dev.pmbot.v1.Limits;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.StreamInboxRequest;
import dev.pmbot.v1.StreamInboxResponse;
import dev.pmbot.wire.Principal.Role;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the configuration limits is limited so. */
final class LimitsTest {
  @TempDir Path folder;

  @Test
  void theServerRefusesAboveWhatWasSetAndSaysSo() {
    try (TestServer server = TestServer.in(folder, new Config.Limits(10, 2, 1))) {
      Limits limits =
          server
              .as(Role.READER)
              .server()
              .getServerInfo(GetServerInfoRequest.getDefaultInstance())
              .getLimits();
      assertEquals(10, limits.getArtifactBytes());
      assertEquals(2, limits.getOpenStreams());
      assertEquals(1, limits.getWaitingClaims());

      Scenario scenario = new Scenario(server);
      Scenario.Held held = scenario.running(scenario.workspace());
      assertEquals(10, scenario.upload(held, "ten", new byte[10]).getSizeBytes());
      AssertionError refused =
          assertThrows(AssertionError.class, () -> scenario.upload(held, "eleven", new byte[11]));
      assertEquals(
          "TOO_LARGE", Failures.read((StatusRuntimeException) refused.getCause()).reason());

      try (Recording<StreamInboxResponse> first = stream(server);
          Recording<StreamInboxResponse> second = stream(server)) {
        first.awaitMessage("in step", StreamInboxResponse::hasSynced);
        second.awaitMessage("in step", StreamInboxResponse::hasSynced);
        try (Recording<StreamInboxResponse> third = stream(server)) {
          assertEquals("TOO_MANY_OPEN", third.awaitRefusal().reason());
        }
      }

      var claims = RunServiceGrpc.newFutureStub(server.as(Role.WORKER).channel());
      ClaimRunsRequest claim =
          ClaimRunsRequest.newBuilder()
              .setWorkerId("waiting")
              .addGraphIds("no/v1")
              .setWait(com.google.protobuf.Duration.newBuilder().setSeconds(60))
              .build();
      var waiting = claims.claimRuns(claim);
      Await.until(
          "the claim waits",
          () ->
              server
                      .as(Role.READER)
                      .server()
                      .getServerInfo(GetServerInfoRequest.getDefaultInstance())
                      .getMeasurements()
                      .getWaitingClaims()
                  == 1);
      Throwable tooMany = Await.failure("a second claim that waits", claims.claimRuns(claim));
      assertEquals("TOO_MANY_OPEN", Failures.read((StatusRuntimeException) tooMany).reason());
      assertTrue(waiting.cancel(true));
    }
  }

  private static Recording<StreamInboxResponse> stream(TestServer server) {
    return Recording.of(
        server.as(Role.READER).channel(),
        InboxServiceGrpc.getStreamInboxMethod(),
        StreamInboxRequest.getDefaultInstance());
  }
}
