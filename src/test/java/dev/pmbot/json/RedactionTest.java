package dev.pmbot.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class RedactionTest {
  private static final int MEBIBYTE = 1024 * 1024;

  // Put together at run time, so that no scanner takes this file for a leak.
  private static final String GITHUB = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a";
  private static final String JWT =
      "eyJ"
          + "hbGciOiJIUzI1NiJ9."
          + "eyJ"
          + "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

  @ParameterizedTest
  @CsvSource({
    "password,password",
    "passwd,password",
    "userPassword,password",
    "DB_PASS,password",
    "secret,secret",
    "client_secret,secret",
    "clientSecret,secret",
    "AWS_SECRET_ACCESS_KEY,secret",
    "token,token",
    "accessToken,token",
    "GITHUB_TOKEN,token",
    "refresh-token,token",
    "access_tokens,token",
    "api_key,api_key",
    "apikey,api_key",
    "x-api-key,api_key",
    "OpenAIApiKey,api_key",
    "APIKey,api_key",
    "Authorization,authorization",
    "proxy-authorization,authorization",
    "credentials,credential",
    "credential,credential",
    "private_key,private_key",
    "sshKey,private_key",
    "pgp_key,private_key",
    "access_key,access_key",
    "session_key,session_key",
    "Set-Cookie,cookie",
    "cookie,cookie",
    "bearer,token",
    "password2,password",
    "mypassword,password",
    "authtoken,token",
    "auth,authorization",
    "lease_token,token",
    "passphrase,password",
    "token_secret,token",
  })
  void redactsWhatStandsUnderASecretLookingKey(String key, String kind) {
    for (String value : List.of("\"x\"", "12", "-1.5e3", "[1,{\"a\":\"b\"}]", "{\"a\":[]}")) {
      assertEquals(
          "{\"a\":1, \"%s\" : \"[redacted:%s]\" ,\"b\":2}".formatted(key, kind),
          Redaction.redact("{\"a\":1, \"%s\" : %s ,\"b\":2}".formatted(key, value)));
    }
    for (String kept : List.of("null", "true", "false", "\"\"")) {
      String json = "{\"%s\":%s}".formatted(key, kept);
      assertSame(json, Redaction.redact(json));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "max_total_tokens",
        "tokens_used",
        "token_count",
        "tokenizer",
        "prompt_tokens",
        "author",
        "authors",
        "maxTokens",
        "tokens",
        "completion_tokens",
        "next_page_token",
        "pageToken",
        "token_type",
        "access_token_expires_in",
        "public_key",
        "ssh_public_key",
        "primary_key",
        "key",
        "keys",
        "keyboard",
        "secretary",
        "password_reset_url",
        "author_association",
        "authority",
        "cookie_policy",
        "pass",
        "compass",
        "token_budget",
        "secret_name",
        "idempotency_key",
        "credentials_path",
        "eos_token",
      })
  void leavesHarmlessKeysAlone(String key) {
    String json = "{\"%s\":\"value 1\",\"n\":[{\"%s\":7}]}".formatted(key, key);
    assertSame(json, Redaction.redact(json));
  }

  @Test
  void readsKeysThroughTheirEscapes() {
    assertEquals(
        "{\"p\\u0061ssword\":\"[redacted:password]\"}",
        Redaction.redact("{\"p\\u0061ssword\":\"x\"}"));
  }

  @ParameterizedTest
  @CsvSource({
    "aws_access_key,AKIA,IOSFODNN7EXAMPLE",
    "github_token,gho,_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_token,ghs,_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_token,github,_pat_11ABCDEFG0abcdefghijkl_MNOPQRSTUVWXYZ0123456789",
    "gitlab_token,glpat,-ab12cd34ef56gh78ij90",
    "slack_token,xoxb,-123456789012-abcdefABCDEF",
    "api_key,sk,-proj-ab12cd34ef56gh78ij90kl",
    "api_key,sk,-ant-api03-ab12cd34ef56gh78ij90_kl-mn",
    "google_api_key,AIza,SyA-1234567890abcdefghijklmnopqrstu",
    "stripe_key,sk,_live_4eC39HqLyjWDarjtT1",
    "npm_token,npm,_ab12cd34ef56gh78ij90kl12mn34op56qr78",
    "pypi_token,pypi,-AgEIcHlwaS5vcmcCJDEyMzQ1Njc4OTAxMjM0NTY3ODkw",
    "huggingface_token,hf,_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "api_key,lsv2,_pt_ab12cd34ef56gh78ij90kl12_mn34op",
  })
  void replacesKnownCredentialsInsideTexts(String kind, String begin, String rest) {
    String credential = begin + rest;
    String marker = "[redacted:%s]".formatted(kind);
    for (String around :
        List.of("%s", "use %s now", "(%s)", "a,%s.", "x/%s\\n", "línea\\t%s\\u00e9")) {
      assertEquals(
          "[\"" + around.formatted(marker) + "\"]",
          Redaction.redact("[\"" + around.formatted(credential) + "\"]"));
    }
    assertEquals("see " + marker, Redaction.redactText("see " + credential));
  }

  @Test
  void replacesTokensThatHaveAForm() {
    assertEquals("t=[redacted:jwt] ok", Redaction.redactText("t=" + JWT + " ok"));
    assertEquals(
        "Bearer [redacted:token], bearer [redacted:token]",
        Redaction.redactText("Bearer abc123def456, bearer abcdefghijklmnopqrstuvwxyz"));
    assertEquals(
        "git clone https://me:[redacted:password]@host/r and redis://:[redacted:password]@h",
        Redaction.redactText("git clone https://me:p@ss:w0rd@host/r and redis://:x@h"));
    String pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAB==\n-----END RSA PRIVATE KEY-----";
    assertEquals("a\n[redacted:private_key]\nb", Redaction.redactText("a\n" + pem + "\nb"));
    assertEquals(
        "{\"k\":\"[redacted:private_key]\\n\"}",
        Redaction.redact("{\"k\":\"" + pem.replace("\n", "\\n") + "\\n\"}"));
    assertEquals(
        "[redacted:private_key]", Redaction.redactText(pem.substring(0, pem.length() - 20)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "export API_KEY=abc && run|export API_KEY=[redacted:api_key] && run",
        "curl -d password=hunter2&x=1|curl -d password=[redacted:password]&x=1",
        "Authorization: Basic dXNlcjpwYXNz|Authorization: Basic [redacted:authorization]",
        "{\"password\": \"a b\", \"x\": 1}|{\"password\": \"[redacted:password]\", \"x\": 1}",
        "{\\\"token\\\":\\\"a b\\\"}|{\\\"token\\\":\\\"[redacted:token]\\\"}",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG|aws_secret_access_key = [redacted:secret]",
        "password: hunter2|password: [redacted:password]",
        "https://h/p?access_token=abc&b=2|https://h/p?access_token=[redacted:token]&b=2",
        "connect(password=\"it's\")|connect(password=\"[redacted:password]\")",
      })
  void replacesWhatATextGivesToASecretName(String text, String redacted) {
    assertEquals(redacted, Redaction.redactText(text));
    assertSame(redacted, Redaction.redactText(redacted), "redacting twice");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "The token: a piece of text that a model reads.",
        "token = next(stream)",
        "password == other",
        "tokens=5 max_tokens=100",
        "task-force, risk-averse, disk-usage-by-department-and-region",
        "sk-learn is a library; sk-image-processing-toolbox-for-python",
        "bearer of bad news",
        "http://localhost:8080/a@b",
        "https://user@host/",
        "password=$PASSWORD token=${TOKEN}",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "eyJhbGciOi.x.y",
        "author=me",
        "AKIA is a prefix",
        "password=***",
        "2024-01-01T10:00:00Z",
        "a::b",
        "ghp_short",
      })
  void leavesOrdinaryTextAlone(String text) {
    assertSame(text, Redaction.redactText(text));
  }

  @Test
  void keepsEveryOtherCharacter() {
    String before = "{ \"a\" : [ 1.0e+2 , \"\\u0041\\/ ";
    String after = " \\\"quoted\\\" \\ud83d\\ude00\" ] ,\n\t\"password\":";
    String end = "\r\n , \"z\":-0 }";
    assertEquals(
        before + "[redacted:github_token]" + after + "\"[redacted:password]\"" + end,
        Redaction.redact(before + GITHUB + after + "{\"deep\":[[\"]\"]]}" + end));
    String harmless = before + after + "null" + end;
    assertSame(harmless, Redaction.redact(harmless));
  }

  @Test
  void findsACredentialThatIsWrittenWithEscapes() {
    String escaped = GITHUB.replace("g", "\\u0067").replace("_", "\\u005F");
    assertEquals(
        "[\"a [redacted:github_token] b\"]", Redaction.redact("[\"a " + escaped + " b\"]"));
    // JSON quoted as a string, with a line end quoted twice before the token.
    assertEquals(
        "[\"{\\\"log\\\":\\\"x\\\\n[redacted:github_token]\\\"}\"]",
        Redaction.redact("[\"{\\\"log\\\":\\\"x\\\\n" + GITHUB + "\\\"}\"]"));
  }

  @Test
  void redactingTwiceChangesNothing() {
    String once =
        Redaction.redact("{\"token\":[1],\"a\":\"x " + GITHUB + "\",\"url\":\"ftp://u:p1@h\"}");
    assertEquals(
        "{\"token\":\"[redacted:token]\",\"a\":\"x [redacted:github_token]\","
            + "\"url\":\"ftp://u:[redacted:password]@h\"}",
        once);
    assertSame(once, Redaction.redact(once));
  }

  @Test
  void keepsASchemaASchema() {
    String schema =
        """
        {"properties":{"password":{"type":"string","minLength":8,"description":"A password"},
         "token":{"anyOf":[{"type":"string"},{"type":"null"}]},"secret":true},
         "required":["password"]}\
        """;
    assertSame(schema, Redaction.redact(schema));
    String withValues =
        "{\"$defs\":{\"api_key\":{\"type\":\"string\",\"default\":\"%s\",\"enum\":[%s],"
            + "\"x\":{\"y\":%s}}}}";
    String redacted =
        withValues.formatted(
            "[redacted:api_key]", "\"[redacted:api_key]\"", "\"[redacted:api_key]\"");
    assertEquals(redacted, Redaction.redact(withValues.formatted("hunter2", "\"hunter2\"", "7")));
    // A plain string under "properties" is a value and no schema.
    assertEquals(
        "{\"properties\":{\"password\":\"[redacted:password]\"}}",
        Redaction.redact("{\"properties\":{\"password\":\"hunter2\"}}"));
  }

  @Test
  void refusesWhatIsNotJson() {
    assertThrows(JsonProblem.class, () -> Redaction.redact("{\"password\":"));
    assertThrows(JsonProblem.class, () -> Redaction.redact("{\"password\":[1,}"));
    assertThrows(JsonProblem.class, () -> Redaction.redact("[".repeat(500_000)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "eyJ-",
        "eyJabcdefgh.",
        "sk-",
        "sk-a",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "://",
        "://a:",
        "a://b:c@",
        "token=",
        "token:",
        "token:\"",
        "token='\"",
        "token= ",
        "password=$",
        "\\",
        "Bearer ",
        "bearer a",
        "AKIA",
        "ghp_",
        "[redacted:",
        "password=[redacted:",
        "\"token\":\"\\",
        "=",
        ":",
        "-",
        "glpat-.",
        "xoxb-",
        "token=<",
        "a_token: x1",
      })
  void takesOnePassForHostileTexts(String piece) {
    String text = piece.repeat(MEBIBYTE / piece.length());
    String quoted = "[\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"]";
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> {
          String redacted = Redaction.redactText(text);
          assertEquals(redacted, Redaction.redactText(redacted));
          JsonText.check(Redaction.redact(quoted), 64 * MEBIBYTE);
          Markers.holds(text);
        });
  }

  @Test
  void takesOnePassForVeryManyStrings() {
    StringBuilder text = new StringBuilder("{");
    for (int i = 0; i < 120_000; i++) {
      text.append("\"").append(i).append("\":\"\",");
    }
    String json = text + "\"token\":[" + "\"a\",".repeat(120_000) + "0]}";
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> {
          JsonText.check(json, 4 * MEBIBYTE);
          assertTrue(Redaction.redact(json).endsWith("\"token\":\"[redacted:token]\"}"));
        });
  }

  @Test
  void knowsALeafWithAMarker() {
    assertTrue(Redaction.holdsMarker(JsonText.parse("\"a [redacted:token] b\"", 100)));
    assertTrue(Redaction.holdsMarker(JsonText.parse("\"[redacted:[redacted:x]\"", 100)));
    for (String other :
        List.of(
            "\"[redacted:]\"",
            "\"[redacted:a b]\"",
            "\"[redacted:x\"",
            "1",
            "null",
            "[\"[redacted:x]\"]")) {
      assertFalse(Redaction.holdsMarker(JsonText.parse(other, 100)), other);
    }
  }
}
