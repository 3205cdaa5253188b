package dev.pmbot.json;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import dev.pmbot.json.JsonSchemas.Violation;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class JsonSchemasTest {
  private static final String PERSON =
      """
      {"type": "object", "required": ["name"], "additionalProperties": false,
       "properties": {"name": {"type": "string", "minLength": 2},
                      "age": {"type": "integer", "minimum": 0},
                      "a/b": {"type": "array", "items": {"$ref": "#/$defs/word"}}},
       "$defs": {"word": {"type": "string", "pattern": "^[a-z]+$"}}}
      """;

  private static List<Violation> violations(String schema, String value) {
    return JsonSchemas.violations(schema, JsonText.parse(value, 4 * 1024 * 1024));
  }

  private static List<String> places(String schema, String value) {
    return violations(schema, value).stream().map(Violation::pointer).sorted().toList();
  }

  @Test
  void findsNothingWrongWithWhatFits() {
    assertEquals(
        List.of(), violations(PERSON, "{\"name\":\"Ada\",\"age\":36,\"a/b\":[\"x\",\"yz\"]}"));
  }

  @Test
  void tellsEveryViolationWithItsPlace() {
    assertEquals(
        List.of("", "", "/age", "/a~1b/1"),
        violations(PERSON, "{\"age\":-1,\"a/b\":[\"x\",\"Y\"],\"other\":0}").stream()
            .map(Violation::pointer)
            .sorted((left, right) -> Integer.compare(left.length(), right.length()))
            .toList());
  }

  @Test
  void tellsFiftyViolationsAndNoMore() {
    String value = "[" + "1,".repeat(999) + "1]";
    assertEquals(
        JsonSchemas.MAXIMUM_VIOLATIONS,
        violations("{\"items\":{\"type\":\"string\"}}", value).size());
    assertEquals(1, violations("{\"uniqueItems\":true}", value).size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "true",
        "false",
        "{\"type\":\"string\",\"format\":\"email\"}",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"}",
        "{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
        "{\"properties\":{\"child\":{\"$ref\":\"#\"}}}",
        "{\"unknownWord\":1}",
        "{\"$id\":\"https://a.example/a\",\"$defs\":{\"b\":{\"$anchor\":\"b\"}},"
            + "\"not\":{\"$ref\":\"#b\"}}",
        "{\"patternProperties\":{\"^x-(?!y)\":{\"type\":\"string\"}}}",
      })
  void letsSchemasOfTheDraftPass(String schema) {
    assertDoesNotThrow(() -> JsonSchemas.checkSchema(schema));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "1",
        "[]",
        "\"x\"",
        "{\"type\":12}",
        "{\"type\":\"strin\"}",
        "{\"required\":\"a\"}",
        "{\"properties\":{\"a\":{\"minimum\":\"1\"}}}",
        "{\"a\":1,\"a\":2}",
        "{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
        "{\"properties\":{\"a\":{\"pattern\":\"(\"}}}",
        "{\"patternProperties\":{\"[\":{}}}",
        "{\"$ref\":\"#/$defs/none\"}",
        "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/none\"}}}",
        "{\"$ref\":\"other.json\"}",
        "{\"properties\":{\"a\":{\"$ref\":\"classpath:draft-07/schema\"}}}",
        "{\"$ref\":\"https://json-schema.org/draft/2019-09/schema\"}",
        "{\"pattern\":\"(a)\\\\1\"}",
      })
  void refusesOtherSchemasAtTheDoor(String schema) {
    assertThrows(JsonProblem.class, () -> JsonSchemas.checkSchema(schema));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"$ref\":\"#\"}",
        "{\"allOf\":[{\"$ref\":\"#\"}]}",
        "{\"$dynamicRef\":\"#x\",\"$dynamicAnchor\":\"x\"}",
        "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
            + "\"b\":{\"$ref\":\"#/$defs/a\"}}}",
      })
  void refusesASchemaThatRefersToItselfWithoutEnd(String schema) {
    for (Runnable use :
        List.<Runnable>of(
            () -> JsonSchemas.checkSchema(schema), () -> violations(schema, "{\"a\":1}"))) {
      JsonProblem problem = assertThrows(JsonProblem.class, use::run);
      assertEquals("The schema refers to itself without end.", problem.getMessage());
    }
  }

  @Test
  void followsASchemaThatEndsWithItsValue() {
    String tree = "{\"required\":[\"v\"],\"properties\":{\"child\":{\"$ref\":\"#\"}}}";
    String deep = "{\"v\":1,\"child\":".repeat(60) + "{}" + "}".repeat(60);
    assertEquals(List.of("/child".repeat(60)), places(tree, deep));
  }

  @Test
  void looksNowhereOutsideTheSchema(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("schema.json"), "{\"type\":\"string\"}");
    AtomicInteger requests = new AtomicInteger();
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          requests.incrementAndGet();
          exchange.sendResponseHeaders(404, -1);
          exchange.close();
        });
    server.start();
    try {
      String remote = "http://localhost:" + server.getAddress().getPort() + "/schema.json";
      for (String place : List.of(remote, file.toUri().toString(), file.toString())) {
        for (String word : List.of("$ref", "$dynamicRef", "$schema")) {
          String schema = "{\"" + word + "\":\"" + place + "\"}";
          assertThrows(JsonProblem.class, () -> JsonSchemas.checkSchema(schema));
          assertThrows(JsonProblem.class, () -> violations(schema, "1"));
          String inner = "{\"$id\":\"http://localhost/\",\"properties\":{\"a\":" + schema + "}}";
          assertThrows(JsonProblem.class, () -> violations(inner, "{\"a\":1}"));
        }
      }
    } finally {
      server.stop(0);
    }
    assertEquals(0, requests.get());
  }

  @Test
  void endsForSchemasThatExplode() {
    StringBuilder doubling = new StringBuilder("{\"$ref\":\"#/$defs/a0\",\"$defs\":{");
    for (int i = 0; i < 60; i++) {
      String next = "{\"$ref\":\"#/$defs/a" + (i + 1) + "\"}";
      doubling.append("\"a%d\":{\"allOf\":[%s,%s]},".formatted(i, next, next));
    }
    doubling.append("\"a60\":{}}}");
    String ones = "[" + "1,".repeat(400_000) + "1]";
    String manyChecks =
        "{\"items\":{\"allOf\":[" + "{\"type\":\"integer\"},".repeat(2_000) + "{}]}}";
    assertTimeoutPreemptively(
        Duration.ofSeconds(30),
        () -> {
          assertThrows(JsonProblem.class, () -> violations(doubling.toString(), "1"));
          assertThrows(JsonProblem.class, () -> JsonSchemas.checkSchema(doubling.toString()));
          assertThrows(JsonProblem.class, () -> violations(manyChecks, ones));
        });
  }

  @Test
  void endsForPatternsThatExplode() {
    String text = "\"" + "a".repeat(1_000_000) + "!\"";
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> {
          assertEquals(List.of(""), places("{\"pattern\":\"^(a+)+$\"}", text));
          assertThrows(JsonProblem.class, () -> violations("{\"pattern\":\"(?=.*x)y\"}", text));
        });
  }

  @Test
  void boundsTheSchemaItself() {
    String large = "{\"title\":\"" + "x".repeat(JsonSchemas.MAXIMUM_BYTES) + "\"}";
    assertThrows(JsonProblem.class, () -> JsonSchemas.checkSchema(large));
    String deep = "{\"not\":".repeat(64) + "{}" + "}".repeat(64);
    assertThrows(JsonProblem.class, () -> JsonSchemas.checkSchema(deep));
  }

  @Test
  void exemptsRedactedLeaves() {
    assertEquals(
        List.of(),
        violations(PERSON, "{\"name\":\"[redacted:token]\",\"age\":\"[redacted:secret]\"}"));
    assertEquals(
        List.of("/name"), places(PERSON, "{\"name\":\"x\",\"age\":\"[redacted:secret]\"}"));
    assertEquals(List.of(), violations("{\"const\":{\"a\":1}}", "{\"a\":\"[redacted:secret]\"}"));
    assertEquals(List.of(""), places("{\"const\":{\"a\":1}}", "{\"a\":\"redacted\"}"));
  }

  @Test
  void exemptsAChoiceThatHangsOnARedactedLeaf() {
    String either =
        """
        {"items": {"anyOf": [{"properties": {"pin": {"type": "integer"}}},
                             {"required": ["name"]}]}}
        """;
    assertEquals(List.of(), violations(either, "[{\"pin\":\"[redacted:password]\"}]"));
    // The other item has no such excuse, though the schema's path is the same.
    assertEquals(
        List.of("/1", "/1/pin"),
        places(either, "[{\"pin\":\"[redacted:password]\"},{\"pin\":\"x\"}]"));
    String one =
        "{\"oneOf\":[{\"type\":\"string\"},{\"properties\":{\"x\":{\"type\":\"integer\"}}}]}";
    assertEquals(List.of(), violations(one, "{\"x\":\"[redacted:token]\"}"));
    assertTrue(places(one, "{\"x\":\"y\"}").contains("/x"));
  }

  @Test
  void aRedactedSchemaIsStillASchema() {
    String redacted =
        Redaction.redact(
            "{\"properties\":{\"token\":{\"type\":\"string\",\"default\":\"hunter2\"}}}");
    assertTrue(redacted.contains("\"default\":\"[redacted:token]\""), redacted);
    assertDoesNotThrow(() -> JsonSchemas.checkSchema(redacted));
    assertEquals(List.of("/token"), places(redacted, "{\"token\":1}"));
  }
}
