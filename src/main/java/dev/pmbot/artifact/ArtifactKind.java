package dev.pmbot.artifact;

/** What an artifact is. */
public enum ArtifactKind {
  /** A changeset with all its parts. */
  CHANGESET_BUNDLE,
  /** A patch. */
  PATCH,
  /** A log. */
  LOG,
  /** A record of tool calls. */
  TOOL_TRACE,
  /** A test report. */
  TEST_REPORT,
  /** The draft of a pull request. */
  PR_DRAFT
}
