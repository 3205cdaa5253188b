package dev.pmbot.json;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Redacts one JSON text by copying it and replacing stretches of it; see {@link Redaction}. */
final class JsonRedactor {
  /** Keys of a JSON schema whose value is an object from names to schemas. */
  private static final Set<String> NAMES_TO_SCHEMAS =
      Set.of("properties", "patternProperties", "$defs", "definitions", "dependentSchemas");

  /** Keys of a JSON schema under which no value of the described property stands. */
  private static final Set<String> SCHEMA_WORDS =
      Set.of(
          """
          type title description format pattern minLength maxLength minimum maximum
          exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems minProperties
          maxProperties required $ref $id $anchor $comment items prefixItems anyOf oneOf
          allOf not if then else properties patternProperties additionalProperties
          propertyNames contains $defs definitions dependentSchemas contentEncoding
          contentMediaType
          """
              .strip()
              .split("\\s+"));

  /**
   * An open object or array.
   *
   * @param namesToSchemas whether its keys are names and its values their schemas
   * @param schemaKind the kind of secret whose schema this is part of
   * @param everything the kind of secret that every leaf in it is
   */
  private record Container(
      boolean namesToSchemas, @Nullable String schemaKind, @Nullable String everything) {
    static final Container PLAIN = new Container(false, null, null);
  }

  private final String json;
  private final JsonScanner scanner;
  private final StringScanner strings;
  private final Deque<Container> open = new ArrayDeque<>();
  private final StringBuilder redacted = new StringBuilder();
  private int copied;

  /** The key of the value to come; null in an array and at the top. */
  private @Nullable String key;

  JsonRedactor(String json) {
    this.json = json;
    scanner = new JsonScanner(json, JsonScanner.MAXIMUM_DEPTH_WITHIN);
    strings = new StringScanner(json);
  }

  String redact() {
    JsonScanner.Token token = scanner.next();
    while (token != JsonScanner.Token.END) {
      switch (token) {
        case KEY -> key = scanner.string();
        case OBJECT_START, ARRAY_START -> open(token);
        case OBJECT_END, ARRAY_END -> open.pop();
        case STRING, NUMBER -> leaf(token);
        case TRUE, FALSE, NULL -> key = null;
        case END -> throw new AssertionError(token);
      }
      token = scanner.next();
    }
    if (copied == 0) {
      return json;
    }
    return redacted.append(json, copied, json.length()).toString();
  }

  private void open(JsonScanner.Token token) {
    Container around = around();
    String name = key;
    key = null;
    boolean object = token == JsonScanner.Token.OBJECT_START;
    String secret = name == null ? null : SecretKeys.kind(name);
    if (secret != null && around.everything() == null) {
      if (!around.namesToSchemas()) {
        replaceContainer(secret);
        return;
      }
      open.push(new Container(false, secret, null));
      return;
    }
    String kind = around.schemaKind();
    boolean named = object && name != null && NAMES_TO_SCHEMAS.contains(name);
    boolean foreign =
        kind != null && name != null && !around.namesToSchemas() && !SCHEMA_WORDS.contains(name);
    String everything = foreign ? kind : around.everything();
    open.push(
        kind == null && everything == null && !named
            ? Container.PLAIN
            : new Container(named && !around.namesToSchemas(), kind, everything));
  }

  private void leaf(JsonScanner.Token token) {
    Container around = around();
    String name = key;
    key = null;
    String kind = around.everything();
    if (kind == null && name != null) {
      kind = SecretKeys.kind(name);
      if (kind == null && !SCHEMA_WORDS.contains(name)) {
        kind = around.schemaKind();
      }
    }
    boolean string = token == JsonScanner.Token.STRING;
    if (kind == null) {
      if (string) {
        credentials(scanner.start() + 1, scanner.end() - 1);
      }
      return;
    }
    boolean empty = string && scanner.end() - scanner.start() == 2;
    boolean already = string && Markers.is(json, scanner.start() + 1, scanner.end() - 1);
    if (!empty && !already) {
      replace(scanner.start(), scanner.end(), '"' + Markers.of(kind) + '"');
    }
  }

  private Container around() {
    Container container = open.peek();
    return container == null ? Container.PLAIN : container;
  }

  private void replaceContainer(String kind) {
    int start = scanner.start();
    int depth = scanner.depth();
    while (scanner.depth() >= depth) {
      JsonScanner.Token skipped = scanner.next();
      if (skipped == JsonScanner.Token.END) {
        throw new AssertionError("a container has an end");
      }
    }
    replace(start, scanner.end(), '"' + Markers.of(kind) + '"');
  }

  private void credentials(int from, int to) {
    List<Finding> findings = CredentialFinder.find(strings.decode(from, to));
    int position = from;
    int decoded = 0;
    for (Finding finding : findings) {
      for (; decoded < finding.start(); decoded++) {
        position = strings.after(position);
      }
      int start = position;
      for (; decoded < finding.end(); decoded++) {
        position = strings.after(position);
      }
      replace(start, position, Markers.of(finding.kind()));
    }
  }

  private void replace(int from, int to, String replacement) {
    redacted.append(json, copied, from).append(replacement);
    copied = to;
  }
}
