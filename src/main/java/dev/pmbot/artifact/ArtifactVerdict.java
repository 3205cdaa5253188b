package dev.pmbot.artifact;

/** What a file was found to be, beside what is on record. */
enum ArtifactVerdict {
  /** The same. */
  MATCHES,
  /** Of another size or hash. */
  DIFFERS,
  /** Gone, or no regular file. */
  MISSING
}
