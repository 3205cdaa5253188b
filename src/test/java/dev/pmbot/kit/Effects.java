package dev.pmbot.kit;

import dev.pmbot.v1.AuditEvent;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What must be on the record by what was answered, event by event: how often each type stands there
 * for each run, or for a workspace where it is about none.
 */
public final class Effects {
  private final Map<String, AtomicLong> counts = new ConcurrentHashMap<>();

  /** So many events of a type must be there about a run or workspace. */
  public void expect(String subject, String type, int count) {
    if (count > 0) {
      counts.computeIfAbsent(key(subject, type), ignored -> new AtomicLong()).addAndGet(count);
    }
  }

  /** One event of each of these types must be there about a run or workspace. */
  public void expect(String subject, String... types) {
    for (String type : types) {
      expect(subject, type, 1);
    }
  }

  private static String key(String subject, String type) {
    return subject + " " + type;
  }

  /** What these events have too much or too little. */
  public List<String> complaints(List<AuditEvent> events) {
    Map<String, Long> found = new TreeMap<>();
    for (AuditEvent event : events) {
      String subject = event.hasRunId() ? event.getRunId() : event.getWorkspaceId();
      found.merge(key(subject, event.getType()), 1L, Long::sum);
    }
    List<String> complaints = new ArrayList<>();
    TreeSet<String> keys = new TreeSet<>(counts.keySet());
    keys.addAll(found.keySet());
    for (String key : keys) {
      AtomicLong expected = counts.get(key);
      long wanted = expected == null ? 0 : expected.get();
      long there = found.getOrDefault(key, 0L);
      if (wanted != there) {
        complaints.add(key + ": " + wanted + " by what was answered, " + there + " on the record");
      }
    }
    return complaints;
  }
}
