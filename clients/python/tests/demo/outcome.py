"""What one run has left behind, looked at through the API, in git and on the disk: everything once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import eventually

import pmbot
from pmbot.demo.applier import branch_name
from pmbot.demo.scratch import clone_folder
from pmbot.demo.state import StateFolder
from pmbot.v1 import (
    approval_pb2,
    artifact_pb2,
    audit_pb2,
    changeset_pb2,
    interrupt_pb2,
    repo_pb2,
    run_pb2,
    server_pb2,
    workspace_pb2,
)

from .kit import Project, git

ONCE = {
    "run.created": 1,
    "run.approved": 1,
    "run.completed": 1,
    "approval.requested": 3,
    "approval.resolved": 3,
    "interrupt.raised": 1,
    "interrupt.resolved": 1,
    "interrupt.acknowledged": 1,
    "artifact.stored": 2,
    "changeset.proposed": 1,
    "changeset.approved": 1,
    "changeset.applied": 1,
}
"""How often each of these is on a run's record, whatever else is."""


@dataclass
class Outcome:
    """What was found in one or in many runs; `wrong` is everything that should not be, in words."""

    finished: int = 0
    asked_twice: int = 0
    artifacts_twice: int = 0
    commits_twice: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Takes another's findings in."""
        self.finished += other.finished
        self.asked_twice += other.asked_twice
        self.artifacts_twice += other.artifacts_twice
        self.commits_twice += other.commits_twice
        self.wrong += other.wrong

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        """Notes it when the two differ."""
        if found != wanted:
            self.wrong.append(f"{what}: {found!r} instead of {wanted!r}")


def examine(client: pmbot.Client, data: Path, project: Project, base: str) -> Outcome:
    """Looks at the one run of a repository's demo that has come to its end."""
    outcome = Outcome()
    incarnation = client.server.GetServerInfo(server_pb2.GetServerInfoRequest()).incarnation
    state = StateFolder(project.root, incarnation).load()
    assert state is not None
    outcome.expect("finished", state.finished, True)
    _one_of_each(client, state.workspace_id, state.run_id, outcome)
    _questions(client, state.run_id, outcome)
    _record(client, state.workspace_id, state.run_id, outcome)
    _artifacts(client, data, state.run_id, outcome)
    changesets = list(
        client.paged(
            client.changesets.ListChangesets,
            changeset_pb2.ListChangesetsRequest(filter=changeset_pb2.ChangesetFilter(run_id=state.run_id)),
        )
    )
    outcome.expect("changesets", [one.status for one in changesets], [changeset_pb2.CHANGESET_STATUS_APPLIED])
    if changesets:
        _commits(clone_folder(state.run_id), base, changesets[0], outcome)
    if not outcome.wrong:
        outcome.finished = 1
    return outcome


def _one_of_each(client: pmbot.Client, workspace_id: str, run_id: str, outcome: Outcome) -> None:
    name = client.workspaces.GetWorkspace(workspace_pb2.GetWorkspaceRequest(workspace_id=workspace_id)).workspace.name
    every = client.paged(client.workspaces.ListWorkspaces, workspace_pb2.ListWorkspacesRequest())
    outcome.expect("workspaces of that name", [one.name for one in every].count(name), 1)
    repos = list(client.paged(client.repos.ListRepos, repo_pb2.ListReposRequest(workspace_id=workspace_id)))
    outcome.expect("repos", len(repos), 1)
    runs = list(client.paged(client.runs.ListRuns, run_pb2.ListRunsRequest(workspace_id=workspace_id)))
    outcome.expect("runs", [(run.run_id, run.status) for run in runs], [(run_id, run_pb2.RUN_STATUS_COMPLETED)])


def _questions(client: pmbot.Client, run_id: str, outcome: Outcome) -> None:
    listed = interrupt_pb2.ListInterruptsRequest(filter=interrupt_pb2.InterruptFilter(run_id=run_id))
    interrupts = list(client.paged(client.interrupts.ListInterrupts, listed))
    outcome.expect(
        "interrupts",
        [(one.status, one.closed_by, one.generation, one.HasField("acknowledged_at")) for one in interrupts],
        [(interrupt_pb2.INTERRUPT_STATUS_APPROVED, approval_pb2.CLOSED_BY_DECISION, 1, True)],
    )
    request = approval_pb2.ListApprovalsRequest(filter=approval_pb2.ApprovalFilter(run_id=run_id))
    approvals = list(client.paged(client.approvals.ListApprovals, request))
    outcome.expect(
        "approvals",
        sorted((one.kind, one.status, one.closed_by) for one in approvals),
        sorted(
            (kind, approval_pb2.APPROVAL_STATUS_APPROVED, approval_pb2.CLOSED_BY_DECISION)
            for kind in (
                approval_pb2.APPROVAL_KIND_RUN_START,
                approval_pb2.APPROVAL_KIND_TOOL_CALL,
                approval_pb2.APPROVAL_KIND_CHANGESET_APPLY,
            )
        ),
    )
    kinds = Counter(one.kind for one in approvals)
    outcome.asked_twice += max(len(interrupts) - 1, sum(kinds.values()) - len(kinds))


def _record(client: pmbot.Client, workspace_id: str, run_id: str, outcome: Outcome) -> None:
    request = audit_pb2.ListEventsRequest(filter=audit_pb2.EventFilter(run_id=run_id))
    events = list(client.paged(client.audit.ListEvents, request))
    types = Counter(event.type for event in events)
    outcome.expect("events", {type: types[type] for type in ONCE}, ONCE)
    outcome.expect("superseded", types["interrupt.superseded"], 0)
    answered = Counter(
        json.loads(event.payload_json)["approval_id"] for event in events if event.type == "approval.resolved"
    )
    outcome.expect("answers to each approval", sorted(answered.values()), [1, 1, 1])
    verified = client.audit.VerifyChain(audit_pb2.VerifyChainRequest(workspace_id=workspace_id))
    outcome.expect("chain", (verified.valid, verified.fault.description), (True, ""))


def _artifacts(client: pmbot.Client, data: Path, run_id: str, outcome: Outcome) -> None:
    listed = artifact_pb2.ListArtifactsRequest(run_id=run_id)
    artifacts = list(client.paged(client.artifacts.ListArtifacts, listed))
    uris = [f"artifacts/{run_id}/{name}" for name in ("changes.patch", "demo.log")]
    outcome.expect("artifacts", sorted(one.uri for one in artifacts), uris)
    files = sorted(str(file.relative_to(data)) for file in (data / "artifacts" / run_id).rglob("*"))
    outcome.expect("files of artifacts", files, uris)
    outcome.artifacts_twice += max(len(artifacts), len(files)) - len(uris)
    for one in artifacts:
        content = (data / one.uri).read_bytes()
        outcome.expect(one.uri, (hashlib.sha256(content).hexdigest(), len(content)), (one.hash, one.size_bytes))
    # The server may be about to remove what a killed client had begun to send.
    eventually(lambda: not list((data / "artifacts" / ".incoming").iterdir()))


def _commits(clone: Path, base: str, changeset: changeset_pb2.Changeset, outcome: Outcome) -> None:
    heads = git(clone, "for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
    branch = f"refs/heads/{branch_name(changeset.changeset_id)}"
    outcome.expect("branches", heads, [f"{branch} {changeset.applied_commit_sha}"])
    objects = git(clone, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)").decode()
    commits = {name for kind, name in (line.split() for line in objects.splitlines()) if kind == "commit"}
    # Not only those that a branch reaches: a second commit that lost a race would be there as well.
    outcome.expect("commits", commits, {base, changeset.applied_commit_sha})
    outcome.commits_twice += max(len(commits) - 2, len(heads) - 1)
    outcome.expect("the branch's parent", git(clone, "rev-parse", f"{branch}^").decode().strip(), base)
    asides = [folder.name for folder in clone.parent.iterdir() if folder.name.startswith(f".{clone.name}.")]
    outcome.expect("unfinished clones", asides, [])
