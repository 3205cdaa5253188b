package dev.pmbot.files;

import java.io.Serial;

/**
 * The data directory cannot be used: it is not ours, another server holds it, or the system refused
 * something. The message is a sentence for the operator.
 */
public final class DataDirectoryProblem extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /**
   * @param message what is wrong and what would be right
   */
  public DataDirectoryProblem(String message) {
    super(message);
  }

  /**
   * @param message what is wrong and what would be right
   * @param cause what the system said
   */
  public DataDirectoryProblem(String message, Throwable cause) {
    super(message, cause);
  }
}
