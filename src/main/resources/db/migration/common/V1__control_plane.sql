-- Every table of the specification, and what the design adds to it. Common to SQLite and PostgreSQL: ${long}, ${bytes},
-- ${key} and ${strict} stand for what they spell differently. Times are microseconds since the epoch, UTC.

CREATE TABLE database_info (
  singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  incarnation ${key} NOT NULL CHECK (length(incarnation) <= 64),
  created_at ${long} NOT NULL
) ${strict};

CREATE TABLE workspaces (
  workspace_id ${key} NOT NULL PRIMARY KEY CHECK (length(workspace_id) <= 64),
  name ${key} NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at ${long} NOT NULL,
  settings_json TEXT NOT NULL CHECK (length(settings_json) <= 1048576),
  version ${long} NOT NULL
) ${strict};
CREATE UNIQUE INDEX workspaces_name ON workspaces (name);

CREATE TABLE repos (
  repo_id ${key} NOT NULL PRIMARY KEY CHECK (length(repo_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  full_name ${key} NOT NULL CHECK (length(full_name) BETWEEN 3 AND 200),
  default_branch TEXT NOT NULL CHECK (length(default_branch) BETWEEN 1 AND 200),
  status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
  added_at ${long} NOT NULL,
  last_sync_at ${long},
  version ${long} NOT NULL
) ${strict};
CREATE UNIQUE INDEX repos_workspace_full_name ON repos (workspace_id, lower(full_name));
CREATE INDEX repos_workspace_repo ON repos (workspace_id, repo_id);

CREATE TABLE repo_sync_state (
  repo_id ${key} NOT NULL PRIMARY KEY REFERENCES repos (repo_id),
  issues_cursor_updated_at ${long},
  prs_cursor_updated_at ${long},
  repo_head_sha TEXT CHECK (length(repo_head_sha) <= 64),
  last_indexed_sha TEXT CHECK (length(last_indexed_sha) <= 64),
  last_error TEXT CHECK (length(last_error) <= 4096),
  updated_at ${long} NOT NULL
) ${strict};

CREATE TABLE github_objects (
  object_id ${key} NOT NULL PRIMARY KEY CHECK (length(object_id) <= 64),
  repo_id ${key} NOT NULL REFERENCES repos (repo_id),
  kind TEXT NOT NULL CHECK (kind IN ('issue', 'pr', 'discussion')),
  number ${long} NOT NULL,
  title TEXT NOT NULL CHECK (length(title) <= 4096),
  state TEXT NOT NULL CHECK (length(state) <= 200),
  updated_at ${long} NOT NULL,
  raw_json TEXT NOT NULL CHECK (length(raw_json) <= 2097152),
  etag TEXT CHECK (length(etag) <= 200)
) ${strict};
CREATE UNIQUE INDEX github_objects_repo_kind_number ON github_objects (repo_id, kind, number);
CREATE INDEX github_objects_repo_kind_updated ON github_objects (repo_id, kind, updated_at);

CREATE TABLE runs (
  run_id ${key} NOT NULL PRIMARY KEY CHECK (length(run_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  repo_id ${key} REFERENCES repos (repo_id),
  goal TEXT NOT NULL CHECK (length(goal) BETWEEN 1 AND 4096),
  status TEXT NOT NULL CHECK (status IN
    ('proposed', 'approved', 'running', 'blocked', 'completed', 'failed', 'cancelled', 'rejected')),
  graph_id ${key} NOT NULL CHECK (length(graph_id) BETWEEN 1 AND 200),
  thread_id ${key} CHECK (length(thread_id) BETWEEN 1 AND 200),
  agent_run_spec_json TEXT NOT NULL CHECK (length(agent_run_spec_json) <= 1048576),
  created_at ${long} NOT NULL,
  updated_at ${long} NOT NULL,
  created_by TEXT NOT NULL CHECK (length(created_by) <= 200),
  started_at ${long},
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  next_attempt_at ${long},
  lease_owner TEXT CHECK (length(lease_owner) <= 200),
  lease_token ${key} CHECK (length(lease_token) <= 100),
  lease_expires_at ${long},
  cancel_requested_at ${long},
  status_reason TEXT CHECK (length(status_reason) <= 8192),
  budget_json TEXT CHECK (length(budget_json) <= 1048576),
  tokens_used ${long} NOT NULL,
  tool_calls_used ${long} NOT NULL,
  cost_micros_used ${long} NOT NULL,
  wall_micros_used ${long} NOT NULL,
  version ${long} NOT NULL
) ${strict};
CREATE INDEX runs_workspace_status_updated ON runs (workspace_id, status, updated_at);
CREATE INDEX runs_repo_status_updated ON runs (repo_id, status, updated_at);
CREATE INDEX runs_graph_status_next_attempt ON runs (graph_id, status, next_attempt_at, run_id);
CREATE INDEX runs_workspace_run ON runs (workspace_id, run_id);
CREATE INDEX runs_workspace_status_run ON runs (workspace_id, status, run_id);
CREATE INDEX runs_claimable_in_workspace ON runs (workspace_id, graph_id, next_attempt_at, run_id)
  WHERE status = 'approved' AND lease_token IS NULL;
CREATE INDEX runs_thread ON runs (thread_id) WHERE thread_id IS NOT NULL;
CREATE UNIQUE INDEX runs_lease ON runs (lease_token) WHERE lease_token IS NOT NULL;

CREATE TABLE approvals (
  approval_id ${key} NOT NULL PRIMARY KEY CHECK (length(approval_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  run_id ${key} NOT NULL REFERENCES runs (run_id),
  kind TEXT NOT NULL CHECK (kind IN ('run_start', 'tool_call', 'spend', 'publish', 'changeset_apply')),
  status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
  subject_id ${key} CHECK (length(subject_id) <= 64),
  payload_json TEXT NOT NULL CHECK (length(payload_json) <= 2097152),
  payload_hash ${key} NOT NULL CHECK (length(payload_hash) = 64),
  risk TEXT NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
  created_at ${long} NOT NULL,
  resolved_at ${long},
  actor TEXT CHECK (length(actor) <= 200),
  notes TEXT CHECK (length(notes) <= 8192),
  closed_by TEXT CHECK (closed_by IN ('decision', 'superseded', 'run_ended'))
) ${strict};
CREATE INDEX approvals_run_kind_status ON approvals (run_id, kind, status);
CREATE INDEX approvals_run_approval ON approvals (run_id, approval_id);
CREATE INDEX approvals_workspace_approval ON approvals (workspace_id, approval_id);
CREATE INDEX approvals_workspace_status_approval ON approvals (workspace_id, status, approval_id);
CREATE INDEX approvals_inbox ON approvals (risk, created_at, approval_id)
  WHERE status = 'pending' AND kind IN ('run_start', 'changeset_apply');
CREATE INDEX approvals_inbox_in_workspace ON approvals (workspace_id, risk, created_at, approval_id)
  WHERE status = 'pending' AND kind IN ('run_start', 'changeset_apply');

CREATE TABLE interrupts (
  interrupt_id ${key} NOT NULL PRIMARY KEY CHECK (length(interrupt_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  run_id ${key} NOT NULL REFERENCES runs (run_id),
  thread_id ${key} NOT NULL CHECK (length(thread_id) BETWEEN 1 AND 200),
  node_id TEXT CHECK (length(node_id) <= 200),
  kind TEXT NOT NULL CHECK (kind IN ('approve_tool_call', 'approve_spend', 'approve_publish', 'question')),
  risk TEXT NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
  payload_json TEXT NOT NULL CHECK (length(payload_json) <= 2097152),
  payload_hash ${key} NOT NULL CHECK (length(payload_hash) = 64),
  status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'edited')),
  decision_json TEXT CHECK (length(decision_json) <= 1048576),
  created_at ${long} NOT NULL,
  resolved_at ${long},
  actor TEXT CHECK (length(actor) <= 200),
  approval_id ${key} REFERENCES approvals (approval_id),
  closed_by TEXT CHECK (closed_by IN ('decision', 'superseded', 'run_ended')),
  external_id ${key} NOT NULL CHECK (length(external_id) BETWEEN 1 AND 200),
  generation INTEGER NOT NULL,
  checkpoint_id TEXT CHECK (length(checkpoint_id) <= 200),
  guard TEXT CHECK (length(guard) <= 4096),
  delivered_at ${long},
  acknowledged_at ${long}
) ${strict};
CREATE UNIQUE INDEX interrupts_identity ON interrupts (run_id, thread_id, external_id, generation);
CREATE INDEX interrupts_run_status ON interrupts (run_id, status);
CREATE INDEX interrupts_run_interrupt ON interrupts (run_id, interrupt_id);
CREATE INDEX interrupts_workspace_status_created ON interrupts (workspace_id, status, created_at);
CREATE INDEX interrupts_workspace_interrupt ON interrupts (workspace_id, interrupt_id);
CREATE INDEX interrupts_workspace_status_interrupt ON interrupts (workspace_id, status, interrupt_id);
CREATE INDEX interrupts_inbox ON interrupts (risk, created_at, interrupt_id) WHERE status = 'pending';
CREATE INDEX interrupts_inbox_in_workspace ON interrupts (workspace_id, risk, created_at, interrupt_id)
  WHERE status = 'pending';
CREATE INDEX interrupts_to_deliver_by_run ON interrupts (run_id, interrupt_id)
  WHERE closed_by = 'decision' AND acknowledged_at IS NULL;
CREATE INDEX interrupts_to_deliver_by_thread ON interrupts (thread_id, interrupt_id)
  WHERE closed_by = 'decision' AND acknowledged_at IS NULL;

CREATE TABLE artifacts (
  artifact_id ${key} NOT NULL PRIMARY KEY CHECK (length(artifact_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  run_id ${key} NOT NULL REFERENCES runs (run_id),
  kind TEXT NOT NULL CHECK (kind IN ('changeset_bundle', 'patch', 'log', 'tool_trace', 'test_report', 'pr_draft')),
  uri ${key} NOT NULL CHECK (length(uri) BETWEEN 1 AND 4096),
  content_type TEXT NOT NULL CHECK (length(content_type) <= 200),
  hash ${key} NOT NULL CHECK (length(hash) <= 200),
  title TEXT NOT NULL CHECK (length(title) <= 210),
  created_at ${long} NOT NULL,
  size_bytes ${long} NOT NULL,
  metadata_json TEXT NOT NULL CHECK (length(metadata_json) <= 1048576)
) ${strict};
CREATE INDEX artifacts_run_kind_created ON artifacts (run_id, kind, created_at);
CREATE INDEX artifacts_run_artifact ON artifacts (run_id, artifact_id);
CREATE INDEX artifacts_run_kind_artifact ON artifacts (run_id, kind, artifact_id);
CREATE UNIQUE INDEX artifacts_run_uri ON artifacts (run_id, uri);

CREATE TABLE changeset_bundles (
  changeset_id ${key} NOT NULL PRIMARY KEY CHECK (length(changeset_id) <= 64),
  run_id ${key} NOT NULL REFERENCES runs (run_id),
  repo_id ${key} NOT NULL REFERENCES repos (repo_id),
  bundle_json TEXT NOT NULL CHECK (length(bundle_json) <= 1048576),
  status TEXT NOT NULL CHECK (status IN ('proposed', 'approved', 'applied', 'rejected')),
  created_at ${long} NOT NULL,
  updated_at ${long} NOT NULL,
  applied_commit_sha TEXT CHECK (length(applied_commit_sha) <= 64),
  version ${long} NOT NULL
) ${strict};
CREATE INDEX changeset_bundles_repo_status_updated ON changeset_bundles (repo_id, status, updated_at);
CREATE INDEX changeset_bundles_repo_changeset ON changeset_bundles (repo_id, changeset_id);
CREATE INDEX changeset_bundles_repo_status_changeset ON changeset_bundles (repo_id, status, changeset_id);
CREATE INDEX changeset_bundles_run_changeset ON changeset_bundles (run_id, changeset_id);
CREATE INDEX changeset_bundles_status_changeset ON changeset_bundles (status, changeset_id);

CREATE TABLE audit_heads (
  workspace_id ${key} NOT NULL PRIMARY KEY REFERENCES workspaces (workspace_id),
  seq ${long} NOT NULL,
  hash ${bytes} NOT NULL CHECK (length(hash) = 32)
) ${strict};

-- The run is named, not referenced: the log must be able to tell of what no longer exists.
CREATE TABLE audit_events (
  event_id ${key} NOT NULL PRIMARY KEY CHECK (length(event_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  run_id ${key} CHECK (length(run_id) <= 64),
  thread_id ${key} CHECK (length(thread_id) <= 200),
  node_id TEXT CHECK (length(node_id) <= 200),
  type ${key} NOT NULL CHECK (length(type) BETWEEN 1 AND 200),
  payload_json TEXT NOT NULL CHECK (length(payload_json) <= 2097152),
  created_at ${long} NOT NULL,
  seq ${long} NOT NULL,
  tx_first_seq ${long} NOT NULL,
  actor ${key} NOT NULL CHECK (length(actor) <= 200),
  payload_salt ${bytes} CHECK (length(payload_salt) = 16),
  payload_hash ${bytes} NOT NULL CHECK (length(payload_hash) = 32),
  prev_hash ${bytes} NOT NULL CHECK (length(prev_hash) = 32),
  hash ${bytes} NOT NULL CHECK (length(hash) = 32)
) ${strict};
CREATE UNIQUE INDEX audit_events_workspace_seq ON audit_events (workspace_id, seq);
CREATE INDEX audit_events_workspace_created ON audit_events (workspace_id, created_at);
CREATE INDEX audit_events_run_created ON audit_events (run_id, created_at) WHERE run_id IS NOT NULL;
CREATE INDEX audit_events_run_seq ON audit_events (run_id, seq) WHERE run_id IS NOT NULL;
CREATE INDEX audit_events_thread_seq ON audit_events (thread_id, seq) WHERE thread_id IS NOT NULL;

CREATE TABLE requests (
  principal ${key} NOT NULL CHECK (length(principal) <= 200),
  request_id ${key} NOT NULL CHECK (length(request_id) <= 64),
  method ${key} NOT NULL CHECK (length(method) <= 200),
  request_hash ${bytes} NOT NULL CHECK (length(request_hash) = 32),
  response ${bytes} NOT NULL,
  expires_at ${long} NOT NULL,
  PRIMARY KEY (principal, request_id)
) ${strict};
CREATE INDEX requests_expires ON requests (expires_at);

CREATE TABLE documents (
  doc_id ${key} NOT NULL PRIMARY KEY CHECK (length(doc_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  repo_id ${key} NOT NULL REFERENCES repos (repo_id),
  source_type TEXT NOT NULL CHECK (source_type IN ('file', 'issue', 'pr')),
  source_id ${key} NOT NULL CHECK (length(source_id) <= 4096),
  revision ${key} NOT NULL CHECK (length(revision) <= 200),
  content_hash ${key} NOT NULL CHECK (length(content_hash) <= 200),
  created_at ${long} NOT NULL
) ${strict};
CREATE INDEX documents_repo_source ON documents (repo_id, source_type, source_id);

CREATE TABLE chunks (
  chunk_id ${key} NOT NULL PRIMARY KEY CHECK (length(chunk_id) <= 64),
  doc_id ${key} NOT NULL REFERENCES documents (doc_id),
  ordinal INTEGER NOT NULL,
  start_offset ${long} NOT NULL,
  end_offset ${long} NOT NULL,
  text_hash ${key} NOT NULL CHECK (length(text_hash) <= 200),
  token_count INTEGER NOT NULL
) ${strict};
CREATE UNIQUE INDEX chunks_doc_ordinal ON chunks (doc_id, ordinal);

CREATE TABLE embedding_records (
  embedding_id ${key} NOT NULL PRIMARY KEY CHECK (length(embedding_id) <= 64),
  chunk_id ${key} NOT NULL REFERENCES chunks (chunk_id),
  vector_store ${key} NOT NULL CHECK (length(vector_store) <= 200),
  vector_point_id ${key} NOT NULL CHECK (length(vector_point_id) <= 200),
  embedding_model ${key} NOT NULL CHECK (length(embedding_model) <= 200),
  created_at ${long} NOT NULL
) ${strict};
CREATE INDEX embedding_records_chunk ON embedding_records (chunk_id);

CREATE TABLE ingestion_jobs (
  job_id ${key} NOT NULL PRIMARY KEY CHECK (length(job_id) <= 64),
  workspace_id ${key} NOT NULL REFERENCES workspaces (workspace_id),
  repo_id ${key} NOT NULL REFERENCES repos (repo_id),
  kind TEXT NOT NULL CHECK (kind IN ('full', 'incremental')),
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
  stats_json TEXT NOT NULL CHECK (length(stats_json) <= 1048576),
  error TEXT CHECK (length(error) <= 4096),
  created_at ${long} NOT NULL,
  updated_at ${long} NOT NULL,
  started_at ${long},
  finished_at ${long}
) ${strict};
CREATE INDEX ingestion_jobs_repo_status_updated ON ingestion_jobs (repo_id, status, updated_at);
