package dev.pmbot.bench;

import dev.pmbot.v1.GetServerInfoRequest;
import dev.pmbot.v1.ServerServiceGrpc;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * All that is measured, in one run: a server on a new database, one with {@code synchronous=full},
 * the same rows by bare JDBC, and a server on a database of a million runs. Prints the tables of
 * {@code src/bench/README.md}.
 */
public final class Benchmarks {
  private static final int STARTS = 5;
  private static final int IDLE_MILLIS = 5_000;
  private static final int GROUP = 64;
  private static final int WORKSPACES = 10;
  private static final int RUNS = 1_000_000;
  private static final int EXPIRED = 1_000_000;
  private static final int FEW_IN_FLIGHT = 16;
  private static final double BARE_SECONDS = 5;

  private Benchmarks() {}

  /** Measures. The arguments: the server's jar, and how many runs the full database has. */
  public static void main(String[] arguments)
      throws IOException, InterruptedException, SQLException {
    Path jar = Path.of(arguments[0]);
    int runs = arguments.length > 1 ? Integer.parseInt(arguments[1]) : RUNS;
    starts(jar);
    bare(jar);
    pruning(jar);
    Map<String, Line> fresh = measure(jar, ServerProcess.newDirectory(), true);
    Map<String, Line> full = measure(jar, filled(jar, runs), true);
    Map<String, Line> synchronous =
        measure(jar, ServerProcess.newDirectory(), false, "--synchronous=full");
    System.out.printf(
        "| what | new database | %,d runs, %,d events | slower by | synchronous=full |%n",
        runs, 5L * runs);
    System.out.println("|---|---|---|---|---|");
    fresh.forEach(
        (name, line) ->
            System.out.printf(
                "| %s | %s | %s | %.2f× | %s |%n",
                name,
                line.text(),
                full.get(name).text(),
                full.get(name).cost() / line.cost(),
                synchronous.containsKey(name) ? synchronous.get(name).text() : ""));
  }

  private static void starts(Path jar) throws IOException, InterruptedException {
    List<Double> seconds = new ArrayList<>();
    List<Double> again = new ArrayList<>();
    List<Double> memory = new ArrayList<>();
    for (int round = 0; round < STARTS; round++) {
      Path directory = ServerProcess.newDirectory();
      for (List<Double> figures : List.of(seconds, again)) {
        long begin = System.nanoTime();
        try (ServerProcess server = new ServerProcess(jar, directory)) {
          ServerServiceGrpc.newBlockingStub(server.channel())
              .getServerInfo(GetServerInfoRequest.getDefaultInstance());
          figures.add((System.nanoTime() - begin) / 1e9);
          if (figures == seconds) {
            Thread.sleep(IDLE_MILLIS);
            memory.add((double) server.residentMebibytes());
          }
        }
      }
      ServerProcess.delete(directory);
    }
    System.out.println("| what | figure |");
    System.out.println("|---|---|");
    System.out.printf(
        "| start of the process to its first answer, new data directory | %.2f s |%n",
        Line.median(seconds, d -> d));
    System.out.printf(
        "| the same, data directory there already | %.2f s |%n", Line.median(again, d -> d));
    System.out.printf("| resident memory when idle | %.0f MiB |%n", Line.median(memory, d -> d));
  }

  private static void bare(Path jar) throws IOException, InterruptedException, SQLException {
    for (String synchronous : List.of("NORMAL", "FULL")) {
      for (int group : new int[] {GROUP, 1}) {
        Path directory = ServerProcess.newDirectory();
        new ServerProcess(jar, directory).close(); // It makes the tables.
        try (BareRows rows = new BareRows(directory, synchronous)) {
          String workspaceId = rows.workspace("bare");
          double perSecond = rows.perSecond(workspaceId, group, BARE_SECONDS);
          System.out.printf(
              "| CreateRun's rows by bare JDBC, %d a transaction, synchronous=%s | %,.0f/s |%n",
              group, synchronous.toLowerCase(Locale.ROOT), perSecond);
        }
        ServerProcess.delete(directory);
      }
    }
    System.out.println();
  }

  private static void pruning(Path jar) throws IOException, InterruptedException, SQLException {
    System.out.println("| CreateRun, 16 in flight | calls, p50, p99 |");
    System.out.println("|---|---|");
    for (int expired : new int[] {0, EXPIRED}) {
      Path directory = ServerProcess.newDirectory();
      new ServerProcess(jar, directory).close();
      try (BareRows rows = new BareRows(directory, "OFF")) {
        rows.expiredRequests(expired);
      }
      try (ServerProcess server = new ServerProcess(jar, directory)) {
        System.out.printf(
            "| %s | %s |%n",
            expired == 0
                ? "with nothing to forget"
                : String.format("while %,d expired replies are forgotten", expired),
            new Suite(server).createRuns(FEW_IN_FLIGHT).text());
      }
      ServerProcess.delete(directory);
    }
    System.out.println();
  }

  private static Path filled(Path jar, int runs)
      throws IOException, InterruptedException, SQLException {
    Path directory = ServerProcess.newDirectory();
    new ServerProcess(jar, directory).close();
    try (BareRows rows = new BareRows(directory, "OFF")) {
      List<String> workspaces = new ArrayList<>();
      for (int index = 0; index < WORKSPACES; index++) {
        workspaces.add(rows.workspace("filled " + index));
      }
      rows.fill(workspaces, runs);
    }
    return directory;
  }

  private static Map<String, Line> measure(
      Path jar, Path directory, boolean everything, String... options)
      throws IOException, InterruptedException {
    try (ServerProcess server = new ServerProcess(jar, directory, options)) {
      Map<String, Line> lines = new Suite(server).measure(everything);
      // The tables come at the end, after a quarter of an hour: until then, this tells how it goes.
      lines.forEach((name, line) -> System.err.println(name + ": " + line.text()));
      return lines;
    } finally {
      ServerProcess.delete(directory);
    }
  }
}
