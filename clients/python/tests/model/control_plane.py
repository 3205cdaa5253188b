"""What the control plane promises, as a small program without server, database, threads or network.

Written from the specification, the design and the contract in `proto/`: where it and the server differ, one of them is
wrong. `ControlPlane.call` is one call: it changes the state as a whole, or raises `Refused` and changes nothing.
Enums are the specification's words, times are microseconds, and `now` is whatever the test sets it to. What the server
makes up (ids, lease tokens, hashes) has names of the model's own here, such as `@run.3@`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .rows import (
    APPROVAL_OF, BUDGET, SECOND, Approval, Artifact, Changeset, Event, Interrupt, Json, Repo, Run, Workspace,
)  # fmt: skip

LONGEST_BACK_OFF = 60
MOST = 2**63 - 1
RISKS = ("low", "medium", "high")
RISK_OF = {
    "run_start": "low",
    "tool_call": "medium",
    "spend": "medium",
    "publish": "high",
    "changeset_apply": "medium",
    "question": "low",
}
SERVERS_EVENTS = ("access.", "approval.", "artifact.", "audit.", "changeset.", "checkpoint.", "interrupt.", "repo.",
                  "retrieval.", "run.", "server.", "workspace.")  # fmt: skip
ROLES = ("reader", "worker", "operator")
"""Each may do all that those before it may."""
ROLE_FOR = {
    "CreateWorkspace": "operator", "UpdateWorkspace": "operator", "RegisterRepo": "operator", "UpdateRepo": "operator",
    "CreateRun": "worker", "CancelRun": "operator", "RetryRun": "operator", "ClaimRuns": "worker",
    "StartRun": "worker", "RenewLease": "worker", "RecordUsage": "worker", "PauseRun": "worker",
    "ReleaseRun": "worker", "CompleteRun": "worker", "FailRun": "worker", "RequestApproval": "worker",
    "ResolveApproval": "operator", "RaiseInterrupts": "worker", "ResolveInterrupt": "operator",
    "AcknowledgeDecisions": "worker", "UploadArtifact": "worker", "RegisterArtifact": "worker",
    "ProposeChangeset": "worker", "MarkChangesetApplied": "worker", "AppendEvents": "worker",
}  # fmt: skip
"""The least role that may make each call."""
SYSTEM = "system"


class _Anything:
    """Equals whatever it is compared with: a sentence of the server's own."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANYTHING: Any = _Anything()
REPEATED: Any = object()
"""What a repeated call is answered with: exactly what it was answered with before."""


class Refused(Exception):
    """The call is refused for this reason, with this metadata, and has changed nothing."""

    def __init__(self, reason: str, **metadata: str) -> None:
        super().__init__(reason, metadata)
        self.reason = reason
        self.metadata = metadata


@dataclass(frozen=True)
class Caller:
    """Whose token a call shows, and which worker it says it is."""

    role: str
    worker_id: str = ""

    @property
    def actor(self) -> str:
        """How the record names them."""
        if self.role == "operator":
            return "local_user"
        return f"worker:{self.worker_id}" if self.worker_id else self.role


T = TypeVar("T")


@dataclass
class ControlPlane:
    """Everything there is, oldest first, and what each call does to it."""

    now: int
    workspaces: list[Workspace] = field(default_factory=list)
    repos: list[Repo] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    interrupts: list[Interrupt] = field(default_factory=list)
    changesets: list[Changeset] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    _rows: dict[str, Any] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _answered: dict[tuple[str, str], tuple[Any, Any]] = field(default_factory=dict)
    _transaction: int = 0
    _actor: str = ""

    def call(self, caller: Caller, method: str, request_id: str, request: Json) -> Any:
        """Makes a call, and answers what it is answered with: rows, lists and values under the response's names."""
        if ROLES.index(caller.role) < ROLES.index(ROLE_FOR[method]):
            raise Refused("ROLE_NOT_ALLOWED", role=caller.role, required=ROLE_FOR[method])
        # A lease token is the caller's credential: another lease may repeat a request.
        asked = (method, {name: value for name, value in request.items() if name != "lease_token"})
        known = self._answered.get((caller.role, request_id))
        if known:
            if known[0] != asked:
                raise Refused("REQUEST_ID_REUSED")
            return self._claimed_still(known[1]) if method == "ClaimRuns" else REPEATED
        self._transaction += 1
        self._actor = caller.actor
        answer = getattr(self, re.sub("([A-Z])", r"_\1", method).lower())(**request)
        if method != "ClaimRuns" or answer["claimed_runs"]:  # A claim that found nothing is not remembered.
            self._answered[caller.role, request_id] = (asked, answer)
        return answer

    # Time.

    def lapsed(self) -> list[Run]:
        """The runs whose leases have ended."""
        return [run for run in self.runs if run.lease_expires_at is not None and run.lease_expires_at <= self.now]

    def return_lapsed(self) -> None:
        """What the server does by itself, before anybody can claim: takes runs back from workers that were silent."""
        for run in self.lapsed():
            self._transaction += 1
            self._actor = SYSTEM
            self._record("run.lease_expired", run)
            if self._ends_with_lease(run, lapsed=True):
                continue
            if run.status == "running":
                self._retry_or_fail(run, ANYTHING)
            elif run.status == "approved":  # It never started, so no attempt was lost.
                self._change(run, **WITHOUT_LEASE, next_attempt_at=self.now)
            else:
                self._change(run, **WITHOUT_LEASE)

    # Workspaces and repos.

    def _create_workspace(self, name: str, settings_json: str = "{}") -> Json:
        self._require_free_name(name)
        workspace = self._add(self.workspaces, Workspace(self._name("ws"), name, settings_json, self.now))
        self._record("workspace.created", workspace=workspace)
        return {"workspace": workspace}

    def _update_workspace(self, workspace_id: str, version: int, name: str = "", settings_json: str = "") -> Json:
        workspace = self._find(Workspace, workspace_id)
        self._require_version(workspace_id, workspace.version, version)
        name, settings_json = name or workspace.name, settings_json or workspace.settings_json
        if (name, settings_json) != (workspace.name, workspace.settings_json):
            if name != workspace.name:
                self._require_free_name(name)
            workspace.name, workspace.settings_json = name, settings_json
            workspace.version += 1
            self._record("workspace.updated", workspace=workspace)
        return {"workspace": workspace}

    def _require_free_name(self, name: str) -> None:
        for other in self.workspaces:
            if other.name == name:
                raise Refused("ALREADY_EXISTS", id=other.workspace_id)

    def _register_repo(self, workspace_id: str, full_name: str, default_branch: str = "main") -> Json:
        workspace = self._find(Workspace, workspace_id)
        for other in self.repos:
            if other.workspace is workspace and other.full_name.lower() == full_name.lower():
                raise Refused("ALREADY_EXISTS", id=other.repo_id)
        repo = self._add(self.repos, Repo(self._name("repo"), workspace, full_name, default_branch, self.now))
        self._record("repo.registered", workspace=workspace)
        return {"repo": repo}

    def _update_repo(self, repo_id: str, version: int, default_branch: str = "", status: str = "") -> Json:
        repo = self._find(Repo, repo_id)
        self._require_version(repo_id, repo.version, version)
        default_branch, status = default_branch or repo.default_branch, status or repo.status
        if (default_branch, status) != (repo.default_branch, repo.status):
            repo.default_branch, repo.status = default_branch, status
            repo.version += 1
            self._record("repo.updated", workspace=repo.workspace)
        return {"repo": repo}

    # What the operator does with runs.

    def _create_run(
        self,
        workspace_id: str,
        goal: str,
        graph_id: str,
        repo_id: str = "",
        thread_id: str = "",
        agent_run_spec_json: str = "{}",
    ) -> Json:
        workspace = self._find(Workspace, workspace_id)
        repo = self._find(Repo, repo_id) if repo_id else None
        if repo and repo.workspace is not workspace:
            raise Refused("NOT_FOUND", id=repo_id)
        if repo and repo.status != "active":
            raise Refused("WRONG_STATE", id=repo_id, state=repo.status, allowed="active")
        spec = json.loads(agent_run_spec_json)
        execution = spec.get("execution", {})
        budget = execution.get("budget", json.loads(workspace.settings_json).get("budget", {}))
        run = Run(
            self._name("run"), workspace, repo, goal, graph_id, thread_id, agent_run_spec_json, self._actor,
            created_at=self.now, updated_at=self.now, max_attempts=execution.get("max_attempts", 3),
            lease_seconds=execution.get("lease_seconds", 60), budget=dict(budget),
        )  # fmt: skip
        self._add(self.runs, run)
        self._record("run.created", run)
        shown = {"goal": goal, "graph_id": graph_id, "repo": repo.full_name if repo else None, "spec": spec}
        if not repo:
            del shown["repo"]
        return {"run": run, "approval": self._request(run, "run_start", shown)}

    def _cancel_run(self, run_id: str, reason: str = "") -> Json:
        run = self._find(Run, run_id)
        if run.status == "cancelled" or (run.cancel_requested_at is not None and not run.ended):
            return {"run": run}
        self._require(run, "proposed", "approved", "running", "blocked")
        if run.lease_token:
            self._change(run, cancel_requested_at=self.now, status_reason=reason)
            self._record("run.cancel_requested", run)
        else:
            self._end(run, "cancelled", reason)
        return {"run": run}

    def _retry_run(self, run_id: str, version: int = 0) -> Json:
        run = self._find(Run, run_id)
        self._require_version(run_id, run.version, version or run.version)
        self._require(run, "failed")
        self._require_free_thread(run, run.thread_id)
        attempt = run.attempt + 1
        self._change(
            run, status="approved", attempt=attempt, max_attempts=max(attempt, run.max_attempts),
            next_attempt_at=self.now, cancel_requested_at=None,
        )  # fmt: skip
        self._record("run.retried", run)
        for interrupt in self.interrupts:
            if interrupt.run is run and interrupt.undelivered:
                self._record("interrupt.due_again", run)
        self._spending_decided(run, [])
        return {"run": run}

    # What workers do with runs.

    def _claim_runs(self, worker_id: str, graph_ids: Sequence[str], max_runs: int = 1, workspace_id: str = "") -> Json:
        if workspace_id:
            self._find(Workspace, workspace_id)
        due = [
            run
            for run in self.runs
            if run.status == "approved" and not run.lease_token and (run.next_attempt_at or 0) <= self.now
            and run.graph_id in graph_ids and workspace_id in ("", run.workspace_id)
        ]  # fmt: skip
        if self._actor != "local_user":
            self._actor = f"worker:{worker_id}"
        claimed = sorted(due, key=lambda run: run.next_attempt_at or 0)[: max_runs or 1]
        for run in claimed:
            expires_at = self.now + run.lease_seconds * SECOND
            self._change(run, lease_owner=worker_id, lease_token=self._name("lease"), lease_expires_at=expires_at)
            self._record("run.claimed", run)
        terms = [run.lease_seconds * SECOND for run in claimed]
        leases = [{"run": run, "lease_token": run.lease_token} for run in claimed]
        return {"claimed_runs": [{**lease, "lease_duration": term} for lease, term in zip(leases, terms, strict=True)]}

    @staticmethod
    def _claimed_still(first: Json) -> Json:
        """A claim that is repeated answers those of its runs whose lease is still current, as they are now."""
        return {"claimed_runs": [one for one in first["claimed_runs"] if one["run"].lease_token == one["lease_token"]]}

    def _start_run(self, run_id: str, lease_token: str, thread_id: str) -> Json:
        run = self._held(run_id, lease_token)
        if run.thread_id not in ("", thread_id):
            raise Refused("INVALID_FIELDS")
        if run.status != "running":
            self._require(run, "approved")
            self._require_free_thread(run, thread_id)
            self._change(run, status="running", thread_id=thread_id, was_started=True)
            self._record("run.started", run)
        return {"run": run}

    def _renew_lease(self, run_id: str, lease_token: str) -> Json:
        run = self._held(run_id, lease_token)
        wall = self._wall(run)
        if self._time_is_up(run, wall) and not self._asks_to_spend(run):
            run.not_renewed = True
            over = {name for name, left in run.left(wall).items() if left < 0}
            exceeded = ",".join(limit for limit, (name, _) in BUDGET.items() if name in over)
            raise Refused("BUDGET_EXCEEDED", id=run_id, exceeded=exceeded)
        self._count_running(run)
        run.lease_expires_at = self.now + run.lease_seconds * SECOND
        run.not_renewed = False
        return {
            "lease_expires_at": run.lease_expires_at,
            "status": run.status,
            "cancel_requested": run.cancel_requested_at is not None,
            "budget": run.budget_use,
        }

    def _record_usage(
        self, run_id: str, lease_token: str, tokens: int = 0, tool_calls: int = 0, cost_micros: int = 0
    ) -> Json:
        run = self._held(run_id, lease_token)
        self._require(run, "running", "blocked")
        run.tokens_used = min(MOST, run.tokens_used + tokens)
        run.tool_calls_used = min(MOST, run.tool_calls_used + tool_calls)
        run.cost_micros_used = min(MOST, run.cost_micros_used + cost_micros)
        if tokens or tool_calls or cost_micros:
            self._record("run.usage_recorded", run)
        self._count_running(run)
        return {"budget": run.budget_use}

    def _pause_run(self, run_id: str, lease_token: str, release_lease: bool = False) -> Json:
        run = self._held(run_id, lease_token)
        self._require(run, "running", "blocked")
        waits = self._waits(run)
        if not release_lease:
            if waits and run.status == "running":
                self._change(run, status="blocked")
                self._record("run.blocked", run)
        elif run.cancel_requested_at is not None or not waits:
            if not self._ends_with_lease(run):
                self._change(run, status="approved", **WITHOUT_LEASE, next_attempt_at=self.now)
                self._record("run.released", run)
        else:  # One that waits for a person spends nothing meanwhile.
            self._change(run, status="blocked", **WITHOUT_LEASE)
            self._record("run.blocked", run)
        return {"run": run}

    def _release_run(self, run_id: str, lease_token: str, reason: str = "") -> Json:
        run = self._held(run_id, lease_token)
        if not self._ends_with_lease(run):
            due = {} if run.status == "blocked" else {"status": "approved", "next_attempt_at": self.now}
            self._change(run, **WITHOUT_LEASE, **due, status_reason=reason)
            self._record("run.released", run)
        return {"run": run}

    def _complete_run(self, run_id: str, lease_token: str, summary: str = "") -> Json:
        run = self._held(run_id, lease_token)
        self._require(run, "running")
        self._end(run, "completed", summary)
        return {"run": run}

    def _fail_run(self, run_id: str, lease_token: str, reason: str, retryable: bool = False) -> Json:
        run = self._held(run_id, lease_token)
        self._require(run, "running", "blocked")
        if not retryable:
            self._end(run, "failed", reason)
        elif not self._ends_with_lease(run):
            self._retry_or_fail(run, reason)
        return {"run": run}

    def _held(self, run_id: str, lease_token: str) -> Run:
        """The run, if this is its current lease. Whoever shows the token acts for the worker that got it."""
        run = self._find(Run, run_id)
        current = run.lease_expires_at is not None and run.lease_expires_at > self.now
        if not current or run.lease_token != lease_token:
            raise Refused("LEASE_LOST", id=run_id)
        if self._actor != "local_user":
            self._actor = f"worker:{run.lease_owner}"
        return run

    def _open(self, run_id: str, lease_token: str) -> Run:
        """The run, if this caller may add to what it produces: while it has not ended a worker needs its lease."""
        run = self._find(Run, run_id)
        if lease_token or not (run.ended or self._actor == "local_user"):
            self._held(run_id, lease_token)
        return run

    def _require(self, run: Run, *allowed: str) -> None:
        if run.status not in allowed:
            raise Refused("WRONG_STATE", id=run.run_id, state=run.status, allowed=",".join(allowed))

    def _require_version(self, row_id: str, version: int, seen: int) -> None:
        if seen != version:
            raise Refused("STALE_VERSION", id=row_id, version=str(version))

    def _require_free_thread(self, run: Run | None, thread_id: str) -> None:
        for other in self.runs:
            if other is not run and other.thread_id == thread_id and other.was_started and not other.ended:
                raise Refused("THREAD_IN_USE", thread_id=thread_id, run_id=other.run_id)

    def _change(self, run: Run, **changes: Any) -> None:
        """A change of state. A run that was running has run until now."""
        was = run.status
        run.wall_micros_used, run.running_since = self._wall(run), self.now
        for name, value in changes.items():
            setattr(run, name, value)
        if was != "running":
            run.running_since = self.now
        if not run.lease_token:
            run.not_renewed = False
        run.version += 1
        run.updated_at = self.now

    def _retry_or_fail(self, run: Run, reason: Any) -> None:
        if run.attempt >= run.max_attempts:
            self._end(run, "failed", reason)
            return
        due = self.now + min(LONGEST_BACK_OFF, 2 ** (run.attempt - 1)) * SECOND
        self._change(
            run, status="approved", attempt=run.attempt + 1, next_attempt_at=due, status_reason=reason, **WITHOUT_LEASE
        )
        self._record("run.retry_scheduled", run)

    def _end(self, run: Run, status: str, reason: Any) -> None:
        self._change(run, status=status, status_reason=reason, **WITHOUT_LEASE)
        self._record(f"run.{status}", run)
        for interrupt in self.interrupts:
            if interrupt.run is run and interrupt.status == "pending":
                self._close(interrupt, "run_ended")
        for approval in self.approvals:
            if approval.run is run and approval.status == "pending" and approval.kind != "changeset_apply":
                self._close(approval, "run_ended")

    # Budgets.

    def _wall(self, run: Run) -> int:
        """How long it has been running: until now, or until its lease ended."""
        if run.status != "running":
            return run.wall_micros_used
        return run.wall_micros_used + max(0, min(self.now, run.lease_expires_at or 0) - run.running_since)

    def _count_running(self, run: Run) -> None:
        run.wall_micros_used, run.running_since = self._wall(run), self.now
        if run.over_budget_since is None and run.over_budget:
            run.over_budget_since = run.wall_micros_used
            self._record("run.budget_exceeded", run)

    @staticmethod
    def _time_is_up(run: Run, wall: int) -> bool:
        """Whether it has been running over its budget for a whole term of its lease."""
        since = run.over_budget_since
        return run.status == "running" and since is not None and wall - since >= run.lease_seconds * SECOND

    def _ends_with_lease(self, run: Run, lapsed: bool = False) -> bool:
        """Ends a run that loses its lease, if it is not to be claimed again."""
        # Of a worker that was silent it is not known that it went on.
        up = self._time_is_up(run, run.wall_micros_used if lapsed else self._wall(run))
        told = lapsed and run.not_renewed and run.status == "running"
        if run.cancel_requested_at is not None:
            self._end(run, "cancelled", run.status_reason)
        elif (up or told) and not self._asks_to_spend(run):
            self._end(run, "failed", ANYTHING)
        return run.ended

    def _asks_to_spend(self, run: Run) -> bool:
        return any(one.run is run and one.kind == "spend" and one.status == "pending" for one in self.approvals)

    def _spending_decided(self, run: Run, granted: Iterable[dict[str, int]]) -> None:
        """Whatever a person said, the run has a whole term of its lease from here on."""
        before = run.budget
        for budget in granted:
            run.budget = {limit: max(most, budget.get(limit, 0)) for limit, most in run.budget.items()}
        if run.budget != before:
            run.version += 1
            run.updated_at = self.now
            self._record("run.budget_extended", run)
        if run.budget != before or run.over_budget_since is not None:
            run.wall_micros_used, run.running_since = self._wall(run), self.now
            run.over_budget_since = run.wall_micros_used if run.over_budget else None
        run.not_renewed = False

    # Approvals.

    def _request_approval(self, run_id: str, lease_token: str, kind: str, payload_json: str, risk: str = "") -> Json:
        payload = json.loads(payload_json)
        if "title" not in payload or (kind == "spend" and not is_budget(payload.get("budget"))):
            raise Refused("INVALID_FIELDS")
        run = self._held(run_id, lease_token)
        self._require(run, "running", "blocked")
        for approval in self.approvals:
            standing = approval.run is run and approval.asked_for and approval.status == "pending"
            if standing and (approval.kind, approval.payload_hash) == (kind, self._hash(payload_json)):
                return {"approval": approval}
        return {"approval": self._request(run, kind, payload, self._hash(payload_json), risk)}

    def _request(
        self, run: Run, kind: str, shown: Json, payload_hash: str = "", risk: str = "",
        subject: Changeset | Interrupt | None = None,
    ) -> Approval:  # fmt: skip
        risk = max(RISK_OF[kind], risk or "low", key=RISKS.index)
        payload_hash = payload_hash or self._hash(json.dumps(shown))
        approval = Approval(self._name("appr"), run, kind, risk, shown, payload_hash, self.now, subject)
        self._record("approval.requested", run)
        return self._add(self.approvals, approval)

    def _resolve_approval(self, approval_id: str, status: str, payload_hash: str, notes: str = "") -> Json:
        approval = self._find(Approval, approval_id)
        if payload_hash != approval.payload_hash:
            raise Refused("STALE_DECISION", id=approval_id)
        subject, run = approval.subject, approval.run
        decision: Json = {}
        if isinstance(subject, Interrupt):
            kind = "approve" if status == "approved" else "reject"
            actions = subject.payload_json["actions"]
            decision = {"decisions": [{"action_id": one["id"], "type": kind} for one in actions]}
        if approval.status != "pending":
            self._require_same(approval, approval_id, approval.status == status)
            if isinstance(subject, Interrupt) and not same(subject.decision, decision):
                raise Refused("ALREADY_DECIDED", id=subject.interrupt_id, state=subject.status, actor=subject.actor)
            return {"approval": approval}
        if isinstance(subject, Interrupt):
            self._require_answer(subject, decision)
        self._settle(approval, status, notes)
        if approval.kind == "run_start":
            if status == "approved":
                self._change(run, status="approved", next_attempt_at=self.now)
                self._record("run.approved", run)
            else:
                self._end(run, "rejected", "")
        elif isinstance(subject, Changeset):
            self._move(subject, status)
        elif isinstance(subject, Interrupt):
            self._decide(subject, decision)
        elif approval.kind == "spend":
            asked = approval.payload_json.get("budget")
            self._spending_decided(run, [asked] if asked and status == "approved" else [])
        self._go_on(run)
        return {"approval": approval}

    def _settle(self, approval: Approval, status: str, notes: str) -> None:
        approval.status, approval.closed_by = status, "decision"
        approval.resolved_at, approval.actor, approval.notes = self.now, self._actor, notes
        self._record("approval.resolved", approval.run)

    def _close(self, row: Approval | Interrupt, closed_by: str) -> None:
        """What the system closes counts as a no, and is never taken for an answer."""
        row.status, row.closed_by, row.actor, row.resolved_at = "rejected", closed_by, SYSTEM, self.now
        if isinstance(row, Interrupt):
            self._record("interrupt.closed", row.run)
            if row.approval and row.approval.status == "pending":
                self._close(row.approval, closed_by)
        else:
            self._record("approval.closed", row.run)

    @staticmethod
    def _require_same(row: Approval | Interrupt, row_id: str, is_same: bool) -> None:
        """Refuses a decision about what was ended before, unless it is the one that ended it."""
        if row.closed_by != "decision":
            raise Refused("QUESTION_CLOSED", id=row_id, closed_by=row.closed_by)
        if not is_same:
            raise Refused("ALREADY_DECIDED", id=row_id, state=row.status, actor=row.actor)

    # Interrupts.

    def _raise_interrupts(self, run_id: str, lease_token: str, thread_id: str, questions: Sequence[Json]) -> Json:
        run = self._held(run_id, lease_token)
        self._require(run, "running", "blocked")
        if thread_id != run.thread_id:
            raise Refused("INVALID_FIELDS")
        named = [question["external_id"] for question in questions]
        newest = {one.external_id: one for one in self.interrupts if one.run is run}
        for interrupt in newest.values():
            if interrupt.status == "pending" and interrupt.external_id not in named:
                self._close(interrupt, "superseded")
        standing = [self._raise(run, question, newest.get(question["external_id"])) for question in questions]
        self._go_on(run)
        return {"interrupts": standing}

    def _raise(self, run: Run, question: Json, known: Interrupt | None) -> Interrupt:
        payload_hash = self._hash(question["payload_json"])
        if known and (known.status == "pending" or known.undelivered):
            if known.payload_hash == payload_hash:
                return known
            self._close(known, "superseded")
        kind, payload = question["kind"], json.loads(question["payload_json"])
        risk = max(RISK_OF[APPROVAL_OF.get(kind, kind)], question.get("risk") or "low", key=RISKS.index)
        interrupt = Interrupt(
            self._name("intr"), run, run.thread_id, question.get("node_id", ""), kind, risk, payload, payload_hash,
            self.now, question["external_id"], known.generation + 1 if known else 1, question.get("checkpoint_id", ""),
            question.get("guard", ""),
        )  # fmt: skip
        self._add(self.interrupts, interrupt)
        self._record("interrupt.raised", run)
        if kind in APPROVAL_OF:
            shown = {"interrupt_id": interrupt.interrupt_id, "title": payload["title"]}
            interrupt.approval = self._request(run, APPROVAL_OF[kind], shown, payload_hash, risk, interrupt)
        return interrupt

    def _resolve_interrupt(self, decisions: Sequence[Json]) -> Json:
        results: list[Any] = []
        for one in decisions:
            try:
                results.append(self._resolve(**one))
            except Refused as refused:
                if len(decisions) == 1:
                    raise
                results.append(refused)
        return {"results": results}

    def _resolve(self, interrupt_id: str, payload_hash: str, decision_json: str, notes: str) -> Interrupt:
        interrupt, decision = self._find(Interrupt, interrupt_id), json.loads(decision_json)
        if payload_hash != interrupt.payload_hash:
            raise Refused("STALE_DECISION", id=interrupt_id)
        if interrupt.status != "pending":
            self._require_same(interrupt, interrupt_id, same(interrupt.decision, decision))
            return interrupt
        self._require_answer(interrupt, decision)
        if interrupt.approval:
            carried_out = any(one["type"] in ("approve", "edit") for one in decision["decisions"])
            self._settle(interrupt.approval, "approved" if carried_out else "rejected", notes)
        self._decide(interrupt, decision)
        self._go_on(interrupt.run)
        return interrupt

    @staticmethod
    def _require_answer(interrupt: Interrupt, decision: Json) -> None:
        budgets = granted(interrupt, decision, edited_only=True)
        now = interrupt.run.budget
        extends = all(most >= now.get(limit, MOST + 1) for budget in budgets for limit, most in budget.items())
        if not answers(interrupt, decision) or not extends:
            raise Refused("INVALID_DECISION")

    def _decide(self, interrupt: Interrupt, decision: Json) -> None:
        types = {one["type"] for one in decision.get("decisions", [])}
        interrupt.status = {("approve",): "approved", ("reject",): "rejected"}.get(tuple(types), "edited")
        interrupt.decision, interrupt.closed_by = decision, "decision"
        interrupt.resolved_at, interrupt.actor = self.now, self._actor
        self._record("interrupt.resolved", interrupt.run)
        if interrupt.kind == "approve_spend":
            self._spending_decided(interrupt.run, granted(interrupt, decision))

    def _acknowledge_decisions(self, run_id: str, lease_token: str, interrupt_ids: Sequence[str]) -> Json:
        run = self._held(run_id, lease_token)
        named = []
        for interrupt_id in interrupt_ids:
            interrupt = self._find(Interrupt, interrupt_id)
            named.append(interrupt)
            if interrupt.run is not run:
                raise Refused("NOT_FOUND", id=interrupt.interrupt_id)
            if interrupt.closed_by != "decision":
                raise Refused("WRONG_STATE", id=interrupt.interrupt_id)
        for interrupt in named:
            if interrupt.acknowledged_at is None:
                interrupt.acknowledged_at = interrupt.delivered_at = self.now
                self._record("interrupt.acknowledged", run)
        return {"interrupts": named}

    def _waits(self, run: Run) -> bool:
        """Whether the run waits for a person; a changeset's approval does not hold it up."""
        asked = [one for one in self.approvals if one.blocks]
        return any(one.run is run and one.status == "pending" for one in [*self.interrupts, *asked])

    def _go_on(self, run: Run) -> None:
        """When the last of what a blocked run waits for is decided, it goes on."""
        if run.status == "blocked" and not self._waits(run):
            if run.lease_token:
                self._change(run, status="running")
            else:
                self._change(run, status="approved", next_attempt_at=self.now)
            self._record("run.resumed", run)

    def decisions_to_deliver(self) -> list[Interrupt]:
        """What WatchDecisions begins with: decided by a person, not yet taken, and the run has not ended."""
        return [one for one in self.interrupts if one.undelivered and not one.run.ended]

    def approvals_to_deliver(self) -> list[Approval]:
        """And whatever was asked for mid-run and decided, while the run lasts."""
        return [one for one in self.approvals if one.asked_for and one.closed_by == "decision" and not one.run.ended]

    # What runs produce.

    def _upload_artifact(
        self,
        run_id: str,
        lease_token: str,
        kind: str,
        name: str,
        content: bytes,
        hash: str,  # noqa: A002
    ) -> Json:
        run = self._open(run_id, lease_token)
        first = free = f"artifacts/{run_id}/{name}"
        number = 1
        while known := self._at(run, free):
            if known.hash == hash:
                return {"artifact": known}
            number += 1
            free = f"{first}~{number}"
        self._record("artifact.stored", run)
        artifact = Artifact(self._name("art"), run, kind, free, name, hash, len(content), self.now)
        return {"artifact": self._add(self.artifacts, artifact)}

    def _register_artifact(
        self,
        run_id: str,
        lease_token: str,
        kind: str,
        uri: str,
        hash: str,
        size_bytes: int,  # noqa: A002
    ) -> Json:
        run = self._open(run_id, lease_token)
        known = self._at(run, uri)
        if known and (known.hash, known.size_bytes) != (hash, size_bytes):
            raise Refused("ALREADY_EXISTS", id=known.artifact_id)
        if known is None:
            title = uri.rpartition("/")[2]
            known = Artifact(self._name("art"), run, kind, uri, title, hash, size_bytes, self.now)
            self._add(self.artifacts, known)
            self._record("artifact.registered", run)
        return {"artifact": known}

    def _at(self, run: Run, uri: str) -> Artifact | None:
        return next((one for one in self.artifacts if one.run is run and one.uri == uri), None)

    def _propose_changeset(self, run_id: str, lease_token: str, bundle_json: str, risk: str = "") -> Json:
        run = self._held(run_id, lease_token)
        self._require(run, "running")
        if run.repo is None:
            raise Refused("WRONG_STATE", id=run_id)
        bundle = json.loads(bundle_json)
        seen = [one for one in self.artifacts if one.run is run and one.place == "in_data_directory"]
        patches = {one.artifact_id: one.hash for one in seen}
        if patches.get(bundle["patch_artifact_id"]) != bundle["patch_sha256"]:
            raise Refused("INVALID_FIELDS")
        changeset = self._add(self.changesets, Changeset(self._name("cs"), run, bundle_json, self.now, self.now))
        self._record("changeset.proposed", run)
        shown = {"changeset_id": changeset.changeset_id, "bundle": bundle}
        return {
            "changeset": changeset,
            "approval": self._request(run, "changeset_apply", shown, risk=risk, subject=changeset),
        }

    def _mark_changeset_applied(self, changeset_id: str, applied_commit_sha: str) -> Json:
        changeset = self._find(Changeset, changeset_id)
        if (changeset.status, changeset.applied_commit_sha) != ("applied", applied_commit_sha):
            if changeset.status != "approved":
                raise Refused("WRONG_STATE", id=changeset_id)
            changeset.applied_commit_sha = applied_commit_sha
            self._move(changeset, "applied")
        return {"changeset": changeset}

    def _move(self, changeset: Changeset, status: str) -> None:
        changeset.status, changeset.updated_at = status, self.now
        changeset.version += 1
        self._record(f"changeset.{status}", changeset.run)

    def _append_events(
        self,
        events: Sequence[Json],
        workspace_id: str = "",
        run_id: str = "",
        lease_token: str = "",
        thread_id: str = "",
    ) -> Json:
        if any(event["type"].startswith(SERVERS_EVENTS) for event in events):
            raise Refused("INVALID_FIELDS")
        run = None
        if run_id:
            run = self._find(Run, run_id)
            if workspace_id not in ("", run.workspace_id):
                raise Refused("NOT_FOUND", id=run_id)
            self._open(run_id, lease_token)
            if thread_id not in ("", run.thread_id):
                raise Refused("INVALID_FIELDS")
        workspace = run.workspace if run else self._find(Workspace, workspace_id)
        if thread_id and not run:
            self._require_free_thread(None, thread_id)
        appended = []
        for event in events:
            self._record(event["type"], run, workspace)
            seq = sum(1 for one in self.events if one.workspace_id == workspace.workspace_id)
            appended.append({"event_id": self._name("evt"), "seq": seq})
        return {"events": appended}

    # What waits, what is on the record, and what things are called.

    def inbox(self, workspace: Workspace) -> list[Interrupt | Approval]:
        """Pending interrupts, and pending approvals that belong to none: high risk first, then the oldest."""
        alone = [one for one in self.approvals if not isinstance(one.subject, Interrupt)]
        pending = [one for one in [*self.interrupts, *alone] if one.status == "pending"]
        waiting = [one for one in pending if one.run.workspace is workspace]
        return sorted(waiting, key=lambda one: (-RISKS.index(one.risk), one.created_at))

    def _record(self, event_type: str, run: Run | None = None, workspace: Workspace | None = None) -> None:
        home = run.workspace if run else workspace
        assert home
        run_id = run.run_id if run else ""
        self.events.append(Event(home.workspace_id, self._transaction, run_id, event_type, self._actor))

    def _name(self, kind: str) -> str:
        self._names[kind] = name = f"@{kind}.{int(self._names.get(kind, '@.0@').split('.')[1][:-1]) + 1}@"
        return name

    def _hash(self, payload: str) -> str:
        """Names a payload: the same for the same, and for nothing else."""
        key = f"hash of {payload}"
        if key not in self._names:
            self._names[key] = self._name("hash")
        return self._names[key]

    def _add(self, rows: list[T], row: T) -> T:
        rows.append(row)
        self._rows[next(iter(vars(row).values()))] = row
        return row

    def find(self, row_id: str) -> Any:
        """The row of this id, whatever it is; None if there is none."""
        return self._rows.get(row_id)

    def _find(self, kind: type[T], row_id: str) -> T:
        row = self._rows.get(row_id)
        if not isinstance(row, kind):
            raise Refused("NOT_FOUND", id=row_id)
        return row


WITHOUT_LEASE: Json = {"lease_owner": "", "lease_token": "", "lease_expires_at": None}


def is_budget(budget: Any) -> bool:
    """Whether a person may say yes to it; one that is not there is none to be wrong."""
    return budget is None or (bool(budget) and set(budget) <= set(BUDGET) and min(budget.values()) >= 1)


def answers(interrupt: Interrupt, decision: Json) -> bool:
    """Whether the question allows this decision."""
    payload = interrupt.payload_json
    if interrupt.kind == "question":
        text = payload.get("response_schema") != {"type": "string"} or isinstance(decision.get("answer"), str)
        return set(decision) == {"answer"} and text
    if set(decision) != {"decisions"}:
        return False
    actions = {action["id"]: action for action in payload["actions"]}
    if sorted(one["action_id"] for one in decision["decisions"]) != sorted(actions):
        return False
    return all(_allows(interrupt, actions[one["action_id"]], one) for one in decision["decisions"])


def _allows(interrupt: Interrupt, action: Json, decision: Json) -> bool:
    if decision["type"] not in action["allow"]:
        return False
    if decision["type"] != "edit":
        return "args" not in decision and (decision["type"] != "respond" or "message" in decision)
    args = decision["args"]
    budget = interrupt.kind != "approve_spend" or is_budget(args.get("budget"))
    return budget and all(name in args for name in action.get("args_schema", {}).get("required", []))


def granted(interrupt: Interrupt, decision: Json, edited_only: bool = False) -> list[dict[str, int]]:
    """The budgets that a decision about spending says yes to, as they were asked for or edited."""
    if interrupt.kind != "approve_spend" or not answers(interrupt, decision):
        return []
    asked = {action["id"]: action["args"] for action in interrupt.payload_json["actions"]}
    args = [
        one["args"] if one["type"] == "edit" else asked[one["action_id"]]
        for one in decision["decisions"]
        if one["type"] == "edit" or (one["type"] == "approve" and not edited_only)
    ]
    return [one["budget"] for one in args if "budget" in one]


def same(first: Any, second: Json) -> bool:
    """Whether two decisions say the same; each action is decided by itself, in whatever order."""

    def by_action(decision: Any) -> Any:
        listed = decision.get("decisions") if isinstance(decision, dict) else None
        return sorted(listed, key=lambda one: str(one["action_id"])) if listed else decision

    return bool(by_action(first) == by_action(second))
