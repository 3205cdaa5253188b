package dev.pmbot.interrupt;

import dev.pmbot.json.JsonProblem;
import dev.pmbot.json.JsonSchemas;
import dev.pmbot.json.JsonText;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Violation;
import dev.pmbot.workspace.BudgetKeys;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The shape of a question's payload, as {@code interrupt.proto} documents it. */
final class Questions {
  static final Set<String> TYPES = Set.of("approve", "edit", "reject", "respond");
  private static final int MOST_ACTIONS = 100;
  private static final int LONGEST_NAME = 200;

  private Questions() {}

  /** Checks a payload; its title, for the log. */
  static String check(
      String payloadJson, InterruptKind kind, String path, List<Violation> violations) {
    JsonNode payload = JsonText.parse(payloadJson, Fields.LARGEST_JSON);
    if (!payload.isObject()) {
      violations.add(new Violation(path, "must be a JSON object"));
      return "";
    }
    JsonNode title = payload.path("title");
    if (!title.isString() || title.stringValue().isBlank()) {
      violations.add(new Violation(path + ".title", "is required: a text that says what is asked"));
    }
    text(payload, "description", path, violations);
    schema(payload.path("response_schema"), path + ".response_schema", violations);
    JsonNode actions = payload.path("actions");
    if (kind == InterruptKind.QUESTION) {
      if (!actions.isMissingNode() && !actions.isEmpty()) {
        violations.add(
            new Violation(path + ".actions", "a question has none; it is answered as a whole"));
      }
    } else {
      actions(actions, path + ".actions", violations);
      if (kind == InterruptKind.APPROVE_SPEND) {
        budgets(actions, path + ".actions", violations);
      }
    }
    return title.isString() ? title.stringValue() : "";
  }

  private static void actions(JsonNode actions, String path, List<Violation> violations) {
    if (!actions.isArray() || actions.isEmpty() || actions.size() > MOST_ACTIONS) {
      violations.add(new Violation(path, "must be a list of 1 to " + MOST_ACTIONS + " actions"));
      return;
    }
    Set<String> ids = new HashSet<>();
    for (int index = 0; index < actions.size(); index++) {
      action(actions.get(index), path + "[" + index + "]", ids, violations);
    }
  }

  /** What a yes would make the run's budget must be a budget. */
  private static void budgets(JsonNode actions, String path, List<Violation> violations) {
    for (int index = 0; index < actions.size(); index++) {
      BudgetKeys.checkStrictly(
          actions.path(index).path("args").path(Decisions.BUDGET),
          path + "[" + index + "].args." + Decisions.BUDGET,
          violations);
    }
  }

  private static void action(
      JsonNode action, String path, Set<String> ids, List<Violation> violations) {
    if (!action.isObject()) {
      violations.add(new Violation(path, "must be an object"));
      return;
    }
    name(action, "id", path, violations);
    name(action, "name", path, violations);
    JsonNode id = action.path("id");
    if (id.isString() && !ids.add(id.stringValue())) {
      violations.add(new Violation(path + ".id", "stands twice; each action has an id of its own"));
    }
    JsonNode args = action.path("args");
    if (!args.isMissingNode() && !args.isObject()) {
      violations.add(new Violation(path + ".args", "must be an object"));
    }
    text(action, "description", path, violations);
    JsonNode allow = action.path("allow");
    boolean known = allow.isArray() && !allow.isEmpty();
    if (allow.isArray()) {
      for (JsonNode type : allow) {
        known = known && type.isString() && TYPES.contains(type.stringValue());
      }
    }
    if (!known) {
      violations.add(
          new Violation(
              path + ".allow",
              "must be a list of at least one of \"approve\", \"edit\", \"reject\", \"respond\""));
    }
    schema(action.path("args_schema"), path + ".args_schema", violations);
  }

  private static void name(JsonNode object, String key, String path, List<Violation> violations) {
    JsonNode value = object.path(key);
    if (!value.isString()
        || value.stringValue().isEmpty()
        || value.stringValue().length() > LONGEST_NAME) {
      violations.add(
          new Violation(
              path + "." + key, "is required: a text of 1 to " + LONGEST_NAME + " characters"));
    }
  }

  private static void text(JsonNode object, String key, String path, List<Violation> violations) {
    JsonNode value = object.path(key);
    if (!value.isMissingNode() && !value.isString()) {
      violations.add(new Violation(path + "." + key, "must be a text"));
    }
  }

  private static void schema(JsonNode schema, String path, List<Violation> violations) {
    if (schema.isMissingNode()) {
      return;
    }
    try {
      JsonSchemas.checkSchema(schema.toString());
    } catch (JsonProblem problem) {
      violations.add(new Violation(path, String.valueOf(problem.getMessage())));
    }
  }
}
