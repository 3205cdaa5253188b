package dev.pmbot.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.Main;
import dev.pmbot.kit.ChildJvm;
import dev.pmbot.kit.TestServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code doctor} as a person runs it. */
final class ExamineTest {
  @TempDir Path folder;

  private ChildJvm doctor(String... arguments) {
    String[] all = new String[arguments.length + 2];
    all[0] = "doctor";
    all[1] = "--data=" + folder.resolve("data");
    System.arraycopy(arguments, 0, all, 2, arguments.length);
    return ChildJvm.start(
        Main.class,
        Map.of("XDG_RUNTIME_DIR", folder.resolve("runtime").toString(), "PMBOT_PORT", "0"),
        all);
  }

  @Test
  void aLineForEachThingAndAnExitCodeForAll() throws IOException {
    try (ChildJvm child = doctor()) {
      assertEquals(0, child.awaitExit(), child.output().toString());
      assertEquals(List.of(), child.errors());
      assertEquals("ok    settings: no file of them is used", child.output().get(0));
      assertTrue(child.output().contains("ok    port: any free one"), child.output()::toString);
      assertTrue(
          child.output().stream().allMatch(line -> line.matches("(ok  |warn)  [a-z -]+: .+")),
          child.output()::toString);
    }
    assertTrue(Files.notExists(folder.resolve("data")));
    try (ChildJvm child = doctor("--port=many", "--host=0.0.0.0")) {
      assertEquals(1, child.awaitExit());
      assertEquals(2, child.output().size(), child.output()::toString);
      assertTrue(child.output().get(0).startsWith("fail  settings: host = 0.0.0.0 (--host): must"));
      assertTrue(child.output().get(1).startsWith("fail  settings: port = many (--port): must be"));
    }
    Files.createDirectories(folder.resolve("data"));
    Files.writeString(folder.resolve("data").resolve("thesis.txt"), "x");
    try (ChildJvm child = doctor()) {
      assertEquals(1, child.awaitExit(), child.output().toString());
      assertTrue(
          child.output().stream().anyMatch(line -> line.startsWith("fail  data directory: ")));
    }
    try (ChildJvm child = doctor("--nonsense")) {
      assertEquals(2, child.awaitExit());
    }
  }

  @Test
  void aServerOfAnotherProcessIsAskedAndKeepsItsDirectory() {
    try (TestServer server = TestServer.in(folder)) {
      try (ChildJvm child = doctor()) {
        assertEquals(0, child.awaitExit(), child.output().toString());
        assertTrue(
            child.output().stream()
                .anyMatch(
                    line ->
                        line.startsWith("ok    data directory: ")
                            && line.endsWith("pid " + ProcessHandle.current().pid())),
            child.output()::toString);
        assertTrue(
            child
                .output()
                .contains("ok    server: " + server.address() + " serves, version development"),
            child.output()::toString);
      }
      try (ChildJvm child =
          ChildJvm.start(
              Main.class, Map.of(), "serve", "--check", "--data=" + server.dataDirectory())) {
        assertEquals(1, child.awaitExit());
        assertTrue(child.errors().get(0).contains("holds the data directory"));
      }
    }
  }
}
