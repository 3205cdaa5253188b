package dev.pmbot.files;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ArtifactNamesTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "a",
        "report.txt",
        "Final report 2.pdf",
        "0",
        "a-b_c.tar.gz",
        "console",
        "comm.txt",
        "nullable"
      })
  void letsPlainNamesPass(String name) {
    assertDoesNotThrow(() -> ArtifactNames.check(name));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/a",
        "../a",
        "a/../b",
        "a\\b",
        "a..b",
        "a.",
        "a ",
        " a",
        "-a",
        "a\u0000",
        "a\nb",
        "a~2",
        "~a",
        "a:b",
        "a*b",
        "CON",
        "con",
        "nul.txt",
        "NUL .txt",
        "Com1",
        "lpt9.log",
        "aux.tar.gz",
        "\uFF0E\uFF0E",
        "a\uFF0Fb",
        "e\u0301",
        "\u00e9",
        "a\u2024b",
        "\u202Etxt",
        "a\u200b",
        "%2e%2e",
      })
  void refusesNamesThatCouldChooseAPath(String name) {
    assertThrows(NameProblem.class, () -> ArtifactNames.check(name));
  }

  @Test
  void allowsTwoHundredCharacters() {
    assertDoesNotThrow(() -> ArtifactNames.check("a".repeat(200)));
    assertThrows(NameProblem.class, () -> ArtifactNames.check("a".repeat(201)));
  }

  @Test
  void numbersFurtherFilesOfOneName() {
    String second = ArtifactNames.numbered("report.txt", 2);
    assertEquals("report.txt~2", second);
    assertDoesNotThrow(() -> ArtifactNames.checkStored(second));
    assertThrows(NameProblem.class, () -> ArtifactNames.check(second));
    assertThrows(IllegalArgumentException.class, () -> ArtifactNames.numbered("report.txt", 1));
  }

  @ParameterizedTest
  @ValueSource(strings = {"~2", "a~", "a~0", "a~02", "a~2~3", "a~x", "../a~2", ".a~2", "CON~2"})
  void storesNoOtherNamesWithATilde(String name) {
    assertThrows(NameProblem.class, () -> ArtifactNames.checkStored(name));
  }

  @Test
  void givesEachThreadAFolderOfItsOwn() {
    assertEquals("0198-ab.c_d", ArtifactNames.threadFolder("0198-ab.c_d"));
    assertEquals(
        "~ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".length(),
        ArtifactNames.threadFolder("A").length());
    // SHA-256 of "ABC" and of the empty text.
    assertEquals(
        "~b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78",
        ArtifactNames.threadFolder("ABC"));
    assertEquals(
        "~e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ArtifactNames.threadFolder(""));
    assertNotEquals(ArtifactNames.threadFolder("a/b"), ArtifactNames.threadFolder("a\\b"));
    assertThrows(NameProblem.class, () -> ArtifactNames.threadFolder("x\uD800"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"a", "..", "a/b", "A", "x\u0000", "\uFF0E\uFF0E", "a..b.", "-x", "~", "🙂"})
  void everyThreadFolderIsAFolderBelowTheRoot(String threadId) {
    assertDoesNotThrow(() -> ArtifactNames.checkFolder(ArtifactNames.threadFolder(threadId)));
  }
}
