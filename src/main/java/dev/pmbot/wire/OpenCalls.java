package dev.pmbot.wire;

import io.grpc.Context;
import java.util.concurrent.atomic.AtomicInteger;

/** Calls of a kind that are under way: each keeps something for as long as its client likes. */
public final class OpenCalls {
  private final String what;
  private final int most;
  private final AtomicInteger open = new AtomicInteger();

  /**
   * With the most that may be open at once.
   *
   * @param what of which there may be so many, as a caller who is refused is told
   */
  public OpenCalls(String what, int most) {
    this.what = what;
    this.most = most;
  }

  /**
   * Counts the present call until it ends.
   *
   * @throws Problem TOO_MANY_OPEN
   */
  public void enter() {
    if (open.incrementAndGet() > most) {
      open.decrementAndGet();
      throw Problem.tooManyOpen(what, most);
    }
    Context.current().addListener(ended -> open.decrementAndGet(), Runnable::run);
  }
}
