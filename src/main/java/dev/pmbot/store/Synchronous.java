package dev.pmbot.store;

/** What an answered write survives, and what that costs. */
public enum Synchronous {
  /** The end of the program, however it ends. */
  NORMAL,
  /** A power cut too: the log is flushed to the disk with every commit. */
  FULL
}
