package dev.pmbot.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.kit.Failures;
import dev.pmbot.kit.LogLines;
import dev.pmbot.kit.Scenario;
import dev.pmbot.kit.TestServer;
import dev.pmbot.kit.TestTime;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.Reason;
import dev.pmbot.v1.Workspace;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The log of a server's life: what somebody may have to act on, and nothing else. */
final class LogTest {
  @TempDir Path folder;

  private final TestTime time = new TestTime();
  private volatile boolean slow;

  @Test
  void aDayIsAFewLinesAndOrdinaryCallsAreNone() {
    try (LogLines log = LogLines.begin()) {
      TestServer server =
          TestServer.in(
              folder,
              time,
              point -> {
                if (slow && point.equals("commit.before")) {
                  time.advance(Duration.ofMillis(2_500));
                }
              });
      List<String> start = log.take();
      assertEquals(1, start.size(), start.toString());
      assertTrue(
          start
              .get(0)
              .matches(
                  "INFO pmbot \\S+ serves \\Q"
                      + server.address()
                      + "\\E from \\S+data: schema \\d+, \\d+ MiB, synchronous normal"),
          start.toString());

      Scenario scenario = new Scenario(server);
      Workspace workspace = scenario.workspace();
      Scenario.Held held = scenario.running(workspace);
      scenario.answer(scenario.raise(held, Scenario.question("q", "Which?")).get(0), "this");
      scenario.upload(held, "a.log", new byte[10]);
      Failures.of(Reason.REASON_ALREADY_EXISTS, () -> scenario.workspace(workspace.getName()));
      scenario.complete(held);
      assertEquals(List.of(), log.take(), "what clients do, and are refused for, is theirs");

      Scenario.Held lost = scenario.running(workspace);
      time.advance(Duration.ofMinutes(10));
      log.await(
          "WARN worker worker-1 did not renew its lease of run %s, in attempt 1 of 3; the run is approved now"
              .formatted(lost.runId()));
      assertEquals(2, scenario.read(lost.run()).getAttempt());
      assertEquals(1, log.take().size());

      for (int time = 0; time < 3; time++) {
        Failures.of(
            Reason.REASON_UNAUTHENTICATED,
            () ->
                server
                    .with(Optional.of("Bearer guessed"))
                    .server()
                    .getServerInfo(GetServerInfoRequest.getDefaultInstance()));
      }
      log.await(
          "WARN refused (unauthenticated): pmbot.v1.ServerService/GetServerInfo by unknown from 127.0.0.1;");
      assertEquals(1, log.take().size(), "however often it is tried");

      slow = true;
      scenario.workspace();
      log.await("WARN a commit took 2500 ms, and all who write wait for it");
      scenario.workspace();
      slow = false;
      assertEquals(1, log.take().size(), "told once a minute");

      server.close();
      List<String> stop = log.take();
      assertEquals(2, stop.size(), stop.toString());
      assertTrue(stop.get(0).startsWith("INFO stopping: 0 calls are under way"), stop.toString());
      assertTrue(stop.get(1).startsWith("INFO stopped after "), stop.toString());
    }
  }
}
