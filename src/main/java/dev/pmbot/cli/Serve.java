package dev.pmbot.cli;

import dev.pmbot.ControlPlane;
import dev.pmbot.config.Config;
import dev.pmbot.config.ConfigProblem;
import dev.pmbot.files.DataDirectoryProblem;
import dev.pmbot.server.Probe;
import dev.pmbot.store.StoreException;
import dev.pmbot.wire.Principal.Role;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Serves until it is told to stop. */
@Command(
    name = "serve",
    description = "Serves until it is told to stop (SIGTERM, Ctrl-C).",
    mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli fills the fields before it calls.
final class Serve implements Callable<Integer> {
  private static final int FAILED = 1;
  private static final int USED_WRONGLY = 2;

  @Spec private CommandSpec spec;

  @Option(
      names = "--check",
      description =
          "Start, ask the server as a client would, say so, and stop: tells whether it can serve.")
  private boolean check;

  @Override
  public Integer call() throws InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    Config config;
    try {
      config = SettingOptions.loader(spec).load().config();
    } catch (ConfigProblem problem) {
      err.println("pmbot: " + problem.getMessage());
      return USED_WRONGLY;
    }
    Logging.setLevel(config.logLevel());
    ControlPlane controlPlane;
    try {
      controlPlane =
          new ControlPlane(
              config, TestClock.fromProperties(), System.getenv(), TestHalt.fromProperties());
    } catch (DataDirectoryProblem | StoreException problem) {
      err.println("pmbot: " + problem.getMessage());
      return FAILED;
    } catch (IOException problem) {
      err.println(
          "pmbot: %s:%d cannot be served: %s"
              .formatted(config.host(), config.port(), reason(problem)));
      err.println("       Another server may have it; try --port=0 for any free port.");
      return FAILED;
    }
    if (check) {
      boolean serves = Probe.serves(controlPlane.address());
      if (serves) {
        greet(out, controlPlane);
      } else {
        err.println("pmbot: " + controlPlane.address() + " was opened, but does not answer");
      }
      controlPlane.close();
      return serves ? 0 : FAILED;
    }
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  SecondSignal.halts();
                  controlPlane.close();
                  stopped.countDown();
                },
                "pmbot-stop"));
    greet(out, controlPlane);
    stopped.await();
    return 0;
  }

  private static String reason(Throwable problem) {
    Throwable cause = problem.getCause() == null ? problem : problem.getCause();
    return String.valueOf(cause.getMessage());
  }

  private static void greet(PrintWriter out, ControlPlane controlPlane) {
    Path token = controlPlane.tokenFile(Role.OPERATOR);
    out.println("pmbot " + Config.version() + " serves on " + controlPlane.address());
    out.println("  data    " + controlPlane.dataDirectory());
    out.println("  tokens  " + token.getParent() + " (operator, worker, reader)");
    out.println("Try:");
    out.println(
        "  grpcurl -plaintext -H \"authorization: Bearer $(cat "
            + token
            + ")\" "
            + controlPlane.address()
            + " pmbot.v1.ServerService/GetServerInfo");
    out.flush();
  }
}
