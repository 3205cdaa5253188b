package dev.pmbot.json;

import java.util.ArrayList;
import java.util.List;

/**
 * A kind of credential that can be told by its first characters.
 *
 * @param kind what to call it
 * @param prefix what it begins with
 * @param others what may stand in it besides ASCII letters and digits
 * @param minimum how many characters must follow the prefix
 * @param digits whether a digit must be among the first {@link #LOOK_FOR_DIGIT} of them: prefixes
 *     that occur in ordinary words need it
 */
record CredentialFormat(String kind, String prefix, String others, int minimum, boolean digits) {
  private static final int LOOK_FOR_DIGIT = 40;

  private static final List<CredentialFormat> ALL =
      List.of(
              of("aws_access_key", 16, "", "AKIA", "ASIA", "ABIA", "ACCA"),
              of("github_token", 20, "_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
              of(
                  "gitlab_token",
                  20,
                  "_-.",
                  "glpat-",
                  "gldt-",
                  "glrt-",
                  "glcbt-",
                  "glptt-",
                  "glsoat-"),
              of(
                  "slack_token",
                  10,
                  "-",
                  "xoxa-",
                  "xoxb-",
                  "xoxe-",
                  "xoxp-",
                  "xoxr-",
                  "xoxs-",
                  "xapp-"),
              of("slack_token", 10, "-.", "xoxe."),
              of("stripe_key", 10, "_", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
              of("google_api_key", 35, "_-", "AIza"),
              of("google_token", 20, "_-.", "ya29.", "GOCSPX-"),
              of("npm_token", 30, "", "npm_"),
              withDigit("pypi_token", 32, "_-", "pypi-"),
              withDigit("api_key", 20, "_-", "sk-", "xai-", "pplx-", "tvly-"),
              withDigit("api_key", 20, "_", "gsk_", "lsv2_pt_", "lsv2_sk_", "r8_"),
              of("huggingface_token", 30, "", "hf_"),
              of("docker_token", 20, "_-", "dckr_pat_", "dckr_oat_"),
              of("digitalocean_token", 40, "", "dop_v1_", "doo_v1_", "dor_v1_"),
              of("vault_token", 20, "_-.", "hvs.", "hvb."),
              of("sendgrid_key", 40, "_-.", "SG."),
              of("shopify_token", 30, "", "shpat_", "shpss_", "shpca_", "shppa_"),
              of("grafana_token", 30, "_=", "glsa_", "glc_"),
              of("age_key", 50, "", "AGE-SECRET-KEY-1"))
          .stream()
          .flatMap(List::stream)
          .toList();

  private static final CredentialFormat[] NONE = {};
  private static final CredentialFormat[][] BY_FIRST = byFirst();

  /** The formats that begin with a character; an array, unchecked for changes, for speed alone. */
  static CredentialFormat[] beginningWith(char c) {
    return c < BY_FIRST.length ? BY_FIRST[c] : NONE;
  }

  /** The end of the credential that begins at an offset, or -1 if none of this format does. */
  int end(String text, int start) {
    if (!text.startsWith(prefix, start)) {
      return -1;
    }
    int body = start + prefix.length();
    int position = body;
    boolean digit = !digits;
    // What rejects a candidate is looked for in a bounded stretch, so that a long text which
    // begins a candidate at every third character still costs one pass.
    int looked = body + Math.max(minimum, LOOK_FOR_DIGIT);
    while (position < text.length() && isBody(text.charAt(position))) {
      digit |= CharacterSets.isDigit(text.charAt(position));
      position++;
      if (position >= looked && !digit) {
        return -1;
      }
    }
    // A dot that ends a sentence ends no credential.
    while (position > body && text.charAt(position - 1) == '.') {
      position--;
    }
    return digit && position - body >= minimum ? position : -1;
  }

  private boolean isBody(char c) {
    return (c != '_' && CharacterSets.isWord(c)) || others.indexOf(c) >= 0;
  }

  private static List<CredentialFormat> of(
      String kind, int minimum, String others, String... prefixes) {
    return all(kind, minimum, others, false, prefixes);
  }

  private static List<CredentialFormat> withDigit(
      String kind, int minimum, String others, String... prefixes) {
    return all(kind, minimum, others, true, prefixes);
  }

  private static List<CredentialFormat> all(
      String kind, int minimum, String others, boolean digits, String... prefixes) {
    List<CredentialFormat> formats = new ArrayList<>();
    for (String prefix : prefixes) {
      formats.add(new CredentialFormat(kind, prefix, others, minimum, digits));
    }
    return formats;
  }

  private static CredentialFormat[][] byFirst() {
    CredentialFormat[][] formats = new CredentialFormat[128][];
    for (char c = 0; c < formats.length; c++) {
      char first = c;
      formats[c] =
          ALL.stream()
              .filter(format -> format.prefix().charAt(0) == first)
              .toArray(CredentialFormat[]::new);
    }
    return formats;
  }
}
