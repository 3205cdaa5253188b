package dev.pmbot.wire;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.pmbot.store.Digests;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Pages of a list: each begins behind the key at which the last one ended, so that rows that come
 * or go between two pages move nothing. A token is bound to the query that it was made by.
 */
public final class Paging {
  private static final int DEFAULT_SIZE = 50;
  private static final int LARGEST_PAGE_BYTES = 1 << 20;
  // Rows may be a mebibyte each: they are fetched a few at a time, and a page ends by its bytes
  // too.
  private static final int ROWS_AT_ONCE = 25;
  private static final int DIGEST_BYTES = 8;

  private Paging() {}

  /** One page: its items, and the token of the next, empty on the last. */
  public record Page<P>(List<P> items, String nextPageToken) {}

  /** Fetches rows in the list's order, behind a key or from the start, at most so many. */
  @FunctionalInterface
  public interface Fetch<T> {
    /** The rows. */
    List<T> behind(@Nullable String key, int limit);
  }

  /**
   * The page that a request asks for by its fields {@code page_size} and {@code page_token}; all
   * its other fields are the query.
   *
   * @throws Problem INVALID_PAGE_TOKEN
   */
  public static <T, P extends Message> Page<P> page(
      Message request, Fetch<T> fetch, Function<T, String> keyOf, Function<T, P> toProto) {
    FieldDescriptor sizeField = request.getDescriptorForType().findFieldByName("page_size");
    FieldDescriptor tokenField = request.getDescriptorForType().findFieldByName("page_token");
    int requested = (Integer) request.getField(sizeField);
    int size = requested == 0 ? DEFAULT_SIZE : requested;
    byte[] query = query(request.toBuilder().clearField(sizeField).clearField(tokenField).build());
    String token = (String) request.getField(tokenField);
    String key = token.isEmpty() ? null : key(query, token);
    List<P> items = new ArrayList<>();
    long bytes = 0;
    while (true) {
      List<T> rows = fetch.behind(key, ROWS_AT_ONCE);
      for (T row : rows) {
        if (items.size() == size || bytes >= LARGEST_PAGE_BYTES) {
          return new Page<>(items, token(query, String.valueOf(key)));
        }
        P item = toProto.apply(row);
        items.add(item);
        bytes += item.getSerializedSize();
        key = keyOf.apply(row);
      }
      if (rows.size() < ROWS_AT_ONCE) {
        return new Page<>(items, "");
      }
    }
  }

  /** Two methods may be asked in the same bytes; the type's name tells them apart. */
  private static byte[] query(Message request) {
    return Digests.sha256(
        request.getDescriptorForType().getFullName().getBytes(StandardCharsets.UTF_8),
        request.toByteArray());
  }

  private static String token(byte[] query, String key) {
    byte[] text = key.getBytes(StandardCharsets.UTF_8);
    byte[] digest = Digests.sha256(query, text);
    byte[] token = Arrays.copyOf(digest, DIGEST_BYTES + text.length);
    System.arraycopy(text, 0, token, DIGEST_BYTES, text.length);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(token);
  }

  private static String key(byte[] query, String token) {
    byte[] bytes;
    try {
      bytes = Base64.getUrlDecoder().decode(token);
    } catch (IllegalArgumentException notBase64) {
      throw Problem.invalidPageToken();
    }
    if (bytes.length <= DIGEST_BYTES) {
      throw Problem.invalidPageToken();
    }
    byte[] text = Arrays.copyOfRange(bytes, DIGEST_BYTES, bytes.length);
    if (!Arrays.equals(Digests.sha256(query, text), 0, DIGEST_BYTES, bytes, 0, DIGEST_BYTES)) {
      throw Problem.invalidPageToken();
    }
    return new String(text, StandardCharsets.UTF_8);
  }
}
