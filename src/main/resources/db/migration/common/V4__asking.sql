-- A worker asks for approvals in the middle of its run too. Those belong to no interrupt, and wait in the inbox.
DROP INDEX approvals_inbox;
DROP INDEX approvals_inbox_in_workspace;
CREATE INDEX approvals_inbox ON approvals (risk, created_at, approval_id)
  WHERE status = 'pending' AND (subject_id IS NULL OR kind = 'changeset_apply');
CREATE INDEX approvals_inbox_in_workspace ON approvals (workspace_id, risk, created_at, approval_id)
  WHERE status = 'pending' AND (subject_id IS NULL OR kind = 'changeset_apply');
CREATE UNIQUE INDEX approvals_asked ON approvals (run_id, kind, payload_hash)
  WHERE status = 'pending' AND subject_id IS NULL AND kind <> 'run_start';
CREATE INDEX approvals_decided_mid_run ON approvals (run_id, approval_id)
  WHERE closed_by = 'decision' AND subject_id IS NULL AND kind <> 'run_start';

-- Decisions are handed over to runs that have not ended, found by their threads where those are named.
DROP INDEX interrupts_to_deliver_by_thread;
CREATE INDEX runs_unfinished_on_thread ON runs (thread_id, run_id)
  WHERE thread_id IS NOT NULL AND status IN ('approved', 'running', 'blocked');

-- What lists of repos are filtered by.
CREATE INDEX repos_workspace_status_repo ON repos (workspace_id, status, repo_id);
