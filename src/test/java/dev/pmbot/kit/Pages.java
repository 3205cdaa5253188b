package dev.pmbot.kit;

import com.google.protobuf.Message;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** A list from its first page to its last. */
public final class Pages {
  private Pages() {}

  /**
   * All items of a list.
   *
   * @param page asks for the page of a token
   * @param items those of a page
   */
  public static <R extends Message, T> List<T> all(
      Function<String, R> page, Function<R, List<T>> items) {
    List<T> found = new ArrayList<>();
    String token = "";
    do {
      R response = page.apply(token);
      found.addAll(items.apply(response));
      token =
          (String)
              response.getField(response.getDescriptorForType().findFieldByName("next_page_token"));
    } while (!token.isEmpty());
    return found;
  }
}
