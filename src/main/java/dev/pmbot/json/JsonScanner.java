package dev.pmbot.json;

/**
 * Walks a JSON text (RFC 8259, nothing more) token by token and knows each token's offsets. It does
 * not recurse, converts no number and copies no string, so its cost is one pass over the text and
 * its memory is constant, whatever the text.
 *
 * <p>Written by hand because redaction needs exact offsets in the text, which a parser that decodes
 * does not give, and because what the door lets in must be what redaction sees: one scanner, one
 * grammar.
 */
final class JsonScanner {
  /** Objects and arrays that come in may be nested this deep. */
  static final int MAXIMUM_DEPTH = 64;

  /** What this program wraps around a value that came in may make it this deep. */
  static final int MAXIMUM_DEPTH_WITHIN = 80;

  enum Token {
    OBJECT_START,
    OBJECT_END,
    ARRAY_START,
    ARRAY_END,
    KEY,
    STRING,
    NUMBER,
    TRUE,
    FALSE,
    NULL,
    END
  }

  private enum Expected {
    VALUE("a value"),
    VALUE_OR_END("a value or `]`"),
    KEY("a key in double quotes"),
    KEY_OR_END("a key in double quotes or `}`"),
    COMMA_OR_END("a comma or the closing bracket"),
    NOTHING("the end of the text");

    private final String words;

    Expected(String words) {
      this.words = words;
    }
  }

  private final String text;
  private final StringScanner strings;
  private int position;
  private int start;
  private int end;
  private int depth;

  /** Whether the container at depth d + 1 is an object. */
  private final boolean[] objects;

  private Expected expected = Expected.VALUE;

  JsonScanner(String text) {
    this(text, MAXIMUM_DEPTH);
  }

  JsonScanner(String text, int maximumDepth) {
    this.text = text;
    this.objects = new boolean[maximumDepth];
    this.strings = new StringScanner(text);
  }

  /** Offset of the last token's first character. */
  int start() {
    return start;
  }

  /** Offset after the last token's last character. */
  int end() {
    return end;
  }

  /** How many containers are open after the last token. */
  int depth() {
    return depth;
  }

  /** The last KEY or STRING without its quotes, escapes decoded. */
  String string() {
    return strings.decode(start + 1, end - 1);
  }

  /** The next token; END once, after exactly one value, and then nothing more may be asked. */
  Token next() {
    skipSpace();
    start = position;
    if (position == text.length()) {
      if (expected != Expected.NOTHING) {
        throw problem(position, "its end");
      }
      end = position;
      return Token.END;
    }
    if (expected == Expected.COMMA_OR_END && text.charAt(position) == ',') {
      position++;
      expected = inObject() ? Expected.KEY : Expected.VALUE;
      skipSpace();
      start = position;
      if (position == text.length()) {
        throw problem(position, "its end");
      }
    }
    Token token = read(text.charAt(position));
    end = token == Token.KEY ? end : position;
    return token;
  }

  private Token read(char c) {
    if (c == '}' || c == ']') {
      return close(c);
    }
    return switch (expected) {
      case KEY, KEY_OR_END -> key(c);
      case VALUE, VALUE_OR_END -> value(c);
      case COMMA_OR_END, NOTHING -> throw problem(position, "an unexpected character");
    };
  }

  private Token close(char c) {
    boolean object = c == '}';
    boolean allowed =
        depth > 0
            && object == inObject()
            && (expected == Expected.COMMA_OR_END
                || expected == Expected.KEY_OR_END
                || expected == Expected.VALUE_OR_END);
    if (!allowed) {
      throw problem(position, "an unexpected `" + c + "`");
    }
    position++;
    depth--;
    afterValue();
    return object ? Token.OBJECT_END : Token.ARRAY_END;
  }

  private Token key(char c) {
    if (c != '"') {
      throw problem(position, "an unexpected character");
    }
    position = strings.end(position);
    end = position;
    skipSpace();
    if (position == text.length() || text.charAt(position) != ':') {
      throw JsonProblem.at(text, position, "a key without a colon", "a colon must follow the key");
    }
    position++;
    expected = Expected.VALUE;
    return Token.KEY;
  }

  private Token value(char c) {
    return switch (c) {
      case '{' -> open(true);
      case '[' -> open(false);
      case '"' -> {
        position = strings.end(position);
        afterValue();
        yield Token.STRING;
      }
      case 't' -> word("true", Token.TRUE);
      case 'f' -> word("false", Token.FALSE);
      case 'n' -> word("null", Token.NULL);
      default -> {
        if (c != '-' && !CharacterSets.isDigit(c)) {
          throw problem(position, "an unexpected character");
        }
        position = NumberScanner.end(text, position);
        afterValue();
        yield Token.NUMBER;
      }
    };
  }

  private Token open(boolean object) {
    if (depth == objects.length) {
      throw JsonProblem.at(
          text,
          position,
          "more than " + objects.length + " nested objects and arrays",
          "nest at most " + objects.length + " deep");
    }
    objects[depth] = object;
    depth++;
    position++;
    expected = object ? Expected.KEY_OR_END : Expected.VALUE_OR_END;
    return object ? Token.OBJECT_START : Token.ARRAY_START;
  }

  private Token word(String word, Token token) {
    if (!text.startsWith(word, position)) {
      throw problem(position, "an unexpected character");
    }
    position += word.length();
    afterValue();
    return token;
  }

  private void afterValue() {
    expected = depth == 0 ? Expected.NOTHING : Expected.COMMA_OR_END;
  }

  private boolean inObject() {
    return depth > 0 && objects[depth - 1];
  }

  private void skipSpace() {
    while (position < text.length()) {
      char c = text.charAt(position);
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
        return;
      }
      position++;
    }
  }

  private JsonProblem problem(int offset, String wrong) {
    return JsonProblem.at(text, offset, wrong, expected.words + " must stand here");
  }
}
