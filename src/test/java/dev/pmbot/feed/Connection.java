package dev.pmbot.feed;

import io.grpc.Status;
import java.util.List;
import java.util.Map;

/**
 * One connection of a stream's client, and everything that it was told over it.
 *
 * @param from the cursor that it came with; empty: none
 * @param openedAt when, by the clock that acknowledgements are noted by too
 * @param knownBefore for each workspace a seq that somebody had been told of before it was opened
 * @param knownAfter for each workspace the end of its log, read once the first cursor had come; of
 *     a connection without a cursor only, and only if one came
 * @param end how it ended: cancelled, if it was cut by anybody; anything else is the server's word
 */
record Connection(
    String from,
    long openedAt,
    Map<String, Long> knownBefore,
    Map<String, Long> knownAfter,
    List<Told> told,
    Status end) {

  Connection withTold(List<Told> other) {
    return new Connection(from, openedAt, knownBefore, knownAfter, other, end);
  }
}
