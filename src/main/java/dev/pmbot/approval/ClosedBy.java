package dev.pmbot.approval;

/** What ended an approval or an interrupt. Only a decision is ever handed to an agent. */
public enum ClosedBy {
  /** A person decided. */
  DECISION,
  /** The agent asks something else now, or its graph has moved on. */
  SUPERSEDED,
  /** The run ended first. */
  RUN_ENDED
}
