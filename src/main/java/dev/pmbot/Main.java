package dev.pmbot;

/** The entry point. */
public final class Main {

  private Main() {}

  public static void main(String[] arguments) {
    System.out.println("pmbot " + Main.class.getPackage().getImplementationVersion());
  }
}
