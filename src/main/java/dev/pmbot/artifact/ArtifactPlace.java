package dev.pmbot.artifact;

/** Where an artifact's content lies. */
public enum ArtifactPlace {
  /** In a file below the data directory, which this server has read. */
  IN_DATA_DIRECTORY,
  /** Where only its URI says; size and hash are as they were told. */
  ELSEWHERE
}
