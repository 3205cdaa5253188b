package dev.pmbot.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.util.LogbackMDCAdapter;
import ch.qos.logback.core.ConsoleAppender;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class LoggingTest {
  private final PrintStream before = System.err;
  private final ByteArrayOutputStream lines = new ByteArrayOutputStream();
  private final LoggerContext context = new LoggerContext();

  @AfterEach
  void restore() {
    context.stop();
    System.setErr(before);
  }

  private String logged(Runnable logging) {
    System.setErr(new PrintStream(lines, true, StandardCharsets.UTF_8));
    context.setMDCAdapter(new LogbackMDCAdapter());
    Logging configurator = new Logging();
    configurator.setContext(context);
    assertEquals(
        Configurator.ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY, configurator.configure(context));
    logging.run();
    return lines.toString(StandardCharsets.UTF_8);
  }

  @Test
  void aLineTellsWhenHowBadWhoAndWhat() {
    String line = logged(() -> context.getLogger("dev.pmbot.run.Claims").info("two are waiting"));
    assertTrue(
        line.matches(
            "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z INFO  Claims two are waiting\\R"),
        line);
  }

  @Test
  void noSecretReachesALine() {
    String secret = "ghp_" + "a1B2".repeat(9);
    String line =
        logged(
            () ->
                context
                    .getLogger("dev.pmbot.wire")
                    .warn("password=hunter2 {}", secret, new IllegalStateException(secret)));
    assertFalse(line.contains(secret) || line.contains("hunter2"), line);
    assertTrue(line.contains("IllegalStateException: [redacted:"), line);
  }

  @Test
  void whatIsNotOursIsHeardOnlyWhenItWarns() {
    String line = logged(() -> context.getLogger("io.grpc").info("chatter"));
    assertEquals("", line);
    ConsoleAppender<ILoggingEvent> appender =
        (ConsoleAppender<ILoggingEvent>)
            context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME).getAppender("STDERR");
    assertEquals("System.err", appender.getTarget());
  }
}
