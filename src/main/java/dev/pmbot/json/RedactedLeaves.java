package dev.pmbot.json;

import com.networknt.schema.Error;
import com.networknt.schema.path.NodePath;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** Forgives what a schema has against a value only because a part of it was redacted. */
final class RedactedLeaves {
  /** Keywords that judge an object or array by all that is in it. */
  private static final Set<String> JUDGING_CONTENT =
      Set.of("const", "enum", "not", "contains", "minContains", "maxContains", "uniqueItems");

  /** Keywords with which a schema goes one step down into the value, to parts it names itself. */
  private static final Set<String> NAMED_PARTS =
      Set.of("properties", "patternProperties", "prefixItems");

  /** Keywords with which a schema goes one step down into the value, to all parts. */
  private static final Set<String> ALL_PARTS =
      Set.of(
          "items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains");

  private final IdentityHashMap<JsonNode, Boolean> holding = new IdentityHashMap<>();

  private RedactedLeaves() {}

  /**
   * The errors that remain. An error at a redacted leaf goes; and if it stands inside an {@code
   * anyOf} or {@code oneOf}, so do all others of that keyword at that place: had the leaf fitted,
   * its branch might have held and the others would not have mattered.
   */
  static List<Error> without(List<Error> errors, JsonNode value) {
    RedactedLeaves leaves = new RedactedLeaves();
    if (errors.isEmpty() || !leaves.holdsMarker(value)) {
      return errors;
    }
    Set<List<String>> forgiven = new HashSet<>();
    for (Error error : errors) {
      if (leaves.isRedacted(error)) {
        forgiven.add(choice(error));
      }
    }
    forgiven.remove(List.<String>of());
    return errors.stream()
        .filter(error -> !leaves.isRedacted(error) && !forgiven.contains(choice(error)))
        .toList();
  }

  private boolean isRedacted(Error error) {
    JsonNode node = error.getInstanceNode();
    return node != null
        && (JUDGING_CONTENT.contains(error.getKeyword())
            ? holdsMarker(node)
            : Redaction.holdsMarker(node));
  }

  private boolean holdsMarker(JsonNode node) {
    if (!node.isContainer()) {
      return Redaction.holdsMarker(node);
    }
    Boolean known = holding.get(node);
    if (known == null) {
      known = node.valueStream().anyMatch(this::holdsMarker);
      holding.put(node, known);
    }
    return known;
  }

  /**
   * The outermost {@code anyOf} or {@code oneOf} that an error stands in: its path in the schema,
   * then the place in the value that it was applied to; empty if there is none. Both are needed: in
   * a list each item meets the same path.
   */
  private static List<String> choice(Error error) {
    NodePath path = error.getEvaluationPath();
    StringBuilder schema = new StringBuilder();
    int depth = 0;
    int i = 0;
    while (i < path.getNameCount()) {
      String name = path.getName(i);
      schema.append('/').append(name);
      if (name.equals("anyOf") || name.equals("oneOf")) {
        return List.of(schema.toString(), beginning(error.getInstanceLocation(), depth));
      }
      if (NAMED_PARTS.contains(name)) {
        depth++;
        i++;
      } else if (name.equals("dependentSchemas")) {
        i++;
      } else if (ALL_PARTS.contains(name)) {
        depth++;
      }
      i++;
    }
    return List.of();
  }

  private static String beginning(NodePath place, int depth) {
    StringBuilder beginning = new StringBuilder();
    for (int i = 0; i < depth && i < place.getNameCount(); i++) {
      beginning.append('/').append(place.getName(i).replace("~", "~0").replace("/", "~1"));
    }
    return beginning.toString();
  }
}
