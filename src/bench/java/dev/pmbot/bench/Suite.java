package dev.pmbot.bench;

import dev.pmbot.v1.CreateRunRequest;
import dev.pmbot.v1.CreateWorkspaceRequest;
import dev.pmbot.v1.GetRunRequest;
import dev.pmbot.v1.ListRunsRequest;
import dev.pmbot.v1.RunServiceGrpc;
import dev.pmbot.v1.WorkspaceServiceGrpc;
import io.grpc.Channel;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/** What is measured of one server. */
final class Suite {
  private static final int IN_FLIGHT = 64;
  private static final int CONNECTIONS = 4;
  private static final int ROUNDS = 5;
  private static final double SECONDS = 3;
  private static final double WARM_UP_SECONDS = 30;
  private static final double SHORT_WARM_UP_SECONDS = 4;
  private static final String GRAPH = "bench/v1";

  private final ServerProcess server;
  private final List<RunServiceGrpc.RunServiceStub> runs = new ArrayList<>();
  private final List<HealthGrpc.HealthStub> health = new ArrayList<>();
  private final AtomicInteger turn = new AtomicInteger();
  private final Map<String, Line> lines = new LinkedHashMap<>();
  private final String workspaceId;

  Suite(ServerProcess server) {
    this.server = server;
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

  Map<String, Line> measure(boolean everything) throws InterruptedException {
    Load.run(IN_FLIGHT, WARM_UP_SECONDS, this::createRun);
    calls("Health/Check", this::check);
    calls("CreateRun", this::createRun);
    if (everything) {
      String runId =
          RunServiceGrpc.newBlockingStub(server.channel())
              .createRun(newRun("the run that is read"))
              .getRun()
              .getRunId();
      calls("GetRun", observer -> getRun(runId, observer));
      calls("ListRuns, 50 of them", this::listRuns);
      lines.putAll(new Questions(server).measure());
      lines.putAll(new Tails(server, workspaceId).measure());
    }
    return lines;
  }

  /** Only CreateRun, at so many in flight. */
  Line createRuns(int inFlight) throws InterruptedException {
    Load.run(IN_FLIGHT, WARM_UP_SECONDS, this::createRun);
    List<Load.Result> results = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      results.add(Load.run(inFlight, SECONDS, this::createRun));
    }
    return Line.calls(results);
  }

  private void calls(String name, Consumer<StreamObserver<Object>> call)
      throws InterruptedException {
    Load.run(IN_FLIGHT, SHORT_WARM_UP_SECONDS, call);
    for (int inFlight : new int[] {IN_FLIGHT, 1}) {
      List<Load.Result> results = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        results.add(Load.run(inFlight, SECONDS, call));
      }
      lines.put(
          name + (inFlight == 1 ? ", alone" : ", " + inFlight + " in flight"), Line.calls(results));
    }
  }

  private CreateRunRequest newRun(String goal) {
    return CreateRunRequest.newBuilder()
        .setRequestId(UUID.randomUUID().toString())
        .setWorkspaceId(workspaceId)
        .setGoal(goal)
        .setGraphId(GRAPH)
        .build();
  }

  private void createRun(StreamObserver<Object> observer) {
    next(runs).createRun(newRun("measure how fast a run is proposed"), typed(observer));
  }

  private void getRun(String runId, StreamObserver<Object> observer) {
    next(runs).getRun(GetRunRequest.newBuilder().setRunId(runId).build(), typed(observer));
  }

  private void listRuns(StreamObserver<Object> observer) {
    next(runs)
        .listRuns(
            ListRunsRequest.newBuilder().setWorkspaceId(workspaceId).setPageSize(50).build(),
            typed(observer));
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
