-- A worker asks for approvals in the middle of its run too. Those belong to no interrupt, and wait in the inbox.
DROP INDEX approvals_inbox;
DROP INDEX approvals_inbox_in_workspace;
CREATE INDEX approvals_inbox ON approvals (risk, created_at, approval_id)
  WHERE status = 'pending' AND (subject_id IS NULL OR kind = 'changeset_apply');
CREATE INDEX approvals_inbox_in_workspace ON approvals (workspace_id, risk, created_at, approval_id)
  WHERE status = 'pending' AND (subject_id IS NULL OR kind = 'changeset_apply');
CREATE INDEX approvals_inbox_of_run ON approvals (run_id, risk, created_at, approval_id)
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

-- What lists of approvals are filtered by. Every run has its start, of low risk: it is not in them, for each new run would
-- pay for it, and a list by workspace finds it soon.
CREATE INDEX approvals_workspace_kind_approval ON approvals (workspace_id, kind, approval_id) WHERE kind <> 'run_start';
CREATE INDEX approvals_workspace_risk_approval ON approvals (workspace_id, risk, approval_id) WHERE risk <> 'low';

-- What lists of interrupts, and the inbox, are filtered by.
CREATE INDEX interrupts_thread_interrupt ON interrupts (thread_id, interrupt_id);
CREATE INDEX interrupts_workspace_kind_interrupt ON interrupts (workspace_id, kind, interrupt_id);
CREATE INDEX interrupts_workspace_risk_interrupt ON interrupts (workspace_id, risk, interrupt_id);
CREATE INDEX interrupts_inbox_of_run ON interrupts (run_id, risk, created_at, interrupt_id) WHERE status = 'pending';

-- Made anew, as the last: see V3. Lists by workspace and one thing more would look at all of the workspace.
DROP INDEX approvals_workspace_approval;
CREATE INDEX approvals_workspace_approval ON approvals (workspace_id, approval_id);
DROP INDEX interrupts_workspace_interrupt;
CREATE INDEX interrupts_workspace_interrupt ON interrupts (workspace_id, interrupt_id);
