package dev.pmbot.files;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What names may be. A name from a client never chooses a path: only ASCII, so that no other
 * Unicode form of {@code .} or {@code /} exists; nothing that any file system takes for a folder, a
 * device or a hidden file.
 */
public final class ArtifactNames {
  /** What a name may be, in words, for messages and documentation. */
  public static final String ALLOWED =
      "a name begins with an ASCII letter or digit, goes on with up to 199 letters, digits, dots,"
          + " underscores, hyphens and spaces, has no two dots in a row, does not end with a dot or"
          + " a space, and is no device name such as CON or NUL";

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._ -]{0,199}");
  private static final Pattern NUMBERED = Pattern.compile("(.*[^~])~[1-9][0-9]{0,8}");
  private static final Pattern FOLDER = Pattern.compile("~?[A-Za-z0-9][A-Za-z0-9._-]{0,99}");
  private static final Pattern THREAD = Pattern.compile("[a-z0-9][a-z0-9._-]{0,99}");
  private static final Pattern DEVICE = Pattern.compile("(COM|LPT)[0-9]");
  private static final Set<String> DEVICES = Set.of("CON", "PRN", "AUX", "NUL");

  private ArtifactNames() {}

  /**
   * Lets a name from a client pass.
   *
   * @throws NameProblem unless it is as {@link #ALLOWED} says
   */
  public static void check(String name) {
    if (!isAllowed(name)) {
      throw new NameProblem("The name is not allowed: " + ALLOWED + ".");
    }
  }

  /**
   * The name under which another file of the same name is kept: {@code report.txt~2}. No client can
   * bring such a name itself.
   *
   * @param name a name that {@link #check} lets pass
   * @param number 2 for the second file, and so on
   */
  public static String numbered(String name, int number) {
    if (number < 2) {
      throw new IllegalArgumentException("the first file has no number");
    }
    return name + "~" + number;
  }

  /**
   * The folder of a LangGraph thread: its id, or {@code ~} and the SHA-256 of its UTF-8 where the
   * id would not do as a folder's name.
   *
   * @throws NameProblem if the id holds half a surrogate pair: two ids would share a folder
   */
  public static String threadFolder(String threadId) {
    if (THREAD.matcher(threadId).matches()) {
      return threadId;
    }
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(threadId)) {
      throw new NameProblem("The thread id holds half a surrogate pair; it must be Unicode text.");
    }
    byte[] hash = Sha256.of(threadId.getBytes(StandardCharsets.UTF_8));
    return "~" + Sha256.hexadecimal(hash);
  }

  /** Lets a name pass that this server gives, perhaps with {@code ~2}. */
  static void checkStored(String name) {
    var numbered = NUMBERED.matcher(name);
    check(numbered.matches() ? numbered.group(1) : name);
  }

  /**
   * Lets the name of a folder below a root pass: a run's id, or what {@link #threadFolder} gave.
   */
  static void checkFolder(String folder) {
    if (!FOLDER.matcher(folder).matches()) {
      throw new NameProblem(
          "The folder is not allowed: up to 100 ASCII letters, digits, dots, underscores and"
              + " hyphens.");
    }
  }

  private static boolean isAllowed(String name) {
    if (!NAME.matcher(name).matches()
        || name.contains("..")
        || name.endsWith(".")
        || name.endsWith(" ")) {
      return false;
    }
    // Windows takes `nul.txt` for the device as well.
    int dot = name.indexOf('.');
    String stem = (dot < 0 ? name : name.substring(0, dot)).strip().toUpperCase(Locale.ROOT);
    return !DEVICES.contains(stem) && !DEVICE.matcher(stem).matches();
  }
}
