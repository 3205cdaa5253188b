package dev.pmbot.json;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.cfg.JsonNodeFeature;
import tools.jackson.databind.json.JsonMapper;

/** The door for JSON: what may come in, and the one way in which this program writes it. */
public final class JsonText {
  /** Objects and arrays may be nested this deep. */
  public static final int MAXIMUM_DEPTH = JsonScanner.MAXIMUM_DEPTH;

  /** A number may have this many characters. */
  public static final int MAXIMUM_NUMBER_LENGTH = NumberScanner.MAXIMUM_LENGTH;

  // A set that grew larger than this is not cleared but replaced: clearing costs its capacity, and
  // a text could make us pay that for each of a hundred thousand empty objects beside one large.
  private static final int LARGE_SET = 32;

  private static final JsonMapper MAPPER = mapper();

  private JsonText() {}

  /**
   * Lets a text pass if it is exactly one JSON value (RFC 8259) that every reader understands
   * alike.
   *
   * @param text what came in
   * @param maximumBytes how long it may be, in bytes of UTF-8
   * @throws JsonProblem if it is not JSON, is longer than {@code maximumBytes}, is nested deeper
   *     than {@link #MAXIMUM_DEPTH}, has a key twice in one object, has half a surrogate pair or a
   *     NUL in a string or key (raw or escaped), or has a number longer than {@link
   *     #MAXIMUM_NUMBER_LENGTH} or beyond 64-bit floating point
   */
  public static void check(String text, int maximumBytes) {
    checkSize(text, maximumBytes);
    scan(text);
  }

  /**
   * As {@link #check}, and the value must be an object.
   *
   * @throws JsonProblem as {@link #check}, and if the value is anything but an object
   */
  public static void checkObject(String text, int maximumBytes) {
    checkSize(text, maximumBytes);
    if (scan(text) != JsonScanner.Token.OBJECT_START) {
      throw new JsonProblem("The JSON text is not an object; it must begin with `{`.");
    }
  }

  /**
   * Checks a text and reads it into a tree. Numbers with a fraction or an exponent become doubles.
   *
   * @throws JsonProblem as {@link #check}
   */
  public static JsonNode parse(String text, int maximumBytes) {
    check(text, maximumBytes);
    return read(text);
  }

  /**
   * Reads a text that this program wrote: a value that came in may stand a few levels down in it.
   *
   * @throws JsonProblem if it is not JSON
   */
  public static JsonNode read(String text) {
    try {
      return MAPPER.readTree(text);
    } catch (JacksonException e) {
      throw new JsonProblem("The JSON text cannot be read; it must be one JSON value.", e);
    }
  }

  /**
   * Writes an object without spaces, its keys sorted at every level, so that equal content gives
   * equal text. Entries of maps whose value is null are left out, at every level; nulls in lists
   * and trees stay.
   *
   * @param object keys and values; a value is a map, list, string, number, boolean, enum or tree
   * @throws JsonProblem if a value cannot be written
   */
  public static String write(Map<String, ?> object) {
    try {
      return MAPPER.writeValueAsString(object);
    } catch (JacksonException e) {
      throw new JsonProblem("The object cannot be written as JSON; it holds a foreign value.", e);
    }
  }

  private static void checkSize(String text, int maximumBytes) {
    // A UTF-16 character is at most three bytes of UTF-8, so that most texts need no counting.
    if (text.length() <= maximumBytes / 3) {
      return;
    }
    long bytes = utf8Length(text);
    if (bytes > maximumBytes) {
      throw new JsonProblem(
          "The JSON text has %d bytes; at most %d are allowed.".formatted(bytes, maximumBytes));
    }
  }

  private static long utf8Length(String text) {
    long bytes = text.length();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c >= 0x80) {
        // Each half of a surrogate pair counts two, four together.
        bytes += c < 0x800 || Character.isSurrogate(c) ? 1 : 2;
      }
    }
    return bytes;
  }

  /** Scans the whole text and gives its first token. */
  private static JsonScanner.Token scan(String text) {
    JsonScanner scanner = new JsonScanner(text);
    List<Set<String>> keysByDepth = new ArrayList<>();
    JsonScanner.Token first = scanner.next();
    JsonScanner.Token token = first;
    while (token != JsonScanner.Token.END) {
      if (token == JsonScanner.Token.OBJECT_START) {
        forget(keysByDepth, scanner.depth());
      } else if (token == JsonScanner.Token.KEY) {
        String key = scanner.string();
        if (!keysByDepth.get(scanner.depth() - 1).add(key)) {
          throw JsonProblem.at(
              text, scanner.start(), "a key for the second time", "an object has each key once");
        }
      }
      token = scanner.next();
    }
    return first;
  }

  private static void forget(List<Set<String>> keysByDepth, int depth) {
    while (keysByDepth.size() < depth) {
      keysByDepth.add(new HashSet<>());
    }
    Set<String> keys = keysByDepth.get(depth - 1);
    if (keys.size() > LARGE_SET) {
      keysByDepth.set(depth - 1, new HashSet<>());
    } else {
      keys.clear();
    }
  }

  private static JsonMapper mapper() {
    // The scanner has checked everything already. What Jackson would refuse beyond that is lifted,
    // so that a text that passed the door can always be read; its table of names is off because it
    // fails on names made to collide.
    JsonFactory factory =
        JsonFactory.builder()
            .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
            .streamReadConstraints(
                StreamReadConstraints.builder()
                    .maxNestingDepth(JsonScanner.MAXIMUM_DEPTH_WITHIN)
                    .maxNumberLength(MAXIMUM_NUMBER_LENGTH)
                    .maxNameLength(Integer.MAX_VALUE)
                    .maxStringLength(Integer.MAX_VALUE)
                    .build())
            .build();
    return JsonMapper.builder(factory)
        .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
        .enable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
        .enable(JsonNodeFeature.WRITE_PROPERTIES_SORTED)
        .changeDefaultPropertyInclusion(
            inclusion ->
                inclusion
                    .withValueInclusion(JsonInclude.Include.NON_NULL)
                    .withContentInclusion(JsonInclude.Include.NON_NULL))
        .build();
  }
}
