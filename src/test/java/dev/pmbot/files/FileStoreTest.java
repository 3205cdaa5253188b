package dev.pmbot.files;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class FileStoreTest {
  @TempDir Path folder;
  private Path root;
  private FileStore store;

  @BeforeEach
  void makeStore() throws IOException {
    root = Files.createDirectory(folder.resolve("artifacts")).toRealPath();
    Files.createDirectory(root.resolve(FileStore.INCOMING));
    store = new FileStore(root, true, CrashPoints.NONE);
  }

  private Path put(String run, String name, String content) throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
    try (Incoming incoming = store.begin(bytes.length)) {
      incoming.write(bytes, 0, bytes.length);
      incoming.finish();
      return incoming.place(run, name);
    }
  }

  private List<String> leftovers() throws IOException {
    try (Stream<Path> files = Files.list(root.resolve(FileStore.INCOMING))) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    }
  }

  @Test
  void keepsWhatWasWrittenInPiecesAndHashesItOnTheWay() throws Exception {
    byte[] content = new byte[3_000_001];
    new Random(1).nextBytes(content);
    Hashed hashed;
    Path place;
    try (Incoming incoming = store.begin(content.length)) {
      int written = 0;
      for (int length = 1; written < content.length; length = length * 3 + 1) {
        int next = Math.min(length, content.length - written);
        if (length % 2 == 0) {
          incoming.write(ByteBuffer.wrap(content, written, next));
        } else {
          ByteBuffer direct = ByteBuffer.allocateDirect(next).put(content, written, next).flip();
          incoming.write(direct);
        }
        written += next;
      }
      assertEquals(content.length, incoming.sizeBytes());
      hashed = incoming.finish();
      place = incoming.place("run_1", "data.bin");
    }
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(content);
    assertEquals(new Hashed(HexFormat.of().formatHex(hash), content.length), hashed);
    assertArrayEquals(content, Files.readAllBytes(root.resolve("run_1/data.bin")));
    assertEquals("run_1/data.bin", store.uri(place));
    assertEquals(Optional.of(hashed), store.hash("run_1/data.bin"));
    assertEquals(List.of(), leftovers());
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(place)));
  }

  @Test
  void readsFromAnyOffset() throws IOException {
    put("run_1", "a.txt", "0123456789");
    try (FileChannel channel = store.open("run_1/a.txt")) {
      ByteBuffer buffer = ByteBuffer.allocate(3);
      assertEquals(3, channel.position(4).read(buffer));
      assertEquals("456", StandardCharsets.UTF_8.decode(buffer.flip()).toString());
    }
  }

  @Test
  void neverReplacesAFileAndLetsAnotherNameBeTried() throws IOException {
    put("run_1", "a.txt", "first");
    try (Incoming incoming = store.begin(10)) {
      incoming.write("second".getBytes(StandardCharsets.UTF_8), 0, 6);
      incoming.finish();
      NameTaken taken = assertThrows(NameTaken.class, () -> incoming.place("run_1", "a.txt"));
      assertEquals(
          "There is a file `run_1/a.txt` already; it is never replaced.", taken.getMessage());
      incoming.place("run_1", ArtifactNames.numbered("a.txt", 2));
    }
    assertEquals("first", Files.readString(root.resolve("run_1/a.txt")));
    assertEquals("second", Files.readString(root.resolve("run_1/a.txt~2")));
    assertEquals(List.of(), leftovers());
  }

  @Test
  void givesANameToOneOfManyWhoRaceForIt() throws Exception {
    int racers = 4;
    int rounds = 50;
    CyclicBarrier barrier = new CyclicBarrier(racers);
    ExecutorService threads = Executors.newFixedThreadPool(racers);
    try {
      List<Future<Integer>> wins = new ArrayList<>();
      for (int racer = 0; racer < racers; racer++) {
        String content = "racer " + racer;
        wins.add(
            threads.submit(
                () -> {
                  int won = 0;
                  for (int round = 0; round < rounds; round++) {
                    barrier.await();
                    try {
                      put("run_1", "round " + round, content);
                      won++;
                    } catch (NameTaken e) {
                      // One of the others was faster.
                    }
                  }
                  return won;
                }));
      }
      int won = 0;
      for (Future<Integer> win : wins) {
        won += win.get();
      }
      assertEquals(rounds, won);
    } finally {
      threads.shutdownNow();
    }
    assertEquals(List.of(), leftovers());
  }

  @Test
  void copiesExclusivelyWhereThereAreNoLinks() throws IOException {
    Path file = Files.writeString(folder.resolve("aside"), "content");
    Path place = folder.resolve("place");
    ExclusiveName.giveByCopy(file, place, true);
    assertEquals("content", Files.readString(place));
    Files.writeString(file, "other");
    assertThrows(NameTaken.class, () -> ExclusiveName.giveByCopy(file, place, true));
    assertEquals("content", Files.readString(place));
    Path lost = folder.resolve("lost");
    assertThrows(
        NoSuchFileException.class,
        () -> ExclusiveName.giveByCopy(folder.resolve("nothing"), lost, false));
    assertFalse(Files.exists(lost), "no part of a file under its final name");
  }

  @Test
  void refusesMoreThanTheMaximum() throws IOException {
    try (Incoming incoming = store.begin(5)) {
      incoming.write(new byte[3], 0, 3);
      FileTooLarge problem =
          assertThrows(FileTooLarge.class, () -> incoming.write(new byte[3], 0, 3));
      assertEquals(5, problem.maximumBytes());
      incoming.write(new byte[2], 0, 2);
      assertThrows(FileTooLarge.class, () -> incoming.write(new byte[1], 0, 1));
    }
    assertEquals(List.of(), leftovers());
  }

  @Test
  void leavesNothingOfAFileThatWasNotPlaced() throws IOException {
    try (Incoming incoming = store.begin(5)) {
      incoming.write(new byte[3], 0, 3);
      assertEquals(1, leftovers().size());
      assertThrows(IllegalStateException.class, () -> incoming.place("run_1", "a"));
      incoming.finish();
      assertThrows(IllegalStateException.class, () -> incoming.write(new byte[1], 0, 1));
    }
    assertEquals(List.of(), leftovers());
    assertFalse(Files.exists(root.resolve("run_1")));
  }

  @Test
  void undoesAPlacing() throws IOException {
    Path place = put("run_1", "a.txt", "x");
    store.remove(place);
    assertFalse(Files.exists(place));
    store.remove(place);
    assertThrows(NameProblem.class, () -> store.remove(folder.resolve("other")));
    assertThrows(NameProblem.class, () -> store.remove(root));
    Path incoming = Files.createFile(root.resolve(".incoming/x"));
    assertThrows(NameProblem.class, () -> store.remove(incoming));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "/",
        "../x",
        "a/b",
        "/tmp",
        ".incoming",
        "a\\b",
        "a\u0000",
        "\uFF0E\uFF0E",
        "a b",
        "~",
        "a:b",
      })
  void refusesFoldersThatAreNotOneBelowTheRoot(String run) throws IOException {
    try (Incoming incoming = store.begin(5)) {
      incoming.finish();
      assertThrows(NameProblem.class, () -> incoming.place(run, "a"));
      assertThrows(NameProblem.class, () -> incoming.place("run_1", run + "/a"));
    }
    assertEquals(List.of(), leftovers());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "/",
        "..",
        "../secret",
        "run_1/../../secret",
        "run_1//a",
        "run_1/",
        "/etc/hosts",
        "run_1/./a",
        ".incoming/x",
        "run_1/.hidden",
        "run_1\\a",
        "run_1/a\u0000",
        "run_1/\uFF0E\uFF0E/a",
        "~/a",
        "run_1/NUL",
        "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
      })
  void opensNothingOutsideTheRoot(String uri) throws IOException {
    Files.writeString(folder.resolve("secret"), "x");
    put("run_1", "a", "x");
    assertThrows(NameProblem.class, () -> store.open(uri));
    assertThrows(NameProblem.class, () -> store.hash(uri));
  }

  @Test
  void followsNoLinks() throws IOException {
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Files.writeString(outside.resolve("secret"), "x");
    Files.createSymbolicLink(root.resolve("run_1"), outside);
    assertThrows(NameProblem.class, () -> put("run_1", "new", "x"));
    assertThrows(NameProblem.class, () -> store.open("run_1/secret"));
    assertThrows(NameProblem.class, () -> store.remove(root.resolve("run_1/secret")));
    put("run_2", "a", "x");
    Files.createSymbolicLink(root.resolve("run_2/link"), outside.resolve("secret"));
    assertThrows(NameProblem.class, () -> store.open("run_2/link"));
    assertThrows(NameTaken.class, () -> put("run_2", "link", "x"));
    assertEquals("x", Files.readString(outside.resolve("secret")));
    assertFalse(Files.exists(outside.resolve("new")));
    Files.writeString(root.resolve("run_3"), "a file");
    assertThrows(NameProblem.class, () -> put("run_3", "new", "x"));
  }

  @Test
  void saysWhenThereIsNoSuchFile() throws IOException {
    put("run_1", "a", "x");
    assertThrows(NoSuchFileException.class, () -> store.open("run_1/b"));
    assertThrows(NoSuchFileException.class, () -> store.open("run_2/b"));
    assertThrows(NoSuchFileException.class, () -> store.open("run_1"));
    assertEquals(Optional.empty(), store.hash("run_1/b"));
  }

  @Test
  void tellsOfTheMomentsInWhichACrashWouldMatter() throws IOException {
    List<String> moments = new ArrayList<>();
    Path place = root.resolve("run_1/a");
    store = new FileStore(root, false, point -> moments.add(point + " " + Files.exists(place)));
    put("run_1", "a", "x");
    assertEquals(List.of("rename.before false", "rename.after true"), moments);
  }

  @Test
  void needsItsIncomingFolder() throws IOException {
    Path bare = Files.createDirectory(folder.resolve("bare"));
    assertThrows(IOException.class, () -> new FileStore(bare, false, CrashPoints.NONE));
  }
}
