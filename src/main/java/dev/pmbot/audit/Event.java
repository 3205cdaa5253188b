package dev.pmbot.audit;

import dev.pmbot.json.JsonText;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Something that happened, before it has its place in the log. */
public final class Event {
  private final String workspaceId;
  private final String type;
  private final Map<String, Object> facts = new LinkedHashMap<>();
  private final @Nullable String told;
  private @Nullable String runId;
  private @Nullable String threadId;
  private @Nullable String nodeId;

  private Event(String workspaceId, String type, @Nullable String told) {
    this.workspaceId = workspaceId;
    this.type = type;
    this.told = told;
  }

  /** Something of a type that happened in a workspace. */
  public static Event of(String workspaceId, String type) {
    return new Event(workspaceId, type, null);
  }

  /** Something that a client tells, with its facts as JSON. */
  static Event told(String workspaceId, String type, String payloadJson) {
    return new Event(workspaceId, type, payloadJson);
  }

  /** Names the run that it is about. */
  public Event run(@Nullable String id) {
    runId = id;
    return this;
  }

  /** Names the LangGraph thread that it is about. */
  public Event thread(@Nullable String id) {
    threadId = id;
    return this;
  }

  /** Names the graph's node that it is about. */
  public Event node(@Nullable String id) {
    nodeId = id;
    return this;
  }

  /**
   * States a fact: text, a number, a truth value, a list or a map of them. An absent one is left
   * out.
   */
  public Event with(String name, @Nullable Object value) {
    if (value != null) {
      facts.put(
          name,
          value instanceof Enum<?> word ? word.name().toLowerCase(java.util.Locale.ROOT) : value);
    }
    return this;
  }

  String workspaceId() {
    return workspaceId;
  }

  String type() {
    return type;
  }

  String payloadJson() {
    return told != null ? told : JsonText.write(facts);
  }

  @Nullable String runId() {
    return runId;
  }

  @Nullable String threadId() {
    return threadId;
  }

  @Nullable String nodeId() {
    return nodeId;
  }
}
