package dev.pmbot.wire;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.pmbot.store.Tx;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;

/**
 * How a large reply is remembered small: its large texts, which never change, are left out and
 * found again in the row that its id names. The first answer comes back byte for byte.
 */
public final class LargeReplies {
  private record Text(
      FieldDescriptor id, FieldDescriptor text, BiFunction<Tx, String, String> find) {}

  // No text of a message can be this: NUL is refused at the door.
  private static final String LEFT_OUT = "\0";

  private final Map<Descriptor, List<Text>> texts = new HashMap<>();

  /** Says where the large text of a kind of message is found again by its id. */
  public LargeReplies elsewhere(
      Descriptor type, String idField, String textField, BiFunction<Tx, String, String> find) {
    texts
        .computeIfAbsent(type, ignored -> new ArrayList<>())
        .add(new Text(type.findFieldByName(idField), type.findFieldByName(textField), find));
    return this;
  }

  /** The message without its large texts. */
  public Message thin(Message message) {
    return change(
        message,
        (text, builder) -> {
          if (!((String) builder.getField(text.text)).isEmpty()) {
            builder.setField(text.text, LEFT_OUT);
          }
        });
  }

  /** The message with its large texts again. */
  public Message fill(Tx tx, Message message) {
    return change(
        message,
        (text, builder) -> {
          if (LEFT_OUT.equals(builder.getField(text.text))) {
            builder.setField(text.text, text.find.apply(tx, (String) builder.getField(text.id)));
          }
        });
  }

  private Message change(Message message, BiConsumer<Text, Message.Builder> change) {
    Message.Builder builder = message.toBuilder();
    for (Map.Entry<FieldDescriptor, Object> entry : message.getAllFields().entrySet()) {
      FieldDescriptor field = entry.getKey();
      if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
        continue;
      }
      if (field.isRepeated()) {
        for (int index = 0; index < message.getRepeatedFieldCount(field); index++) {
          Message nested = (Message) message.getRepeatedField(field, index);
          builder.setRepeatedField(field, index, change(nested, change));
        }
      } else {
        builder.setField(field, change((Message) entry.getValue(), change));
      }
    }
    texts
        .getOrDefault(message.getDescriptorForType(), List.of())
        .forEach(text -> change.accept(text, builder));
    return builder.build();
  }
}
