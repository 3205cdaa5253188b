package dev.pmbot.workspace;

import dev.pmbot.audit.Audit;
import dev.pmbot.audit.Event;
import dev.pmbot.json.JsonText;
import dev.pmbot.store.Ids;
import dev.pmbot.store.Tx;
import dev.pmbot.wire.Fields;
import dev.pmbot.wire.Problem;
import dev.pmbot.wire.Violation;
import java.util.ArrayList;
import java.util.List;
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
    WorkspaceRow same = mapper.findByName(name);
    if (same != null) {
      throw Problem.alreadyExists("workspace", name, same.workspaceId());
    }
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

  /** The workspace with an id. */
  public WorkspaceRow get(Tx tx, String workspaceId) {
    WorkspaceRow row = tx.mapper(WorkspaceMapper.class).find(workspaceId);
    if (row == null) {
      throw Problem.notFound("workspace", workspaceId);
    }
    return row;
  }

  /** Workspaces, newest first. */
  public List<WorkspaceRow> list(Tx tx, @Nullable String behind, int limit) {
    return tx.mapper(WorkspaceMapper.class).list(behind, limit);
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
