package dev.pmbot;

import dev.pmbot.cli.Pmbot;

/** Picks the command. */
public final class Main {
  private Main() {}

  /** Carries out the command that the arguments name. */
  public static void main(String[] arguments) {
    System.exit(Pmbot.run(arguments));
  }
}
