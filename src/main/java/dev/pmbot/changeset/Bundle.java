package dev.pmbot.changeset;

import dev.pmbot.json.JsonText;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/** What the server itself reads in {@code bundle_json}. */
record Bundle(String title, String patchArtifactId, String patchSha256) {
  private static final String FIELD = "bundle_json";
  private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}|[0-9a-f]{64}");
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final Pattern ARTIFACT = Pattern.compile("art_[0-9a-f]{32}");
  private static final Set<String> CHANGES = Set.of("added", "modified", "deleted", "renamed");
  private static final int MOST_FILES = 10_000;

  /**
   * Reads a bundle.
   *
   * @throws Problem INVALID_FIELDS, naming everything that is wrong
   */
  static Bundle parse(String bundleJson) {
    JsonNode bundle = JsonText.parse(bundleJson, Fields.LARGEST_JSON);
    if (!bundle.isObject()) {
      throw Problem.invalidField(FIELD, "must be a JSON object");
    }
    List<Violation> violations = new ArrayList<>();
    matching(bundle, "base_commit", COMMIT, "a commit: 40 or 64 hex digits", violations);
    String title = text(bundle.path("title"));
    if (title.isBlank()) {
      violations.add(new Violation(FIELD + ".title", "is required: a text that says what it does"));
    }
    if (!bundle.path("description").isMissingNode() && !bundle.path("description").isString()) {
      violations.add(new Violation(FIELD + ".description", "must be a text"));
    }
    files(bundle.path("files"), violations);
    String artifact =
        matching(
            bundle,
            "patch_artifact_id",
            ARTIFACT,
            "an artifact's id: art_ and 32 hex digits",
            violations);
    String sha = matching(bundle, "patch_sha256", SHA256, "64 hex digits", violations);
    if (!violations.isEmpty()) {
      throw Problem.invalidFields(violations);
    }
    return new Bundle(title, artifact, sha);
  }

  private static void files(JsonNode files, List<Violation> violations) {
    if (!files.isArray() || files.isEmpty() || files.size() > MOST_FILES) {
      violations.add(
          new Violation(FIELD + ".files", "must be a list of 1 to " + MOST_FILES + " files"));
      return;
    }
    for (int index = 0; index < files.size(); index++) {
      String path = FIELD + ".files[" + index + "]";
      if (text(files.get(index).path("path")).isEmpty()) {
        violations.add(new Violation(path + ".path", "is required: the file's path in the repo"));
      }
      if (!CHANGES.contains(text(files.get(index).path("change")))) {
        violations.add(
            new Violation(
                path + ".change", "must be \"added\", \"modified\", \"deleted\" or \"renamed\""));
      }
    }
  }

  private static String matching(
      JsonNode bundle, String key, Pattern pattern, String right, List<Violation> violations) {
    String value = text(bundle.path(key));
    if (!pattern.matcher(value).matches()) {
      violations.add(new Violation(FIELD + "." + key, "must be " + right));
    }
    return value;
  }

  private static String text(JsonNode value) {
    return value.isString() ? value.stringValue() : "";
  }
}
