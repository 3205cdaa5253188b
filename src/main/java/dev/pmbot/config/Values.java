package dev.pmbot.config;

import dev.pmbot.store.Synchronous;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What the text of a setting means. */
final class Values {
  private static final int HIGHEST_PORT = 65_535;
  private static final int LONGEST_STOP_SECONDS = 3_600;
  private static final long LARGEST_ARTIFACT = 1L << 50;
  private static final int MOST_AT_ONCE = 1_000_000;
  private static final Pattern SIZE = Pattern.compile("([0-9]{1,16}) ?(|KiB|MiB|GiB|TiB)");
  private static final int LONGEST_NUMBER = 16;

  private Values() {}

  /** Says what a value must be. */
  static final class Wrong extends Exception {
    private static final long serialVersionUID = 1L;

    Wrong(String mustBe) {
      super("must be " + mustBe, null, false, false);
    }
  }

  /**
   * The value that a text stands for, of the type that the setting has in {@link Config}.
   *
   * @throws Wrong when it stands for none
   */
  static Object parse(Setting setting, String text) throws Wrong {
    return switch (setting) {
      case DATA -> path(text);
      case HOST -> loopback(text);
      case PORT -> (int) wholeNumber(text, 0, HIGHEST_PORT);
      case SYNCHRONOUS -> word(text, Synchronous.class);
      case LOG_LEVEL -> word(text, LogLevel.class);
      case ARTIFACT_BYTES -> size(text);
      case OPEN_STREAMS, WAITING_CLAIMS -> (int) wholeNumber(text, 1, MOST_AT_ONCE);
      case STOP_SECONDS -> Duration.ofSeconds(wholeNumber(text, 0, LONGEST_STOP_SECONDS));
    };
  }

  static Path path(String text) throws Wrong {
    try {
      if (!text.isEmpty()) {
        return Path.of(text);
      }
    } catch (InvalidPathException problem) {
      // No path at all is as bad as an empty one, which would mean where one happens to be.
    }
    throw new Wrong("a path");
  }

  private static String loopback(String text) throws Wrong {
    try {
      // Java takes an empty name for this machine.
      if (!text.isEmpty() && InetAddress.getByName(text).isLoopbackAddress()) {
        return text;
      }
    } catch (UnknownHostException unknown) {
      // No address at all is no loopback address either.
    }
    throw new Wrong(
        "a loopback address such as 127.0.0.1 or ::1; tokens would cross the network in the clear");
  }

  private static long wholeNumber(String text, long least, long most) throws Wrong {
    if (text.matches("[0-9]{1," + LONGEST_NUMBER + "}")) {
      long number = Long.parseLong(text);
      if (number >= least && number <= most) {
        return number;
      }
    }
    throw new Wrong("a whole number from " + least + " to " + most);
  }

  private static long size(String text) throws Wrong {
    Matcher size = SIZE.matcher(text);
    if (size.matches()) {
      long unit =
          switch (size.group(2)) {
            case "KiB" -> 1L << 10;
            case "MiB" -> 1L << 20;
            case "GiB" -> 1L << 30;
            case "TiB" -> 1L << 40;
            default -> 1;
          };
      long number = Long.parseLong(size.group(1));
      if (number >= 1 && number <= LARGEST_ARTIFACT / unit) {
        return number * unit;
      }
    }
    throw new Wrong("a number of bytes from 1 to 1024TiB, such as 500MiB or 16GiB");
  }

  private static <E extends Enum<E>> E word(String text, Class<E> type) throws Wrong {
    for (E value : type.getEnumConstants()) {
      if (value.name().equalsIgnoreCase(text)) {
        return value;
      }
    }
    throw new Wrong(
        Arrays.stream(type.getEnumConstants())
            .map(value -> value.name().toLowerCase(Locale.ROOT))
            .collect(Collectors.joining(" or ")));
  }
}
