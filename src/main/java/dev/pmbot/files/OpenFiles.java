package dev.pmbot.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * How many files and connections the system lets this process have open at once, and how those that
 * are left at the start are shared out: clients cannot take what the database, the tokens and Java
 * itself need.
 *
 * @param connections the part that is for connections
 * @param transfers the part that is for files on their way in or out; of very many, no more than
 *     serve
 */
public record OpenFiles(int connections, int transfers) {
  private static final Pattern LIMIT = Pattern.compile("Max open files\\s+(\\d+)\\s.*");
  // Where the system does not say.
  private static final int PLENTY = 1 << 20;

  /** The database's connections, the threads' own, and what libraries open when first used. */
  private static final int OWN = 48;

  private static final int MOST_TRANSFERS = 1_000;

  /** As it is now, while the server starts. */
  public static OpenFiles ofThisProcess() {
    return of(limit(), open());
  }

  /** Of a limit, when so many are open already. */
  static OpenFiles of(int limit, int open) {
    int left = Math.max(4, limit - open - OWN);
    return new OpenFiles(left / 2, Math.min(MOST_TRANSFERS, left / 4));
  }

  private static int limit() {
    List<String> limits;
    try {
      limits = Files.readAllLines(Path.of("/proc/self/limits"));
    } catch (IOException otherSystem) {
      return PLENTY;
    }
    for (String line : limits) {
      Matcher limit = LIMIT.matcher(line);
      if (limit.matches()) {
        return (int) Math.min(PLENTY, Long.parseLong(limit.group(1)));
      }
    }
    return PLENTY;
  }

  private static int open() {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return (int) files.count();
    } catch (IOException otherSystem) {
      return 0;
    }
  }
}
