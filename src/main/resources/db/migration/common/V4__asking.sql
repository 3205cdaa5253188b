-- What lists of repos are filtered by.
CREATE INDEX repos_workspace_status_repo ON repos (workspace_id, status, repo_id);
