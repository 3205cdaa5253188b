package dev.pmbot.artifact;

import dev.pmbot.files.FileStore;
import dev.pmbot.files.NameProblem;
import dev.pmbot.json.Redaction;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where something lies that is to be put on record: a file in its run's folder of the data
 * directory, or a place elsewhere that a URI names.
 */
final class ArtifactUri {
  /** What the URI of a file in the folder of artifacts begins with. */
  static final String ROOT = "artifacts/";

  private static final Set<String> SCHEMES = Set.of("http", "https", "s3", "db");
  private static final String ALLOWED =
      "a file's place is artifacts/<run_id>/<name>, one elsewhere an http://, https://, s3:// or"
          + " db:// URI";

  private final String text;

  private ArtifactUri(String text) {
    this.text = text;
  }

  /** Where what has this URI lies. */
  static ArtifactPlace place(String uri) {
    return uri.startsWith(ROOT) ? ArtifactPlace.IN_DATA_DIRECTORY : ArtifactPlace.ELSEWHERE;
  }

  /**
   * The place of what is announced.
   *
   * @throws Problem INVALID_FIELDS, naming each field that is wrong by itself or is missing
   */
  static ArtifactUri of(NewArtifact announced) {
    ArtifactUri uri = new ArtifactUri(announced.name());
    List<Violation> violations = new ArrayList<>();
    String wrong = uri.isFile() ? uri.wrongPath() : uri.wrongReference();
    if (wrong == null && uri.holdsSecret()) {
      wrong =
          "holds what looks like a secret, and would be kept and shown as it is; name a place that"
              + " needs none";
    }
    if (wrong != null) {
      violations.add(new Violation("uri", wrong));
    }
    if (!uri.isFile() && announced.hash() == null) {
      violations.add(new Violation("hash", "is required of what lies elsewhere"));
    }
    if (!uri.isFile() && announced.sizeBytes() == null) {
      violations.add(new Violation("size_bytes", "is required of what lies elsewhere"));
    }
    if (!violations.isEmpty()) {
      throw Problem.invalidFields(violations);
    }
    return uri;
  }

  boolean isFile() {
    return place(text) == ArtifactPlace.IN_DATA_DIRECTORY;
  }

  /** A file's path below the folder of artifacts. */
  String path() {
    return text.substring(ROOT.length());
  }

  /**
   * Refuses a file that is in no folder of this run.
   *
   * @throws Problem INVALID_FIELDS
   */
  void requireFolderOf(String runId) {
    if (isFile() && !path().startsWith(runId + '/')) {
      throw Problem.invalidField(
          "uri", "is not in the folder of this run, which is " + ROOT + runId + '/');
    }
  }

  private @Nullable String wrongPath() {
    try {
      FileStore.check(path());
      return null;
    } catch (NameProblem problem) {
      return String.valueOf(problem.getMessage());
    }
  }

  private @Nullable String wrongReference() {
    URI uri;
    try {
      uri = new URI(text);
    } catch (URISyntaxException problem) {
      return "is no URI: " + problem.getReason() + "; " + ALLOWED;
    }
    if (uri.getScheme() == null || !SCHEMES.contains(uri.getScheme())) {
      return "is of no kind that is taken; " + ALLOWED;
    }
    // `new URI` lets other letters pass than those a URI is made of.
    if (!text.equals(uri.toASCIIString())) {
      return "holds characters that a URI must escape";
    }
    String authority = uri.getRawAuthority();
    if (authority == null) {
      return "names no host, bucket or database behind " + uri.getScheme() + "://";
    }
    if (authority.indexOf('@') >= 0) {
      return "holds a user name or password";
    }
    if (uri.getRawFragment() != null) {
      return "holds a fragment, which is no part of a place";
    }
    if (uri.getScheme().startsWith("http") && uri.getHost() == null) {
      return "names no host that could exist: " + authority;
    }
    return null;
  }

  /** Whether redaction would change it, as it stands or with its escapes resolved. */
  private boolean holdsSecret() {
    return isRedacted(text) || (!isFile() && isRedacted(decoded()));
  }

  private String decoded() {
    URI uri = URI.create(text);
    return uri.getScheme()
        + "://"
        + uri.getAuthority()
        + uri.getPath()
        + (uri.getQuery() == null ? "" : '?' + uri.getQuery());
  }

  private static boolean isRedacted(String text) {
    return !Redaction.redactText(text).equals(text);
  }

  @Override
  public String toString() {
    return text;
  }
}
