package dev.pmbot.artifact;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** Lets what is done about one thing be done one after the other, without a thread that waits. */
final class Turns {
  private final Map<String, CompletableFuture<?>> last = new ConcurrentHashMap<>();

  /** Does this when all that was asked for before about the same thing is done, however it went. */
  <T> CompletableFuture<T> inTurn(String key, Supplier<CompletableFuture<T>> work) {
    CompletableFuture<T> mine = new CompletableFuture<>();
    CompletableFuture<?> before = last.put(key, mine);
    Runnable begin =
        () ->
            start(work)
                .whenComplete(
                    (result, failure) -> {
                      last.remove(key, mine);
                      if (failure == null) {
                        mine.complete(result);
                      } else {
                        mine.completeExceptionally(failure);
                      }
                    });
    if (before == null) {
      begin.run();
    } else {
      before.whenComplete((result, failure) -> begin.run());
    }
    return mine;
  }

  private static <T> CompletableFuture<T> start(Supplier<CompletableFuture<T>> work) {
    try {
      return work.get();
    } catch (RuntimeException failure) {
      return CompletableFuture.failedFuture(failure);
    }
  }
}
