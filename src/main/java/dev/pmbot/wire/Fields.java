package dev.pmbot.wire;

import build.buf.protovalidate.ValidationResult;
import build.buf.protovalidate.Validator;
import build.buf.protovalidate.ValidatorFactory;
import build.buf.protovalidate.exceptions.ValidationException;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import dev.pmbot.json.JsonProblem;
import dev.pmbot.json.JsonText;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The rules that a message must keep: those that stand in the contract, no NUL in any text, JSON in
 * every field whose name ends in {@code _json}, and times that are some. All violations are found
 * at once.
 */
public final class Fields {
  /** Any field that holds JSON, in bytes. */
  public static final int LARGEST_JSON = 1 << 20;

  // 0001-01-01T00:00:00Z and the second after 9999-12-31T23:59:59Z, as Timestamp's own rules say.
  private static final long FIRST_SECOND = -62_135_596_800L;
  private static final long SECOND_BEHIND_LAST = 253_402_300_800L;

  private static final Pattern ID_RULE = Pattern.compile("\\^\\(?([a-z]+)_\\[0-9a-f]\\{32}.*");
  private static final Pattern ID = Pattern.compile("([a-z]+)_[0-9a-f]{32}");
  private static final Map<String, String> KINDS =
      Map.of(
          "ws", "workspace",
          "repo", "repo",
          "run", "run",
          "appr", "approval",
          "intr", "interrupt",
          "art", "artifact",
          "cs", "changeset",
          "evt", "event");

  private final Validator validator = ValidatorFactory.newBuilder().build();
  private final Map<Descriptor, List<FieldDescriptor>> plans = new ConcurrentHashMap<>();

  /** Every violation of a message. */
  public List<Violation> violations(Message message) {
    List<Violation> violations = new ArrayList<>();
    try {
      ValidationResult result = validator.validate(message);
      for (var violation : result.getViolations()) {
        var proto = violation.toProto();
        violations.add(
            new Violation(
                path(proto.getField()),
                describe(proto.getRuleId(), proto.getMessage(), violation)));
      }
    } catch (ValidationException failure) {
      throw new IllegalStateException("the contract's own rules cannot be applied", failure);
    }
    walk(message, "", violations);
    return violations;
  }

  private static String path(build.buf.validate.FieldPath path) {
    StringBuilder text = new StringBuilder();
    for (var element : path.getElementsList()) {
      text.append(text.isEmpty() ? "" : ".").append(element.getFieldName());
      if (element.hasIndex()) {
        text.append('[').append(element.getIndex()).append(']');
      }
    }
    return text.isEmpty() ? "request" : text.toString();
  }

  private static String describe(
      String rule, String message, build.buf.protovalidate.Violation violation) {
    var ruleValue = violation.getRuleValue();
    var fieldValue = violation.getFieldValue();
    if (ruleValue == null || fieldValue == null) {
      return message;
    }
    if (rule.equals("string.pattern")
        && ruleValue.getValue() instanceof String pattern
        && fieldValue.getValue() instanceof String value) {
      return describe(pattern, value);
    }
    FieldDescriptor field = fieldValue.getDescriptor();
    if (rule.startsWith("enum.") && field.getJavaType() == FieldDescriptor.JavaType.ENUM) {
      String values =
          field.getEnumType().getValues().stream()
              .filter(value -> value.getNumber() != 0)
              .map(EnumValueDescriptor::getName)
              .collect(Collectors.joining(", "));
      return "must be one that this field takes, of " + values;
    }
    return message;
  }

  private static String describe(String pattern, String value) {
    Matcher expected = ID_RULE.matcher(pattern);
    String kind = expected.matches() ? KINDS.get(expected.group(1)) : null;
    if (kind == null) {
      return value.isEmpty() ? "is required, and must match " + pattern : "must match " + pattern;
    }
    String right = kind + " ids are " + expected.group(1) + "_ and 32 hex digits";
    Matcher actual = ID.matcher(value);
    String other = actual.matches() ? KINDS.get(actual.group(1)) : null;
    if (other != null) {
      return "is the id of another kind (" + other + "); " + right;
    }
    return value.isEmpty() ? "is required; " + right : "is no id; " + right;
  }

  private void walk(Message message, String prefix, List<Violation> violations) {
    for (FieldDescriptor field : plan(message.getDescriptorForType())) {
      if (field.isRepeated()) {
        int count = message.getRepeatedFieldCount(field);
        for (int index = 0; index < count; index++) {
          check(
              field,
              message.getRepeatedField(field, index),
              prefix + field.getName() + '[' + index + ']',
              violations);
        }
      } else if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE
          || message.hasField(field)) {
        check(field, message.getField(field), prefix + field.getName(), violations);
      }
    }
  }

  private void check(FieldDescriptor field, Object value, String path, List<Violation> violations) {
    if (value instanceof Timestamp time) {
      checkTime(time, path, violations);
    } else if (value instanceof Message nested) {
      walk(nested, path + ".", violations);
    } else if (value instanceof String text) {
      if (field.getName().endsWith("_json")) {
        if (!text.isEmpty()) {
          checkJson(text, path, violations);
        }
      } else if (text.indexOf('\0') >= 0) {
        violations.add(new Violation(path, "holds a NUL character, which no text may"));
      }
    }
  }

  private static void checkTime(Timestamp time, String path, List<Violation> violations) {
    if (time.getSeconds() < FIRST_SECOND
        || time.getSeconds() >= SECOND_BEHIND_LAST
        || time.getNanos() < 0
        || time.getNanos() > 999_999_999) {
      violations.add(
          new Violation(
              path, "is no time: seconds of the years 1 to 9999, and nanos of 0 to 999,999,999"));
    }
  }

  private static void checkJson(String text, String path, List<Violation> violations) {
    try {
      JsonText.check(text, LARGEST_JSON);
    } catch (JsonProblem problem) {
      violations.add(new Violation(path, String.valueOf(problem.getMessage())));
    }
  }

  private List<FieldDescriptor> plan(Descriptor type) {
    return plans.computeIfAbsent(
        type,
        descriptor ->
            descriptor.getFields().stream()
                .filter(
                    field ->
                        field.getJavaType() == FieldDescriptor.JavaType.STRING
                            || field.getJavaType() == FieldDescriptor.JavaType.MESSAGE)
                .toList());
  }
}
