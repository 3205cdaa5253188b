package dev.pmbot.json;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which keys look as if their value were a secret. A key is split into words at {@code _}, {@code
 * -}, other separators and camel case; the words decide, so that {@code accessToken} and {@code
 * GITHUB_TOKEN} are found while {@code max_total_tokens}, {@code tokenizer} and {@code author} are
 * not.
 */
final class SecretKeys {
  private static final int LONGEST_KEY = 200;

  private static final Set<String> PASSWORDS =
      Set.of("password", "passwords", "passwd", "passphrase", "passcode", "pwd");

  /** {@code pass} alone counts tests that passed; after one of these it is short for password. */
  private static final Set<String> PASS_OWNERS =
      Set.of("db", "database", "user", "admin", "root", "smtp", "mail", "mysql", "pg", "redis");

  /** What {@code key} is after one of these words. */
  private static final Map<String, Set<String>> KEY_KINDS =
      Map.of(
          "api_key", Set.of("api", "app", "license"),
          "access_key", Set.of("access", "account", "auth", "storage"),
          "secret", Set.of("secret"),
          "session_key", Set.of("session"),
          "private_key",
              Set.of(
                  "private",
                  "ssh",
                  "pgp",
                  "gpg",
                  "deploy",
                  "rsa",
                  "signing",
                  "encryption",
                  "master"));

  /** {@code tokens} in the plural counts; only after one of these does it hold some. */
  private static final Set<String> TOKEN_OWNERS =
      Set.of("auth", "access", "refresh", "api", "bearer", "session", "id", "csrf", "oauth");

  /** Before {@code token} these mean a place in a list, or a piece of text for a model. */
  private static final Set<String> HARMLESS_OWNERS =
      words(
          """
          page next previous prev sync continuation pagination cursor max min num per pad
          eos bos unk mask cls sep stop special first last new input output prompt
          completion
          """);

  /** After a secret word these say that the value describes the secret and is none. */
  private static final Set<String> DESCRIPTIONS =
      words(
          """
          count counts usage used budget limit limits length size total max min rate cost
          price expires expiry expiration at ttl in url uri endpoint path file name names
          type types index position offset logprobs details per ratio window threshold
          left remaining fingerprint version policy required ref arn encoding hint
          algorithm ms seconds latency time ids scheme method mode status enabled
          """);

  private SecretKeys() {}

  private static Set<String> words(String separated) {
    return Set.of(separated.strip().split("\\s+"));
  }

  /** The kind of secret that a key names, such as {@code password}, or null if it names none. */
  static @Nullable String kind(String key) {
    if (key.length() > LONGEST_KEY || !hasStem(key)) {
      return null;
    }
    List<String> words = split(key);
    for (int i = 0; i < words.size(); i++) {
      String kind = kind(words, i);
      if (kind != null && !isDescribed(words, i)) {
        return kind;
      }
    }
    return null;
  }

  private static @Nullable String kind(List<String> words, int i) {
    String word = words.get(i);
    String before = i == 0 ? "" : words.get(i - 1);
    if (PASSWORDS.contains(word) || word.endsWith("password") || word.endsWith("passwd")) {
      return "password";
    } else if (word.equals("key") || word.equals("keys")) {
      return keyKind(before);
    } else if (word.endsWith("apikey") || word.endsWith("apikeys")) {
      return "api_key";
    } else if (word.endsWith("token") || word.equals("jwt") || word.equals("bearer")) {
      return isPlace(word, before) ? null : "token";
    } else if (word.equals("tokens")) {
      return TOKEN_OWNERS.contains(before) ? "token" : null;
    }
    return switch (word) {
      case "secret", "secrets", "clientsecret", "appsecret" -> "secret";
      case "pass" -> PASS_OWNERS.contains(before) ? "password" : null;
      case "auth" -> words.size() == 1 ? "authorization" : null;
      case "authorization" -> "authorization";
      case "credential", "credentials", "creds" -> "credential";
      case "cookie", "cookies" -> "cookie";
      case "privatekey" -> "private_key";
      case "accesskey" -> "access_key";
      case "secretkey" -> "secret";
      case "dsn" -> "credential";
      default -> null;
    };
  }

  private static @Nullable String keyKind(String before) {
    for (Map.Entry<String, Set<String>> kind : KEY_KINDS.entrySet()) {
      if (kind.getValue().contains(before)) {
        return kind.getKey();
      }
    }
    return null;
  }

  private static boolean isPlace(String word, String before) {
    if (word.equals("token")) {
      return HARMLESS_OWNERS.contains(before);
    }
    return word.endsWith("token")
        && HARMLESS_OWNERS.contains(word.substring(0, word.length() - "token".length()));
  }

  private static boolean isDescribed(List<String> words, int i) {
    int after = i + 1;
    // "secret_access_key" and "token_secret" are decided by their later words as well.
    return after < words.size() && DESCRIPTIONS.contains(words.get(words.size() - 1));
  }

  /** Without one of these in it a key is not split into words at all: this runs for every key. */
  private static boolean hasStem(String key) {
    for (int i = 0; i < key.length(); i++) {
      boolean found =
          switch (key.charAt(i) | 0x20) {
            case 'a' -> is(key, i, "auth");
            case 'b' -> is(key, i, "bearer");
            case 'c' -> is(key, i, "cred") || is(key, i, "cookie");
            case 'd' -> is(key, i, "dsn");
            case 'j' -> is(key, i, "jwt");
            case 'k' -> is(key, i, "key");
            case 'p' -> is(key, i, "pass") || is(key, i, "pwd");
            case 's' -> is(key, i, "secret");
            case 't' -> is(key, i, "token");
            default -> false;
          };
      if (found) {
        return true;
      }
    }
    return false;
  }

  private static boolean is(String key, int at, String stem) {
    return key.regionMatches(true, at, stem, 0, stem.length());
  }

  private static List<String> split(String key) {
    List<String> words = new ArrayList<>();
    int start = 0;
    for (int i = 0; i <= key.length(); i++) {
      boolean separator = i == key.length() || !isAlphanumeric(key.charAt(i));
      if (separator || (i > start && isHump(key, i))) {
        addWord(words, key.substring(start, i));
        start = separator ? i + 1 : i;
      }
    }
    return words;
  }

  private static void addWord(List<String> words, String part) {
    int end = part.length();
    while (end > 0 && part.charAt(end - 1) >= '0' && part.charAt(end - 1) <= '9') {
      end--;
    }
    if (end > 0) {
      words.add(part.substring(0, end).toLowerCase(Locale.ROOT));
    }
  }

  /** Whether a new word of a camel-case name begins here: {@code api|Key}, {@code API|Key}. */
  private static boolean isHump(String key, int i) {
    if (!Character.isUpperCase(key.charAt(i))) {
      return false;
    }
    return !Character.isUpperCase(key.charAt(i - 1))
        || (i + 1 < key.length() && Character.isLowerCase(key.charAt(i + 1)));
  }

  private static boolean isAlphanumeric(char c) {
    return Character.isLetterOrDigit(c);
  }
}
