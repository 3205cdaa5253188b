-- How long a run had been running when it was found over its budget, or when that was last decided on; absent while it
-- is within. What it still does counts from there.
ALTER TABLE runs ADD COLUMN over_budget_at_wall_micros ${long};

-- What lists of runs are filtered by, each in the order of the list.
CREATE INDEX runs_workspace_graph_run ON runs (workspace_id, graph_id, run_id);
CREATE INDEX runs_workspace_created_by_run ON runs (workspace_id, created_by, run_id);
CREATE INDEX runs_repo_run ON runs (repo_id, run_id) WHERE repo_id IS NOT NULL;
DROP INDEX runs_thread;
CREATE INDEX runs_thread_run ON runs (thread_id, run_id) WHERE thread_id IS NOT NULL;
-- Made anew, as the last: where two serve a query equally well to its mind, SQLite takes the one that was made first, and
-- so it looked at all of a workspace's runs for those in one status.
DROP INDEX runs_workspace_run;
CREATE INDEX runs_workspace_run ON runs (workspace_id, run_id);
