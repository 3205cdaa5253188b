package dev.pmbot.kit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Timestamps;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Holds a list to its filter: in every combination of some values of the filter's fields it shows
 * exactly those rows whose fields of the same names have these values.
 */
public final class Filters {
  private Filters() {}

  /**
   * Lists by every combination.
   *
   * @param scope the filter that each one narrows
   * @param values what each field is set to, beside being left out
   * @param all every row of the scope, in the list's order
   * @return how many combinations there were
   */
  @SuppressWarnings("unchecked")
  public static <F extends Message, R extends Message> int assertShown(
      F scope, Map<String, ? extends List<?>> values, List<R> all, Function<F, List<R>> list) {
    List<Message> filters = new ArrayList<>(List.of(scope));
    values.forEach(
        (name, some) -> {
          FieldDescriptor field = scope.getDescriptorForType().findFieldByName(name);
          for (Message filter : List.copyOf(filters)) {
            some.forEach(value -> filters.add(with(filter, field, value)));
          }
        });
    int empty = 0;
    for (Message filter : filters) {
      List<R> expected = all.stream().filter(row -> takes(filter, row)).toList();
      assertEquals(expected, list.apply((F) filter), filter::toString);
      empty += expected.isEmpty() ? 1 : 0;
    }
    assertTrue(filters.size() - empty >= 50, empty + " of " + filters.size() + " find nothing");
    return filters.size();
  }

  private static Message with(Message filter, FieldDescriptor field, Object value) {
    Object set =
        field.getJavaType() == FieldDescriptor.JavaType.ENUM
            ? field.getEnumType().findValueByNumber((Integer) value)
            : value;
    return filter.toBuilder().setField(field, set).build();
  }

  private static boolean takes(Message filter, Message row) {
    return filter.getAllFields().entrySet().stream()
        .allMatch(
            entry ->
                switch (entry.getKey().getName()) {
                  case "created_after" -> age(row, entry.getValue()) >= 0;
                  case "created_before" -> age(row, entry.getValue()) < 0;
                  default -> entry.getValue().equals(value(row, entry.getKey().getName()));
                });
  }

  private static int age(Message row, Object time) {
    return Timestamps.compare((Timestamp) value(row, "created_at"), (Timestamp) time);
  }

  private static Object value(Message row, String name) {
    return row.getField(row.getDescriptorForType().findFieldByName(name));
  }
}
