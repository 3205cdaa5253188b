package dev.pmbot.json;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds credentials of known formats anywhere in a plain text, in one pass: from left to right, no
 * finding inside another, and each character looked at a bounded number of times. Written by hand
 * since the regular expressions of the same formats, joined, need minutes for a hostile text.
 */
final class CredentialFinder {
  private static final int SHORTEST_JWT_PART = 8;
  private static final int LONGEST_PEM_TITLE = 60;
  private static final int SHORTEST_BEARER = 8;
  private static final int SHORTEST_BEARER_WITHOUT_DIGIT = 20;
  private static final String PEM_BEGIN = "-----BEGIN ";
  private static final String PEM_DASHES = "-----";

  private final String text;
  private final AssignmentFinder assignments;

  /** Up to here no token of three parts can begin: the stretch has been tried. */
  private int noJwtBefore;

  private CredentialFinder(String text) {
    this.text = text;
    assignments = new AssignmentFinder(text);
  }

  /** All credentials in a text, in order; empty for nearly every text. */
  static List<Finding> find(String text) {
    return new CredentialFinder(text).all();
  }

  private List<Finding> all() {
    List<Finding> findings = List.of();
    int position = 0;
    while (position < text.length()) {
      Finding finding = at(position);
      if (finding == null) {
        position++;
        continue;
      }
      if (findings.isEmpty()) {
        findings = new ArrayList<>();
      }
      findings.add(finding);
      position = finding.end();
    }
    return findings;
  }

  private @Nullable Finding at(int position) {
    char c = text.charAt(position);
    return switch (c) {
      case ':' ->
          text.startsWith("://", position) ? urlPassword(position + 3) : assignments.at(position);
      case '=' -> assignments.at(position);
      case '-' -> privateKey(position);
      case 'B', 'b' -> bearer(position);
      default -> prefixed(c, position);
    };
  }

  private @Nullable Finding prefixed(char first, int position) {
    CredentialFormat[] formats = CredentialFormat.beginningWith(first);
    boolean candidate = formats.length > 0 || first == 'e';
    if (!candidate || !beginsWord(position)) {
      return null;
    }
    if (text.startsWith("eyJ", position)) {
      return jwt(position);
    }
    for (CredentialFormat format : formats) {
      int end = format.end(text, position);
      if (end >= 0) {
        return new Finding(position, end, format.kind());
      }
    }
    return null;
  }

  private boolean beginsWord(int position) {
    if (position == 0 || !Character.isLetterOrDigit(text.charAt(position - 1))) {
      return true;
    }
    // The n of an escaped line end, in a text that was itself quoted once more.
    return position > 1
        && text.charAt(position - 2) == '\\'
        && "nrtbf".indexOf(text.charAt(position - 1)) >= 0;
  }

  private @Nullable Finding jwt(int start) {
    if (start < noJwtBefore) {
      return null;
    }
    int first = base64(start);
    int second = text.startsWith(".", first) ? base64(first + 1) : first;
    int third = text.startsWith(".", second) ? base64(second + 1) : second;
    boolean found =
        first - start >= SHORTEST_JWT_PART
            && second - first > SHORTEST_JWT_PART
            && third - second > SHORTEST_JWT_PART;
    if (!found) {
      noJwtBefore = first;
      return null;
    }
    while (text.startsWith(".", third) && base64(third + 1) > third + 1) {
      third = base64(third + 1);
    }
    return new Finding(start, third, "jwt");
  }

  private int base64(int from) {
    int position = from;
    while (position < text.length()
        && (CharacterSets.isWord(text.charAt(position)) || text.charAt(position) == '-')) {
      position++;
    }
    return position;
  }

  private @Nullable Finding privateKey(int start) {
    if (!text.startsWith(PEM_BEGIN, start)) {
      return null;
    }
    int titleStart = start + PEM_BEGIN.length();
    int limit = Math.min(text.length(), titleStart + LONGEST_PEM_TITLE);
    String title = text.substring(titleStart, limit);
    int dashes = title.indexOf(PEM_DASHES);
    if (dashes < 0 || !title.substring(0, dashes).contains("PRIVATE KEY")) {
      return null;
    }
    String last = "-----END " + title.substring(0, dashes) + PEM_DASHES;
    int end = text.indexOf(last, titleStart);
    // A key that was cut off is a key all the same.
    return new Finding(start, end < 0 ? text.length() : end + last.length(), "private_key");
  }

  private @Nullable Finding bearer(int start) {
    if (!text.regionMatches(true, start, "bearer ", 0, 7) || !beginsWord(start)) {
      return null;
    }
    int body = start + 7;
    int position = body;
    boolean digit = false;
    while (position < text.length() && isTokenCharacter(text.charAt(position))) {
      digit |= CharacterSets.isDigit(text.charAt(position));
      position++;
    }
    int length = position - body;
    boolean found = length >= SHORTEST_BEARER_WITHOUT_DIGIT || (digit && length >= SHORTEST_BEARER);
    return found ? new Finding(body, position, "token") : null;
  }

  private static boolean isTokenCharacter(char c) {
    return CharacterSets.isWord(c) || "-.~+/=".indexOf(c) >= 0;
  }

  private @Nullable Finding urlPassword(int authority) {
    int colon = -1;
    int at = -1;
    int position = authority;
    while (position < text.length() && isAuthority(text.charAt(position))) {
      char c = text.charAt(position);
      if (c == ':' && colon < 0) {
        colon = position;
      } else if (c == '@') {
        at = position;
      }
      position++;
    }
    boolean found = colon >= 0 && at > colon + 1;
    return found && !Markers.isPlaceholder(text, colon + 1, at)
        ? new Finding(colon + 1, at, "password")
        : null;
  }

  private static boolean isAuthority(char c) {
    return c > ' ' && "/\"'`<>\\".indexOf(c) < 0;
  }
}
