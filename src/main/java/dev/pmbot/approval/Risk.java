package dev.pmbot.approval;

import org.jspecify.annotations.Nullable;

/** How bad it could be; later ones are worse. */
public enum Risk {
  /** Easily undone. */
  LOW,
  /** Worth a careful look. */
  MEDIUM,
  /** Hard or impossible to undo. */
  HIGH;

  /** This risk, or the one asked for if that is higher. */
  public Risk raisedTo(@Nullable Risk asked) {
    return asked != null && asked.compareTo(this) > 0 ? asked : this;
  }
}
