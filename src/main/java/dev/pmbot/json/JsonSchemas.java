package dev.pmbot.json;

import com.networknt.schema.Error;
import com.networknt.schema.ExecutionConfig;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaException;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import com.networknt.schema.ValidationLimitExceededException;
import com.networknt.schema.dialect.Dialect;
import com.networknt.schema.dialect.DialectId;
import com.networknt.schema.dialect.Dialects;
import com.networknt.schema.keyword.AnnotationKeyword;
import com.networknt.schema.path.PathType;
import com.networknt.schema.regex.JDKRegularExpressionFactory;
import com.networknt.schema.regex.RegularExpressionFactory;
import com.networknt.schema.resource.SchemaLoader;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Compares JSON values with JSON schemas of draft 2020-12 that strangers wrote. A schema is
 * followed nowhere outside itself but to the draft's own meta-schemas; whatever it says, the
 * comparison ends after a bounded number of steps. {@code format} is a remark, as the draft has it,
 * and not compared. Patterns are those of ECMA-262 without look-behind and back-references.
 */
public final class JsonSchemas {
  /** A schema may have this many bytes of UTF-8. */
  public static final int MAXIMUM_BYTES = 256 * 1024;

  /** At most this many violations are told. */
  public static final int MAXIMUM_VIOLATIONS = 50;

  private static final String DRAFT = DialectId.DRAFT_2020_12;
  private static final String META_SCHEMAS = "https://json-schema.org/draft/2020-12/";
  private static final long MAXIMUM_STEPS = 1_000_000;

  // Each level costs several frames of a thread's stack, which hold a few thousand in all.
  private static final int MAXIMUM_EVALUATION_DEPTH = 500;

  private static final ExecutionConfig LIMITS =
      ExecutionConfig.builder()
          .maxEvaluationSteps(MAXIMUM_STEPS)
          .maxEvaluationDepth(MAXIMUM_EVALUATION_DEPTH)
          .locale(Locale.ROOT)
          .formatAssertionsEnabled(false)
          .build();

  /**
   * The draft as it is, but for unknown keywords: the library would log each, and remember it for
   * ever, and strangers choose them.
   */
  private static final Dialect DIALECT =
      Dialect.builder(Dialects.getDraft202012())
          .unknownKeywordFactory((keyword, context) -> new AnnotationKeyword(keyword))
          .build();

  // Shared, unlike those for strangers' schemas; its few patterns are harmless in any engine.
  private static final Schema META_SCHEMA =
      registry(JDKRegularExpressionFactory.getInstance()).getSchema(SchemaLocation.of(DRAFT));

  private JsonSchemas() {}

  /**
   * One way in which a value is not as its schema wants it.
   *
   * @param pointer where in the value, as a JSON pointer; empty for the whole value
   * @param message what the schema wants there
   */
  public record Violation(String pointer, String message) {}

  /**
   * Checks a schema at the door, so that what is stored can be used later.
   *
   * @throws JsonProblem if the text is not JSON, not a schema of draft 2020-12, larger than {@link
   *     #MAXIMUM_BYTES}, nested deeper than {@link JsonText#MAXIMUM_DEPTH}, refers to something
   *     outside itself, to nothing, or to itself without end, or has a pattern that cannot be run
   */
  public static void checkSchema(String schemaJson) {
    JsonNode schemaNode = parse(schemaJson);
    List<Error> errors = compare(() -> META_SCHEMA, schemaNode, new SchemaPatterns());
    if (!errors.isEmpty()) {
      Error first = errors.get(0);
      throw new JsonProblem(
          "The schema is not one of draft 2020-12: at `%s`, %s."
              .formatted(first.getInstanceLocation(), first.getMessage()));
    }
    SchemaPatterns patterns = new SchemaPatterns();
    // Comparing any value makes the validator follow each reference that holds for the whole of it.
    compare(() -> initialized(schemaNode, patterns), JsonNodeFactory.instance.nullNode(), patterns);
  }

  /**
   * Compares a value with a schema. Leaves that hold a redaction marker are exempt, since nobody
   * can know whether what stood there fits.
   *
   * @param schemaJson a schema that {@link #checkSchema} lets pass
   * @param value what to compare, at most {@link JsonText#MAXIMUM_DEPTH} deep
   * @return what is wrong with the value, at most {@link #MAXIMUM_VIOLATIONS}; empty if nothing is
   * @throws JsonProblem if the schema cannot be used, or the comparison takes too many steps
   */
  public static List<Violation> violations(String schemaJson, JsonNode value) {
    JsonNode schemaNode = parse(schemaJson);
    SchemaPatterns patterns = new SchemaPatterns();
    List<Error> errors = compare(() -> registry(patterns).getSchema(schemaNode), value, patterns);
    return RedactedLeaves.without(errors, value).stream()
        .map(error -> new Violation(error.getInstanceLocation().toString(), error.getMessage()))
        .distinct()
        .limit(MAXIMUM_VIOLATIONS)
        .toList();
  }

  private static JsonNode parse(String schemaJson) {
    JsonNode schema;
    try {
      schema = JsonText.parse(schemaJson, MAXIMUM_BYTES);
    } catch (JsonProblem e) {
      throw new JsonProblem("The schema cannot be read. " + e.getMessage(), e);
    }
    if (!schema.isObject() && !schema.isBoolean()) {
      throw new JsonProblem("The schema is neither an object nor true or false.");
    }
    String draft = schema.path("$schema").asString(DRAFT);
    if (!draft.equals(DRAFT) && !draft.equals(DRAFT + "#")) {
      throw new JsonProblem(
          "The schema is of another draft; its `$schema` must be %s or left out.".formatted(DRAFT));
    }
    return schema;
  }

  private static Schema initialized(JsonNode schemaNode, SchemaPatterns patterns) {
    Schema schema = registry(patterns).getSchema(schemaNode);
    schema.initializeValidators();
    return schema;
  }

  private static List<Error> compare(
      Supplier<Schema> schema, JsonNode value, SchemaPatterns patterns) {
    try {
      List<Error> errors =
          schema.get().validate(value, context -> context.setExecutionConfig(LIMITS));
      patterns.throwProblem();
      return errors;
    } catch (ValidationLimitExceededException e) {
      throw e.getLimitKind() == ValidationLimitExceededException.LimitKind.EVALUATION_DEPTH
          ? endless(e)
          : new JsonProblem(
              "The schema takes too many steps to compare with the value; a simpler schema would"
                  + " do.",
              e);
    } catch (StackOverflowError e) {
      throw endless(e);
    } catch (SchemaException e) {
      patterns.throwProblem();
      throw new JsonProblem(
          "The schema cannot be used; it may refer only to its own parts and to draft 2020-12: "
              + e.getMessage(),
          e);
    }
  }

  private static JsonProblem endless(Throwable cause) {
    return new JsonProblem("The schema refers to itself without end.", cause);
  }

  /** A registry for one schema: what one stranger's schema names is unknown to the next. */
  private static SchemaRegistry registry(RegularExpressionFactory patterns) {
    SchemaLoader onlyBuiltIn =
        SchemaLoader.builder().allow(iri -> iri.toString().startsWith(META_SCHEMAS)).build();
    SchemaRegistryConfig configuration =
        SchemaRegistryConfig.builder()
            .pathType(PathType.JSON_POINTER)
            .locale(Locale.ROOT)
            .formatAssertionsEnabled(false)
            .preloadSchema(true)
            .regularExpressionFactory(patterns)
            .build();
    return SchemaRegistry.withDialect(
        DIALECT, builder -> builder.schemaLoader(onlyBuiltIn).schemaRegistryConfig(configuration));
  }
}
