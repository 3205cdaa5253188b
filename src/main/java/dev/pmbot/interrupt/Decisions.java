package dev.pmbot.interrupt;

import dev.pmbot.approval.ApprovalStatus;
import dev.pmbot.json.JsonProblem;
import dev.pmbot.json.JsonSchemas;
import dev.pmbot.json.JsonText;
import dev.pmbot.run.Budget;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import dev.pmbot.workspace.BudgetKeys;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.util.RawValue;

/** What may answer a question, and what an answer comes to. */
final class Decisions {
  private static final String FIELD = "decision_json";

  /** The argument of an action of kind {@code approve_spend} that extends the run's budget. */
  static final String BUDGET = "budget";

  private enum Type {
    APPROVE,
    EDIT,
    REJECT,
    RESPOND
  }

  /**
   * What a decision comes to: for the question, for the approval that it carries, and on the
   * record.
   */
  record Summary(InterruptStatus status, ApprovalStatus approval, RawValue onRecord) {}

  /**
   * A budget that a decision says yes to.
   *
   * @param path where it stands, for what is wrong with it
   * @param edited whether the person wrote it; else the agent asked for it
   */
  record Grant(String path, boolean edited, Budget budget) {}

  private final InterruptKind kind;
  private final JsonNode payload;
  private final JsonNode decision;
  private final List<Violation> violations = new ArrayList<>();
  private final Set<Type> types = EnumSet.noneOf(Type.class);

  private Decisions(InterruptKind kind, JsonNode payload, JsonNode decision) {
    this.kind = kind;
    this.payload = payload;
    this.decision = decision;
  }

  /**
   * Checks a decision against the question as it is stored.
   *
   * @throws Problem INVALID_DECISION, naming everything that is wrong; TOO_LARGE
   */
  static Summary check(InterruptRow question, String decisionJson) {
    Decisions check =
        new Decisions(
            question.kind(),
            JsonText.parse(question.payloadJson(), Integer.MAX_VALUE),
            JsonText.parse(decisionJson, Fields.LARGEST_JSON));
    if (question.kind() == InterruptKind.QUESTION) {
      check.answer();
    } else {
      check.actions();
    }
    if (!check.violations.isEmpty()) {
      throw Problem.invalidDecision(check.violations);
    }
    return check.summary(Kept.fact(FIELD, decisionJson));
  }

  /** The budgets that a decision about spending says yes to, as they were asked for or edited. */
  static List<Grant> grants(InterruptRow question, String decisionJson) {
    if (question.kind() != InterruptKind.APPROVE_SPEND) {
      return List.of();
    }
    Map<String, JsonNode> asked = new HashMap<>();
    for (JsonNode action :
        JsonText.parse(question.payloadJson(), Integer.MAX_VALUE).path("actions")) {
      asked.put(action.path("id").asString(), action.path("args"));
    }
    List<Grant> grants = new ArrayList<>();
    JsonNode decisions = JsonText.parse(decisionJson, Integer.MAX_VALUE).path("decisions");
    for (int index = 0; index < decisions.size(); index++) {
      JsonNode one = decisions.get(index);
      Type type = Type.valueOf(one.path("type").asString().toUpperCase(Locale.ROOT));
      JsonNode args =
          switch (type) {
            case APPROVE -> asked.get(one.path("action_id").asString());
            case EDIT -> one.path("args");
            case REJECT, RESPOND -> null;
          };
      if (args != null && args.has(BUDGET)) {
        grants.add(
            new Grant(
                FIELD + ".decisions[" + index + "].args." + BUDGET,
                type == Type.EDIT,
                Budget.of(args.path(BUDGET))));
      }
    }
    return grants;
  }

  /**
   * One decision for every action of a question.
   *
   * @param type {@code approve} or {@code reject}
   */
  static String uniform(InterruptRow question, String type) {
    List<Map<String, String>> decisions = new ArrayList<>();
    for (JsonNode action :
        JsonText.parse(question.payloadJson(), Integer.MAX_VALUE).path("actions")) {
      decisions.add(Map.of("action_id", action.path("id").asString(), "type", type));
    }
    return JsonText.write(Map.of("decisions", decisions));
  }

  /** Whether two decisions say the same; each action is decided by itself, in whatever order. */
  static boolean same(@Nullable String first, String second) {
    return first != null && meaning(first).equals(meaning(second));
  }

  private static Object meaning(String decisionJson) {
    JsonNode decision = JsonText.parse(decisionJson, Integer.MAX_VALUE);
    JsonNode each = decision.path("decisions");
    Set<JsonNode> distinct = new HashSet<>();
    each.forEach(distinct::add);
    boolean inAnyOrder = decision.size() == 1 && each.isArray() && distinct.size() == each.size();
    return inAnyOrder ? distinct : decision;
  }

  private Summary summary(RawValue onRecord) {
    if (kind == InterruptKind.QUESTION) {
      return new Summary(InterruptStatus.EDITED, ApprovalStatus.APPROVED, onRecord);
    }
    boolean carriedOut = types.contains(Type.APPROVE) || types.contains(Type.EDIT);
    InterruptStatus status = InterruptStatus.EDITED;
    if (types.equals(EnumSet.of(Type.APPROVE))) {
      status = InterruptStatus.APPROVED;
    } else if (types.equals(EnumSet.of(Type.REJECT))) {
      status = InterruptStatus.REJECTED;
    }
    return new Summary(
        status, carriedOut ? ApprovalStatus.APPROVED : ApprovalStatus.REJECTED, onRecord);
  }

  private void wrong(String path, String description) {
    violations.add(new Violation(FIELD + path, description));
  }

  private void answer() {
    if (!decision.isObject() || !decision.has("answer") || decision.size() != 1) {
      wrong("", "a question takes {\"answer\": …} and nothing else");
      return;
    }
    fits(payload.path("response_schema"), decision.path("answer"), ".answer");
  }

  private void actions() {
    JsonNode given = decision.path("decisions");
    if (!decision.isObject() || !given.isArray() || decision.size() != 1) {
      wrong("", "it takes {\"decisions\": [{\"action_id\": …, \"type\": …}]} and nothing else");
      return;
    }
    Map<String, JsonNode> open = new HashMap<>();
    for (JsonNode action : payload.path("actions")) {
      open.put(action.path("id").asString(), action);
    }
    Set<String> known = Set.copyOf(open.keySet());
    for (int index = 0; index < given.size(); index++) {
      String path = ".decisions[" + index + "]";
      JsonNode one = given.get(index);
      String id = one.path("action_id").isString() ? one.path("action_id").stringValue() : "";
      JsonNode action = open.remove(id);
      if (action != null) {
        action(action, one, path);
      } else if (known.contains(id)) {
        wrong(path + ".action_id", "decides action " + id + " a second time");
      } else {
        wrong(
            path + ".action_id",
            "names no action of the question; they are " + String.join(", ", known));
      }
    }
    open.keySet().stream()
        .sorted()
        .forEach(id -> wrong(".decisions", "leaves action " + id + " undecided"));
  }

  private void action(JsonNode action, JsonNode one, String path) {
    List<String> allowed = new ArrayList<>();
    action.path("allow").forEach(type -> allowed.add(type.asString()));
    String name = one.path("type").isString() ? one.path("type").stringValue() : "";
    if (!allowed.contains(name)) {
      wrong(
          path + ".type",
          "must be one of those that the action allows: " + String.join(", ", allowed));
      return;
    }
    Type type = Type.valueOf(name.toUpperCase(Locale.ROOT));
    types.add(type);
    boolean hasArgs = one.has("args");
    boolean hasMessage = one.has("message");
    if (hasMessage && !one.path("message").isString()) {
      wrong(path + ".message", "must be a text");
    }
    switch (type) {
      case APPROVE -> {
        refuse(hasArgs, path + ".args", "comes with edit only");
        refuse(hasMessage, path + ".message", "comes with reject or respond only");
      }
      case EDIT -> {
        refuse(hasMessage, path + ".message", "comes with reject or respond only");
        if (one.path("args").isObject()) {
          fits(action.path("args_schema"), one.path("args"), path + ".args");
          if (kind == InterruptKind.APPROVE_SPEND) {
            BudgetKeys.checkStrictly(
                one.path("args").path(BUDGET), FIELD + path + ".args." + BUDGET, violations);
          }
        } else {
          wrong(path + ".args", "is required with edit: an object");
        }
      }
      case REJECT -> refuse(hasArgs, path + ".args", "comes with edit only");
      case RESPOND -> {
        refuse(hasArgs, path + ".args", "comes with edit only");
        refuse(!hasMessage, path + ".message", "is required with respond");
      }
    }
  }

  private void refuse(boolean given, String path, String description) {
    if (given) {
      wrong(path, description);
    }
  }

  private void fits(JsonNode schema, JsonNode value, String path) {
    if (schema.isMissingNode()) {
      return;
    }
    try {
      for (JsonSchemas.Violation violation : JsonSchemas.violations(schema.toString(), value)) {
        wrong(path + violation.pointer(), violation.message());
      }
    } catch (JsonProblem problem) {
      wrong(path, String.valueOf(problem.getMessage()));
    }
  }
}
