-- What lists may be filtered by.

-- A changeset names its workspace, as approvals and interrupts do.
ALTER TABLE changeset_bundles ADD COLUMN workspace_id ${key} REFERENCES workspaces (workspace_id);
UPDATE changeset_bundles
  SET workspace_id = (SELECT workspace_id FROM runs WHERE runs.run_id = changeset_bundles.run_id);
-- Where both serve a query equally well to its mind, SQLite takes the one that was made first.
CREATE INDEX changeset_bundles_workspace_status_changeset
  ON changeset_bundles (workspace_id, status, changeset_id);
CREATE INDEX changeset_bundles_workspace_changeset ON changeset_bundles (workspace_id, changeset_id);

-- A workspace's events by time, type, actor and node.
DROP INDEX audit_events_workspace_created;
CREATE INDEX audit_events_workspace_created ON audit_events (workspace_id, created_at, seq);
CREATE INDEX audit_events_workspace_type_seq ON audit_events (workspace_id, type, seq);
CREATE INDEX audit_events_workspace_actor_seq ON audit_events (workspace_id, actor, seq);
CREATE INDEX audit_events_workspace_node_seq ON audit_events (workspace_id, node_id, seq) WHERE node_id IS NOT NULL;

-- A workspace's artifacts. A run's are few: those of a kind are found among all of them.
DROP INDEX artifacts_run_kind_artifact;
CREATE INDEX artifacts_workspace_kind_artifact ON artifacts (workspace_id, kind, artifact_id);
CREATE INDEX artifacts_workspace_artifact ON artifacts (workspace_id, artifact_id);
