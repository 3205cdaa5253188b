package dev.pmbot.config;

/** What is worth a line in the log: what a level names, and all that is graver. */
public enum LogLevel {
  /** What has failed and needs somebody. */
  ERROR,
  /** What went wrong and was dealt with, and what will go wrong if it goes on. */
  WARN,
  /** What the server does by itself. */
  INFO,
  /** What helps to find a defect. */
  DEBUG
}
