package dev.pmbot.files;

import java.io.Serial;

/** A name, folder or path from outside that is not allowed; the message says what is. */
public final class NameProblem extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /**
   * @param message a sentence for the client
   */
  public NameProblem(String message) {
    super(message);
  }
}
