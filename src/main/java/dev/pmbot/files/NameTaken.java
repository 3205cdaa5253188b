package dev.pmbot.files;

import java.io.Serial;

/** A file of that name is there already; it was left as it is. */
public final class NameTaken extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /**
   * @param name the name that is taken, with its folder
   */
  public NameTaken(String name) {
    super("There is a file `%s` already; it is never replaced.".formatted(name));
  }
}
