package dev.pmbot.cli;

import java.util.List;
import sun.misc.Signal;

/** Lets who is tired of waiting for a stop end the program at once, by telling it to stop again. */
final class SecondSignal {
  private static final int SIGNALLED = 128;

  private SecondSignal() {}

  /** From now on; before the stop begins, the first signal is Java's. */
  static void halts() {
    for (String name : List.of("TERM", "INT", "HUP")) {
      try {
        Signal.handle(
            new Signal(name), again -> Runtime.getRuntime().halt(SIGNALLED + again.getNumber()));
      } catch (IllegalArgumentException notOurs) {
        // Java runs with -Xrs, or this system has no such signal: then it ends as the system likes.
        continue;
      }
    }
  }
}
