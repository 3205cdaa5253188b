package dev.pmbot.workspace;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.json.JsonText;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Kept;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Workspaces. */
public final class Workspaces {
  private final Audit audit;
  private final Ids ids;

  /** With the log and a source of ids. */
  public Workspaces(Audit audit, Ids ids) {
    this.audit = audit;
    this.ids = ids;
  }

  /** Makes sure that the reserved workspace exists. */
  public void ensureSystem(Tx tx) {
    WorkspaceMapper mapper = tx.mapper(WorkspaceMapper.class);
    if (mapper.find(Audit.SYSTEM) == null) {
      mapper.insert(new WorkspaceRow(Audit.SYSTEM, Audit.SYSTEM, tx.now(), "{}", 1));
      audit.begin(tx, Audit.SYSTEM);
    }
  }

  /** Creates a workspace. */
  public WorkspaceRow create(Tx tx, String name, String settingsJson) {
    checkSettings(settingsJson);
    WorkspaceMapper mapper = tx.mapper(WorkspaceMapper.class);
    requireFree(mapper, name);
    WorkspaceRow row = new WorkspaceRow(ids.next("ws"), name, tx.now(), settingsJson, 1);
    mapper.insert(row);
    audit.begin(tx, row.workspaceId());
    audit.append(
        tx,
        Event.of(row.workspaceId(), "workspace.created")
            .with("workspace_id", row.workspaceId())
            .with("name", name));
    return row;
  }

  /**
   * Changes a workspace.
   *
   * @param version the one that was read
   * @param name the new one; absent: it stays
   * @param settingsJson the new ones; absent: they stay
   */
  WorkspaceRow update(
      Tx tx,
      String workspaceId,
      long version,
      @Nullable String name,
      @Nullable String settingsJson) {
    WorkspaceRow row = get(tx, workspaceId);
    if (row.version() != version) {
      throw Problem.staleVersion("workspace", workspaceId, row.version());
    }
    String newName = name == null ? row.name() : name;
    String newSettings = settingsJson == null ? row.settingsJson() : settingsJson;
    Event event =
        Event.of(workspaceId, "workspace.updated")
            .with("workspace_id", workspaceId)
            .with("version", version + 1);
    boolean renamed = !newName.equals(row.name());
    boolean set = !newSettings.equals(row.settingsJson());
    if (!renamed && !set) {
      return row;
    }
    WorkspaceMapper mapper = tx.mapper(WorkspaceMapper.class);
    if (renamed) {
      requireFree(mapper, newName);
      event.with("name", newName).with("previous_name", row.name());
    }
    if (set) {
      checkSettings(newSettings);
      event.with("settings", Kept.fact("settings_json", newSettings));
    }
    WorkspaceRow updated = mapper.update(workspaceId, version, newName, newSettings);
    if (updated == null) {
      throw new IllegalStateException(
          "workspace " + workspaceId + " changed within its transaction");
    }
    tx.shared(Known.class, Known::new).byId.put(workspaceId, updated);
    audit.append(tx, event);
    return updated;
  }

  private static void requireFree(WorkspaceMapper mapper, String name) {
    WorkspaceRow same = mapper.findByName(name);
    if (same != null) {
      throw Problem.alreadyExists("workspace", name, same.workspaceId());
    }
  }

  /** The workspace with an id. */
  public WorkspaceRow get(Tx tx, String workspaceId) {
    WorkspaceRow row =
        tx.shared(Known.class, Known::new)
            .byId
            .computeIfAbsent(workspaceId, tx.mapper(WorkspaceMapper.class)::find);
    if (row == null) {
      throw Problem.notFound("workspace", workspaceId);
    }
    return row;
  }

  /**
   * What was read already: most of what is done together is done in one workspace, and only {@link
   * #update} changes one.
   */
  private static final class Known {
    final Map<String, WorkspaceRow> byId = new HashMap<>();
  }

  /** The budget of runs whose spec names none; a missing node when there is none. */
  public static JsonNode defaultBudget(WorkspaceRow row) {
    return JsonText.read(row.settingsJson()).path("budget");
  }

  /** Workspaces, newest first, or the one of a name. */
  List<WorkspaceRow> list(Tx tx, @Nullable String name, @Nullable String behind, int limit) {
    return tx.mapper(WorkspaceMapper.class).list(name, behind, limit);
  }

  private static void checkSettings(String settingsJson) {
    JsonNode settings = JsonText.parse(settingsJson, Fields.LARGEST_JSON);
    List<Violation> violations = new ArrayList<>();
    if (settings.isObject()) {
      BudgetKeys.check(settings.path("budget"), "settings_json.budget", violations);
      BudgetKeys.wholeNumber(
          settings.path("polling_interval_seconds"),
          "settings_json.polling_interval_seconds",
          1,
          Long.MAX_VALUE,
          violations);
    } else {
      violations.add(new Violation("settings_json", "must be a JSON object"));
    }
    if (!violations.isEmpty()) {
      throw Problem.invalidFields(violations);
    }
  }
}
