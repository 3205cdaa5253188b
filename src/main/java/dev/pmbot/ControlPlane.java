package dev.pmbot;

import com.google.common.util.concurrent.MoreExecutors;
import dev.pmbot.access.AccessInterceptor;
import dev.pmbot.access.Denials;
import dev.pmbot.access.Roles;
import dev.pmbot.access.Tokens;
import dev.pmbot.approval.ApprovalKind;
import dev.pmbot.approval.ApprovalMapper;
import dev.pmbot.approval.ApprovalProtos;
import dev.pmbot.approval.ApprovalService;
import dev.pmbot.approval.ApprovalStatus;
import dev.pmbot.approval.Approvals;
import dev.pmbot.approval.PayloadSeal;
import dev.pmbot.artifact.ArtifactFiles;
import dev.pmbot.artifact.ArtifactMapper;
import dev.pmbot.artifact.ArtifactService;
import dev.pmbot.artifact.Artifacts;
import dev.pmbot.audit.Audit;
import dev.pmbot.audit.AuditMapper;
import dev.pmbot.audit.AuditService;
import dev.pmbot.audit.EventRow;
import dev.pmbot.changeset.ChangesetMapper;
import dev.pmbot.changeset.ChangesetService;
import dev.pmbot.changeset.Changesets;
import dev.pmbot.config.Config;
import dev.pmbot.feed.Feed;
import dev.pmbot.files.CrashPoints;
import dev.pmbot.files.DataDirectory;
import dev.pmbot.files.Discovery;
import dev.pmbot.files.FileStore;
import dev.pmbot.files.OpenFiles;
import dev.pmbot.inbox.Inbox;
import dev.pmbot.inbox.InboxService;
import dev.pmbot.interrupt.InterruptMapper;
import dev.pmbot.interrupt.InterruptService;
import dev.pmbot.interrupt.Interrupts;
import dev.pmbot.json.Redaction;
import dev.pmbot.repo.RepoMapper;
import dev.pmbot.repo.RepoService;
import dev.pmbot.repo.Repos;
import dev.pmbot.run.Claims;
import dev.pmbot.run.RunMapper;
import dev.pmbot.run.RunService;
import dev.pmbot.run.Runs;
import dev.pmbot.server.Consistency;
import dev.pmbot.server.ContradictionMapper;
import dev.pmbot.server.Housekeeping;
import dev.pmbot.server.Measurements;
import dev.pmbot.server.ServerService;
import dev.pmbot.store.Ids;
import dev.pmbot.store.SqliteInspection;
import dev.pmbot.store.SqliteStore;
import dev.pmbot.store.Store;
import dev.pmbot.store.StoreException;
import dev.pmbot.store.Synchronous;
import dev.pmbot.store.Time;
import dev.pmbot.v1.Approval;
import dev.pmbot.v1.Artifact;
import dev.pmbot.v1.Changeset;
import dev.pmbot.v1.Interrupt;
import dev.pmbot.v1.Run;
import dev.pmbot.wire.Calls;
import dev.pmbot.wire.Connections;
import dev.pmbot.wire.Drain;
import dev.pmbot.wire.ErrorsInterceptor;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.FieldsInterceptor;
import dev.pmbot.wire.LargeReplies;
import dev.pmbot.wire.NetworkMemory;
import dev.pmbot.wire.Principal;
import dev.pmbot.wire.RequestMapper;
import dev.pmbot.workspace.WorkspaceMapper;
import dev.pmbot.workspace.WorkspaceService;
import dev.pmbot.workspace.Workspaces;
import io.grpc.BindableService;
import io.grpc.Server;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionService;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The only wiring: every room is made here, and here it is told whom it may ask. */
public final class ControlPlane implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(ControlPlane.class);

  private static final List<Class<?>> MAPPERS =
      List.of(
          RequestMapper.class,
          AuditMapper.class,
          WorkspaceMapper.class,
          RepoMapper.class,
          RunMapper.class,
          ApprovalMapper.class,
          InterruptMapper.class,
          ArtifactMapper.class,
          ChangesetMapper.class);
  private static final int SEAL_KEY_BYTES = 32;
  private static final int FILE_THREADS = 4;

  private static final Duration LONGEST_DELIVERY = Duration.ofSeconds(2);

  private final Config config;
  private final Time time;
  private final DataDirectory directory;
  private final Store store;
  private final Feed<EventRow> feed;
  private final Claims claims;
  private final Denials denials;
  private final Tokens tokens;
  private final HealthStatusManager health = new HealthStatusManager();
  private final Drain drain = new Drain(Roles::isOpen);
  private final Connections connections;
  private final Server server;
  private final Discovery discovery;
  private final Discovery.Announcement announcement;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(task -> daemon(task, "pmbot-timer"));
  private final ExecutorService fileThreads =
      Executors.newFixedThreadPool(FILE_THREADS, task -> daemon(task, "pmbot-files"));

  /**
   * Opens everything and serves.
   *
   * @param environment the process's environment, for the place where clients look for a server
   * @param crashPoints told before and after each commit and rename; does nothing but in tests
   * @throws IOException when the address cannot be listened on, or the files cannot be used
   */
  public ControlPlane(
      Config config, Time time, Map<String, String> environment, CrashPoints crashPoints)
      throws IOException {
    this.config = config;
    this.time = time;
    directory = DataDirectory.open(config.dataDirectory());
    directory.useForNativeLibraries();
    Ids ids = new Ids(time);
    // Opening the database and reading the contract's rules take the longest; what needs neither is
    // made meanwhile.
    final CompletableFuture<Store> opening =
        CompletableFuture.supplyAsync(
            () ->
                new SqliteStore(
                    database(directory), config.synchronous(), MAPPERS, ids, time, crashPoints));
    final CompletableFuture<Fields> rules = CompletableFuture.supplyAsync(Fields::new);
    tokens = new Tokens(directory.tokens(), ids, time);

    Audit audit = new Audit(ids);
    Workspaces workspaces = new Workspaces(audit, ids);
    Repos repos = new Repos(workspaces, audit, ids);
    claims =
        new Claims(workspaces, repos, audit, ids, time, timer, config.limits().waitingClaims());
    Runs runs = claims.runs();
    PayloadSeal seal = new PayloadSeal(directory.secret("payload-seal", SEAL_KEY_BYTES));
    Approvals approvals = new Approvals(repos, runs, audit, ids, seal);
    Interrupts interrupts = new Interrupts(runs, approvals, audit, ids, seal);
    Artifacts artifacts = new Artifacts(workspaces, runs, audit, ids);
    Changesets changesets =
        new Changesets(workspaces, repos, runs, approvals, audit, ids, seal, artifacts::hashOf);
    Inbox inbox = new Inbox(runs, approvals, interrupts);
    FileStore artifactFolder =
        new FileStore(directory.artifacts(), config.synchronous() == Synchronous.FULL, crashPoints);

    // Where an arrow between rooms would have to turn round, the lower room offers a hook.
    approvals.onResolved(
        ApprovalKind.RUN_START,
        (tx, row) -> runs.decided(tx, row.runId(), row.status() == ApprovalStatus.APPROVED));
    for (ApprovalKind kind :
        List.of(ApprovalKind.TOOL_CALL, ApprovalKind.SPEND, ApprovalKind.PUBLISH)) {
      approvals.onResolved(kind, interrupts);
    }
    approvals.onResolved(ApprovalKind.CHANGESET_APPLY, changesets::decided);
    runs.blockedBy(interrupts::blocks);
    runs.blockedBy(approvals::blocks);
    runs.askedToSpendBy(approvals::asksToSpend);
    runs.onEnded(interrupts::closeAll);
    runs.onEnded(approvals::closeAll);
    runs.onRetried(interrupts::handOverAgain);

    OpenFiles openFiles = OpenFiles.ofThisProcess();
    connections = new Connections(openFiles.connections());
    NetworkMemory memory = new NetworkMemory(fileThreads);
    NettyServerBuilder builder =
        memory
            .attachTo(
                connections.attachTo(
                    NettyServerBuilder.forAddress(
                        new InetSocketAddress(config.host(), config.port()))))
            .directExecutor()
            .maxInboundMessageSize(Config.LARGEST_MESSAGE)
            .permitKeepAliveTime(10, TimeUnit.SECONDS)
            .permitKeepAliveWithoutCalls(true);

    store = result(opening);
    feed = new Feed<>(store, audit, time, config.limits().openStreams());
    audit.onCommitted(feed::committed);
    denials = new Denials(store, audit, timer);
    ArtifactFiles artifactFiles =
        new ArtifactFiles(
            artifactFolder, store, artifacts, fileThreads, config.limits().artifactBytes());
    Calls calls =
        new Calls(store, largeReplies(runs, approvals, interrupts, artifacts, changesets));
    result(
        store.write(
            Principal.SYSTEM,
            Store.NEVER,
            tx -> {
              workspaces.ensureSystem(tx);
              return true;
            }));
    claims.adopt(store);
    claims.sweep(store, timer);
    new Housekeeping(store, time, timer).begin();

    // From the outside in: what is thrown becomes a status; whether the server still takes calls;
    // whether there is memory for the call, and room for the connection; token and role; then bytes
    // become messages, and inside that, closest to the handler, every field is checked.
    AccessInterceptor access = new AccessInterceptor(tokens, denials);
    ErrorsInterceptor errors = new ErrorsInterceptor(Config.LARGEST_MESSAGE);
    FieldsInterceptor fields = new FieldsInterceptor(rules.join());
    List<BindableService> services =
        List.of(
            new WorkspaceService(calls, workspaces),
            new RepoService(calls, repos),
            new RunService(
                calls,
                claims,
                time,
                feed,
                (tx, run) -> ApprovalProtos.toProto(approvals.requestStart(tx, run))),
            new ApprovalService(calls, approvals),
            new InterruptService(calls, interrupts, approvals, feed),
            new InboxService(calls, inbox, feed),
            new ArtifactService(calls, store, artifacts, artifactFiles, openFiles.transfers()),
            new ChangesetService(calls, changesets),
            new AuditService(calls, store, audit, feed, runs),
            new ServerService(
                calls,
                config,
                store,
                new Measurements(
                    store, artifacts, directory.root(), feed::openStreams, claims::waiting, time),
                time.nowMicros()),
            health.getHealthService(),
            ProtoReflectionServiceV1.newInstance(),
            ProtoReflectionService.newInstance());
    for (BindableService service : services) {
      ServerServiceDefinition checked = ServerInterceptors.intercept(service, fields);
      builder.addService(
          ServerInterceptors.interceptForward(
              ServerInterceptors.useInputStreamMessages(checked),
              errors,
              drain,
              memory,
              connections,
              access));
    }
    server = builder.build().start();
    health.setStatus(HealthStatusManager.SERVICE_NAME_ALL_SERVICES, ServingStatus.SERVING);
    String host = config.host().contains(":") ? "[" + config.host() + "]" : config.host();
    announcement =
        new Discovery.Announcement(
            host + ":" + server.getPort(),
            directory.root(),
            Config.version(),
            ProcessHandle.current().pid());
    discovery = new Discovery(environment, Path.of(System.getProperty("user.home", ".")));
    discovery.announce(announcement);
    log.info(
        "pmbot {} serves {} from {}: schema {}, {} MiB, synchronous {}",
        announcement.version(),
        announcement.address(),
        directory.root(),
        store.schemaVersion(),
        store.size().databaseBytes() >> 20,
        config.synchronous().name().toLowerCase(Locale.ROOT));
  }

  private static <T> T result(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException failure) {
      throw failure.getCause() instanceof StoreException problem ? problem : failure;
    }
  }

  /**
   * What looks at a data directory whose server is stopped. The caller closes it.
   *
   * @throws dev.pmbot.files.DataDirectoryProblem when the directory is not ours, or a server has it
   * @throws StoreException when the database cannot be opened by this program
   */
  public static Consistency consistency(Path dataDirectory, Time time) {
    DataDirectory directory = DataDirectory.inspect(dataDirectory);
    boolean opened = false;
    try {
      directory.useForNativeLibraries();
      Consistency consistency =
          new Consistency(
              directory, new SqliteInspection(database(directory), inspectionMappers(), time));
      opened = true;
      return consistency;
    } finally {
      if (!opened) {
        directory.close();
      }
    }
  }

  private static List<Class<?>> inspectionMappers() {
    return List.of(AuditMapper.class, ArtifactMapper.class, ContradictionMapper.class);
  }

  private static Path database(DataDirectory directory) {
    return directory.controlPlane().resolve("pmbot.sqlite3");
  }

  /** Large texts that never change; a workspace's settings do, and are kept with the reply. */
  private static LargeReplies largeReplies(
      Runs runs,
      Approvals approvals,
      Interrupts interrupts,
      Artifacts artifacts,
      Changesets changesets) {
    return new LargeReplies()
        .elsewhere(
            Run.getDescriptor(),
            "run_id",
            "agent_run_spec_json",
            (tx, id) -> runs.get(tx, id).agentRunSpecJson())
        .elsewhere(
            Approval.getDescriptor(),
            "approval_id",
            "payload_json",
            (tx, id) -> approvals.get(tx, id).payloadJson())
        .elsewhere(
            Interrupt.getDescriptor(),
            "interrupt_id",
            "payload_json",
            (tx, id) -> interrupts.get(tx, id).payloadJson())
        .elsewhere(
            Interrupt.getDescriptor(),
            "interrupt_id",
            "decision_json",
            (tx, id) -> Redaction.redact(String.valueOf(interrupts.get(tx, id).decisionJson())))
        .elsewhere(
            Artifact.getDescriptor(),
            "artifact_id",
            "metadata_json",
            (tx, id) -> artifacts.get(tx, id).metadataJson())
        .elsewhere(
            Changeset.getDescriptor(),
            "changeset_id",
            "bundle_json",
            (tx, id) -> changesets.get(tx, id).bundleJson());
  }

  private static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  /** Host and port, as a client names them. */
  public String address() {
    return announcement.address();
  }

  /** The data directory. */
  public Path dataDirectory() {
    return directory.root();
  }

  /** Where a role's token lies. */
  public Path tokenFile(Principal.Role role) {
    return tokens.file(role);
  }

  /**
   * Stops. In this order: nobody is sent here any more, and who asks is told that it stops; what
   * only waits is told to come again; what is running gets its answer, or is cut when that takes
   * too long; connections; what counts and cleans up; every unit of work that was taken on; the
   * lock, last.
   */
  @Override
  public void close() {
    long begin = time.monotonicNanos();
    log.info(
        "stopping: {} calls are under way, {} of them streams and {} of them claims that wait",
        drain.unanswered(),
        feed.openStreams(),
        claims.waiting());
    discovery.withdraw(announcement);
    health.enterTerminalState();
    drain.close();
    feed.close();
    claims.close();
    try {
      Duration longest = config.longestStop();
      if (!drain.awaitAnswered(longest)) {
        log.warn(
            "{} calls have no answer after {} s and are cut; --stop-seconds gives them longer",
            drain.unanswered(),
            longest.toSeconds());
      }
      drain.cut();
      server.shutdown();
      // An answer that was given is not yet with a client that is slow.
      server.awaitTermination(LONGEST_DELIVERY.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    server.shutdownNow();
    connections.close();
    denials.count();
    timer.shutdownNow();
    // What was cut is still being removed.
    MoreExecutors.shutdownAndAwaitTermination(fileThreads, LONGEST_DELIVERY);
    store.close();
    directory.close();
    log.info("stopped after {} ms", Duration.ofNanos(time.monotonicNanos() - begin).toMillis());
  }
}
