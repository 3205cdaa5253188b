package dev.pmbot.wire;

import org.jspecify.annotations.Nullable;

/** Texts between rows, where one may be absent, and messages, where it is then empty. */
public final class ProtoText {
  private ProtoText() {}

  /** As a message has it. */
  public static String toProto(@Nullable String text) {
    return text == null ? "" : text;
  }

  /** As a row has it. */
  public static @Nullable String fromProto(String text) {
    return text.isEmpty() ? null : text;
  }
}
