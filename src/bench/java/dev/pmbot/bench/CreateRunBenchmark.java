package dev.pmbot.bench;

import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.ServerServiceGrpc;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import io.grpc.Channel;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToDoubleFunction;

/**
 * CreateRun at 64 in flight and alone, beside Health/Check on the same server in the same run; with
 * the time from the start of the process to its first answer, and the memory it holds when idle.
 */
public final class CreateRunBenchmark {
  private static final int IN_FLIGHT = 64;
  private static final int CONNECTIONS = 4;
  private static final int ROUNDS = 5;
  private static final double SECONDS = 3;
  private static final double WARM_UP_SECONDS = 30;
  private static final int IDLE_MILLIS = 5_000;

  private final List<RunServiceGrpc.RunServiceStub> runs = new ArrayList<>();
  private final List<HealthGrpc.HealthStub> health = new ArrayList<>();
  private final AtomicInteger turn = new AtomicInteger();
  private final String workspaceId;

  private CreateRunBenchmark(ServerProcess server) {
    Channel first = server.channel();
    workspaceId =
        WorkspaceServiceGrpc.newBlockingStub(first)
            .createWorkspace(CreateWorkspaceRequest.newBuilder().setName("bench").build())
            .getWorkspace()
            .getWorkspaceId();
    for (int connection = 0; connection < CONNECTIONS; connection++) {
      Channel channel = server.channel();
      runs.add(RunServiceGrpc.newStub(channel));
      health.add(HealthGrpc.newStub(channel));
    }
  }

  /** Measures; the argument is the server's jar. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    Path jar = Path.of(arguments[0]);
    List<Double> starts = new ArrayList<>();
    List<Double> memory = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      long begin = System.nanoTime();
      try (ServerProcess server = new ServerProcess(jar)) {
        ServerServiceGrpc.newBlockingStub(server.channel())
            .getServerInfo(GetServerInfoRequest.getDefaultInstance());
        starts.add((System.nanoTime() - begin) / 1e9);
        Thread.sleep(IDLE_MILLIS);
        memory.add((double) server.residentMebibytes());
      }
    }
    System.out.printf(
        "start to first answer: %.2f s (median of %d)%n", median(starts, d -> d), ROUNDS);
    System.out.printf(
        "resident when idle:    %.0f MiB (median of %d)%n%n", median(memory, d -> d), ROUNDS);
    try (ServerProcess server = new ServerProcess(jar)) {
      new CreateRunBenchmark(server).measure();
    }
  }

  private void measure() throws InterruptedException {
    Load.run(IN_FLIGHT, WARM_UP_SECONDS, this::createRun);
    Load.run(IN_FLIGHT, SECONDS, this::check);
    System.out.println("| call | in flight | calls | p50 | p99 |");
    System.out.println("|---|---|---|---|---|");
    for (int inFlight : new int[] {IN_FLIGHT, 1}) {
      List<Load.Result> creates = new ArrayList<>();
      List<Load.Result> checks = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        creates.add(Load.run(inFlight, SECONDS, this::createRun));
        checks.add(Load.run(inFlight, SECONDS, this::check));
      }
      print("CreateRun", inFlight, creates);
      print("Health/Check", inFlight, checks);
    }
  }

  private static void print(String call, int inFlight, List<Load.Result> results) {
    Load.Result median =
        new Load.Result(
            median(results, Load.Result::perSecond),
            median(results, Load.Result::p50),
            median(results, Load.Result::p99));
    System.out.printf("| %s | %d | %s |%n", call, inFlight, median);
  }

  private static <T> double median(List<T> values, ToDoubleFunction<T> of) {
    return values.stream()
        .map(of::applyAsDouble)
        .sorted(Comparator.naturalOrder())
        .toList()
        .get(values.size() / 2);
  }

  private void createRun(StreamObserver<Object> observer) {
    CreateRunRequest request =
        CreateRunRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setWorkspaceId(workspaceId)
            .setGoal("measure how fast a run is proposed")
            .setGraphId("bench/v1")
            .build();
    next(runs).createRun(request, typed(observer));
  }

  private void check(StreamObserver<Object> observer) {
    next(health).check(HealthCheckRequest.getDefaultInstance(), typed(observer));
  }

  private <S> S next(List<S> stubs) {
    return stubs.get(Math.floorMod(turn.getAndIncrement(), stubs.size()));
  }

  private static <R> StreamObserver<R> typed(StreamObserver<Object> observer) {
    return new StreamObserver<>() {
      @Override
      public void onNext(R reply) {
        observer.onNext(reply);
      }

      @Override
      public void onError(Throwable problem) {
        observer.onError(problem);
      }

      @Override
      public void onCompleted() {
        observer.onCompleted();
      }
    };
  }
}
