-- What lists may be filtered by.

-- A changeset names its workspace, as approvals and interrupts do.
ALTER TABLE changeset_bundles ADD COLUMN workspace_id ${key} REFERENCES workspaces (workspace_id);
UPDATE changeset_bundles
  SET workspace_id = (SELECT workspace_id FROM runs WHERE runs.run_id = changeset_bundles.run_id);
-- Where both serve a query equally well to its mind, SQLite takes the one that was made first.
CREATE INDEX changeset_bundles_workspace_status_changeset
  ON changeset_bundles (workspace_id, status, changeset_id);
CREATE INDEX changeset_bundles_workspace_changeset ON changeset_bundles (workspace_id, changeset_id);
