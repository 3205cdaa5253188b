package dev.pmbot.wire;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.pmbot.files.Sha256;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Pages of a list: each begins behind the key at which the last one ended, so that rows that come
 * or go between two pages move nothing. A token is bound to the query that it was made by.
 */
public final class Paging {
  private static final int DEFAULT_SIZE = 50;
  private static final int LARGEST_PAGE_BYTES = 1 << 20;
  // What a filter asks may be in no index; a page then ends by what it looked at, full or not.
  private static final int MOST_LOOKED_AT = 5_000;
  private static final int MOST_LOOKED_AT_ONCE = 1_000;
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

  /** Looks at rows in the list's order, behind a key or from the start, at most so many. */
  @FunctionalInterface
  public interface Look {
    /** What it saw: every row of the index that serves the filter, those that match and others. */
    List<Looked> behind(@Nullable String key, int limit);
  }

  /** What a request asks for beside its query: how much, and behind which key. */
  @SuppressWarnings("ArrayRecordComponent") // Handed on, never compared.
  private record Place(byte[] query, int size, @Nullable String key) {
    static Place of(Message request) {
      FieldDescriptor sizeField = request.getDescriptorForType().findFieldByName("page_size");
      FieldDescriptor tokenField = request.getDescriptorForType().findFieldByName("page_token");
      int requested = (Integer) request.getField(sizeField);
      byte[] query =
          Paging.query(request.toBuilder().clearField(sizeField).clearField(tokenField).build());
      String token = (String) request.getField(tokenField);
      return new Place(
          query,
          requested == 0 ? DEFAULT_SIZE : requested,
          token.isEmpty() ? null : Paging.key(query, token));
    }
  }

  /** What a page holds so far. */
  private static final class Items<P extends Message> {
    private final Place place;
    private final List<P> items = new ArrayList<>();
    private long bytes;

    Items(Place place) {
      this.place = place;
    }

    boolean isFull() {
      return items.size() == place.size;
    }

    /**
     * How many more rows are worth reading at once. How large rows are is not known before one is
     * read: so first one, then as many as are likely to fit, and one that ends the page.
     */
    int wanted() {
      if (items.isEmpty()) {
        return 1;
      }
      long average = bytes / items.size() + 1;
      long fitting = Math.max(0, LARGEST_PAGE_BYTES - bytes) / average + 1;
      return (int) Math.min(fitting, Math.min(place.size - items.size(), ROWS_AT_ONCE));
    }

    /** Adds an item, unless it is too large to share the page with the others. */
    boolean add(P item) {
      int size = item.getSerializedSize();
      if (!items.isEmpty() && bytes + size > LARGEST_PAGE_BYTES) {
        return false;
      }
      bytes += size;
      return items.add(item);
    }

    Page<P> endingTheList() {
      return new Page<>(items, "");
    }

    Page<P> endingAt(@Nullable String key) {
      return new Page<>(items, token(place.query, String.valueOf(key)));
    }
  }

  /**
   * The page that a request asks for by its fields {@code page_size} and {@code page_token}; all
   * its other fields are the query.
   *
   * @throws Problem INVALID_PAGE_TOKEN
   */
  public static <T, P extends Message> Page<P> page(
      Message request, Fetch<T> fetch, Function<T, String> keyOf, Function<T, P> toProto) {
    Place place = Place.of(request);
    String key = place.key;
    Items<P> items = new Items<>(place);
    while (true) {
      List<T> rows = fetch.behind(key, ROWS_AT_ONCE);
      for (T row : rows) {
        if (items.isFull() || !items.add(toProto.apply(row))) {
          return items.endingAt(key);
        }
        key = keyOf.apply(row);
      }
      if (rows.size() < ROWS_AT_ONCE) {
        return items.endingTheList();
      }
    }
  }

  /**
   * The page of a list whose filter no index serves whole. It looks at the rows of the index that
   * narrows most and shows those that match. When it has looked at 5,000 it ends, with the token
   * that goes on behind the last of them: a page may hold fewer than asked for, even none, and only
   * an empty token is the end.
   *
   * @param rowsOf the rows with some keys that were looked at, each of them, in any order
   * @param keyOf the key that a row was looked at by
   * @throws Problem INVALID_PAGE_TOKEN
   */
  public static <T, P extends Message> Page<P> filtered(
      Message request,
      Look look,
      Function<List<String>, List<T>> rowsOf,
      Function<T, String> keyOf,
      Function<T, P> toProto) {
    Place place = Place.of(request);
    String key = place.key;
    Items<P> items = new Items<>(place);
    int looked = 0;
    int atOnce = place.size + 1;
    while (looked < MOST_LOOKED_AT) {
      int limit = Math.min(atOnce, MOST_LOOKED_AT - looked);
      List<Looked> rows = look.behind(key, limit);
      Taken<T> taken = new Taken<>(rows, rowsOf, keyOf);
      for (Looked row : rows) {
        if (row.isTaken()) {
          if (items.isFull() || !items.add(toProto.apply(taken.next(items.wanted())))) {
            return items.endingAt(key);
          }
        }
        key = row.key();
      }
      if (rows.size() < limit) {
        return items.endingTheList();
      }
      looked += limit;
      atOnce = Math.min(2 * atOnce, MOST_LOOKED_AT_ONCE);
    }
    return items.endingAt(key);
  }

  /** The rows that a look takes, in its order, fetched as they are wanted. */
  private static final class Taken<T> {
    private final Iterator<String> keys;
    private final Function<List<String>, List<T>> rowsOf;
    private final Function<T, String> keyOf;
    private Iterator<T> fetched = List.<T>of().iterator();

    Taken(List<Looked> looked, Function<List<String>, List<T>> rowsOf, Function<T, String> keyOf) {
      keys = looked.stream().filter(Looked::isTaken).map(Looked::key).iterator();
      this.rowsOf = rowsOf;
      this.keyOf = keyOf;
    }

    /** The next row; if it is not there yet, so many are fetched. */
    T next(int wanted) {
      if (!fetched.hasNext()) {
        fetched = fetch(wanted);
      }
      return fetched.next();
    }

    private Iterator<T> fetch(int count) {
      List<String> wanted = new ArrayList<>(count);
      while (wanted.size() < count && keys.hasNext()) {
        wanted.add(keys.next());
      }
      Map<String, T> byKey = new HashMap<>();
      rowsOf.apply(wanted).forEach(row -> byKey.put(keyOf.apply(row), row));
      List<T> rows = new ArrayList<>(count);
      for (String key : wanted) {
        T row = byKey.get(key);
        if (row == null) {
          throw new IllegalStateException("a row was looked at and is not there: " + key);
        }
        rows.add(row);
      }
      return rows.iterator();
    }
  }

  /** Two methods may be asked in the same bytes; the type's name tells them apart. */
  private static byte[] query(Message request) {
    return Sha256.of(
        request.getDescriptorForType().getFullName().getBytes(StandardCharsets.UTF_8),
        request.toByteArray());
  }

  private static String token(byte[] query, String key) {
    byte[] text = key.getBytes(StandardCharsets.UTF_8);
    byte[] digest = Sha256.of(query, text);
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
    if (!Arrays.equals(Sha256.of(query, text), 0, DIGEST_BYTES, bytes, 0, DIGEST_BYTES)) {
      throw Problem.invalidPageToken();
    }
    return new String(text, StandardCharsets.UTF_8);
  }
}
