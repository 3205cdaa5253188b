package dev.pmbot.wire;

import org.jspecify.annotations.Nullable;

/** Enums between rows and messages. Names are the same but for the prefix that protobuf wants. */
public final class ProtoEnums {
  private ProtoEnums() {}

  /** As a message has it; absent is UNSPECIFIED. */
  public static <P extends Enum<P>> P toProto(
      Class<P> type, String prefix, @Nullable Enum<?> value) {
    return Enum.valueOf(type, prefix + (value == null ? "UNSPECIFIED" : value.name()));
  }

  /** As a row has it; UNSPECIFIED, or a number that nobody knows, is absent. */
  public static <E extends Enum<E>> @Nullable E fromProto(
      Class<E> type, String prefix, Enum<?> value) {
    String name = value.name();
    if (name.equals("UNRECOGNIZED") || name.equals(prefix + "UNSPECIFIED")) {
      return null;
    }
    return Enum.valueOf(type, name.substring(prefix.length()));
  }

  /** As a row has it, where validation has made sure that it is there. */
  public static <E extends Enum<E>> E required(Class<E> type, String prefix, Enum<?> value) {
    E found = fromProto(type, prefix, value);
    if (found == null) {
      throw new IllegalStateException(
          "an unspecified " + type.getSimpleName() + " passed validation");
    }
    return found;
  }
}
