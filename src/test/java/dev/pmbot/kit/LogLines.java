package dev.pmbot.kit;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.slf4j.LoggerFactory;

/** What this process logs meanwhile, as a person would read it, without the time. */
public final class LogLines extends AppenderBase<ILoggingEvent> implements AutoCloseable {
  private final Logger logger = (Logger) LoggerFactory.getLogger("dev.pmbot");
  private final List<String> lines = new CopyOnWriteArrayList<>();

  private LogLines() {
    setContext(logger.getLoggerContext());
    start();
    logger.addAppender(this);
  }

  /** From now on. */
  public static LogLines begin() {
    return new LogLines();
  }

  @Override
  protected void append(ILoggingEvent event) {
    if (event.getLevel().isGreaterOrEqual(Level.INFO)) {
      lines.add(event.getLevel() + " " + event.getFormattedMessage());
    }
  }

  /** What has been logged since the last time. */
  public List<String> take() {
    List<String> taken = List.copyOf(lines);
    lines.clear();
    return taken;
  }

  /** Waits for a line that begins so. */
  public void await(String beginning) {
    Await.until(
        "a line that begins with: " + beginning,
        () -> lines.stream().anyMatch(line -> line.startsWith(beginning)));
  }

  @Override
  public void close() {
    logger.detachAppender(this);
  }
}
