package dev.pmbot.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.pmbot.Main;
import dev.pmbot.config.Setting;
import dev.pmbot.kit.ChildJvm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code config} as a person runs it. */
final class ShowConfigTest {
  @TempDir Path folder;

  private static List<String> values(List<String> lines) {
    return lines.stream().map(line -> line.replaceAll(" *# .*", "")).toList();
  }

  @Test
  void itPrintsEverySettingWithItsSourceAsAFileThatMeansTheSame() throws IOException {
    Path file = Files.writeString(folder.resolve("some.toml"), "artifact_bytes = \"1MiB\"\n");
    List<String> printed;
    try (ChildJvm child =
        ChildJvm.start(
            Main.class,
            Map.of("PMBOT_PORT", "1"),
            "config",
            "--config=" + file,
            "--data=" + folder.resolve("da\"ta"))) {
      assertEquals(0, child.awaitExit(), child.errors().toString());
      printed = child.output();
      assertEquals(List.of(), child.errors());
    }
    assertEquals(
        Arrays.stream(Setting.values()).map(Setting::key).toList(),
        printed.stream().map(line -> line.substring(0, line.indexOf(' '))).toList());
    assertTrue(printed.get(0).endsWith("# --data"), printed.toString());
    assertTrue(
        printed.contains("port = 1                                # PMBOT_PORT"),
        printed::toString);
    assertTrue(
        printed.stream().anyMatch(line -> line.matches("artifact_bytes = 1048576 +# .*some.toml")),
        printed::toString);
    assertTrue(
        printed.stream().anyMatch(line -> line.matches("synchronous = \"normal\" +# default")),
        printed::toString);
    Files.write(file, printed);
    try (ChildJvm child = ChildJvm.start(Main.class, Map.of(), "config", "--config=" + file)) {
      assertEquals(0, child.awaitExit(), child.errors().toString());
      assertEquals(values(printed), values(child.output()));
      assertTrue(child.output().stream().allMatch(line -> line.endsWith("# " + file)));
    }
  }

  @Test
  void whatIsWrongIsSaidByConfigAndByServeAlike() {
    for (String command : List.of("config", "serve")) {
      try (ChildJvm child =
          ChildJvm.start(
              Main.class,
              Map.of("PMBOT_HOST", "0.0.0.0", "PMBOT_PROT", "2"),
              command,
              "--port=many",
              "--data=" + folder.resolve("data"))) {
        assertEquals(2, child.awaitExit());
        assertEquals(List.of(), child.output());
        assertEquals(4, child.errors().size(), child.errors().toString());
        assertEquals("pmbot: 3 settings cannot be used:", child.errors().get(0));
        assertTrue(child.errors().get(1).startsWith("  host = 0.0.0.0 (PMBOT_HOST): must be "));
        assertTrue(child.errors().get(2).startsWith("  port = many (--port): must be "));
        assertTrue(child.errors().get(3).startsWith("  PMBOT_PROT (in the environment): there is"));
      }
    }
    assertTrue(Files.notExists(folder.resolve("data")));
  }
}
