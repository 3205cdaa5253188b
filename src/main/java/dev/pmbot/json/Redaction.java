package dev.pmbot.json;

import java.util.List;
import tools.jackson.databind.JsonNode;

/**
 * Takes secrets out of what is to be stored or logged. A secret is a value under a secret-looking
 * key ({@code password}, {@code api_key}, {@code accessToken} and the like, in any spelling) or a
 * part of a text that has the form of a known credential; it becomes {@code [redacted:<kind>]}.
 * Every other character is kept as it came. Redacting twice changes nothing more.
 *
 * <p>The time it takes grows with the length of the text and with nothing else.
 */
public final class Redaction {
  private Redaction() {}

  /**
   * Redacts a JSON text. A value under a secret-looking key becomes the string {@code
   * "[redacted:<kind>]"} whatever its type, but null, booleans and the empty string stay. A JSON
   * schema's description of such a property ({@code {"properties": {"password": {"type": …}}}})
   * stays a schema; only values in it, such as a default, are redacted. Keys are never changed.
   *
   * @param json a text that {@link JsonText#check} lets pass, or what this program wrote around one
   * @return the redacted text; the very same String if there was nothing to redact
   * @throws JsonProblem if the text is not JSON
   */
  public static String redact(String json) {
    return new JsonRedactor(json).redact();
  }

  /**
   * Redacts text that is not JSON: notes, reasons, errors, log lines. Besides known credentials it
   * finds what is given to a secret-looking name, as in {@code API_KEY=…}.
   *
   * @return the redacted text; the very same String if there was nothing to redact
   */
  public static String redactText(String plain) {
    List<Finding> findings = CredentialFinder.find(plain);
    if (findings.isEmpty()) {
      return plain;
    }
    StringBuilder redacted = new StringBuilder(plain.length());
    int copied = 0;
    for (Finding finding : findings) {
      redacted.append(plain, copied, finding.start()).append(Markers.of(finding.kind()));
      copied = finding.end();
    }
    return redacted.append(plain, copied, plain.length()).toString();
  }

  /**
   * Whether a value is a string in which a redaction marker stands. An edit that leaves one in
   * place means "unchanged", so such a leaf is held against no schema.
   */
  public static boolean holdsMarker(JsonNode leaf) {
    return leaf.isString() && Markers.holds(leaf.asString());
  }
}
