package dev.pmbot.files;

import java.io.Serial;

/** What is being written is longer than allowed; nothing of it is kept. */
public final class FileTooLarge extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  private final long maximumBytes;

  /**
   * @param maximumBytes how long it may be
   */
  public FileTooLarge(long maximumBytes) {
    super("The content is too long; at most %d bytes are allowed.".formatted(maximumBytes));
    this.maximumBytes = maximumBytes;
  }

  /** How long it may be, in bytes. */
  public long maximumBytes() {
    return maximumBytes;
  }
}
