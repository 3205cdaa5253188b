"""What there is, as the model holds it: rows with the fields of their messages, and some of the model's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SECOND = 1_000_000
ENDED = ("completed", "failed", "cancelled", "rejected")
APPROVAL_OF = {"approve_tool_call": "tool_call", "approve_spend": "spend", "approve_publish": "publish"}
"""The kind of approval that an interrupt of this kind carries."""
BUDGET = {
    "max_total_tokens": ("tokens", 1),
    "max_tool_calls": ("tool_calls", 1),
    "max_cost_micros": ("cost_micros", 1),
    "max_wall_seconds": ("wall_micros", SECOND),
}
"""What each limit is held against, and how many of its units one of the limit's is."""
Json = dict[str, Any]


@dataclass(eq=False)
class Workspace:
    workspace_id: str
    name: str
    settings_json: str
    created_at: int
    version: int = 1


@dataclass(eq=False)
class Repo:
    repo_id: str
    workspace: Workspace
    full_name: str
    default_branch: str
    added_at: int
    status: str = "active"
    last_sync_at: int | None = None
    version: int = 1

    @property
    def workspace_id(self) -> str:
        return self.workspace.workspace_id


@dataclass(eq=False)
class Run:
    run_id: str
    workspace: Workspace
    repo: Repo | None
    goal: str
    graph_id: str
    thread_id: str
    agent_run_spec_json: str
    created_by: str
    created_at: int
    updated_at: int
    max_attempts: int
    lease_seconds: int
    budget: dict[str, int]
    status: str = "proposed"
    attempt: int = 1
    next_attempt_at: int | None = None
    lease_owner: str = ""
    lease_token: str = ""
    lease_expires_at: int | None = None
    cancel_requested_at: int | None = None
    status_reason: Any = ""
    version: int = 1
    tokens_used: int = 0
    tool_calls_used: int = 0
    cost_micros_used: int = 0
    wall_micros_used: int = 0
    was_started: bool = False
    running_since: int = 0
    over_budget_since: int | None = None
    """How long it had been running when it was found over its budget, or when a person last decided about that."""
    not_renewed: bool = False
    """Its worker was told that it is over its budget for too long."""

    @property
    def workspace_id(self) -> str:
        return self.workspace.workspace_id

    @property
    def repo_id(self) -> str:
        return self.repo.repo_id if self.repo else ""

    @property
    def budget_json(self) -> Any:
        return self.budget or ""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def left(self, wall_micros: int | None = None) -> dict[str, int]:
        """What is left of each limit, less than nothing where more was used."""
        used = {name: getattr(self, f"{name}_used") for name, _ in BUDGET.values()}
        if wall_micros is not None:
            used["wall_micros"] = wall_micros
        limits = [(*BUDGET[limit], most) for limit, most in self.budget.items()]
        return {name: most * unit - used[name] for name, unit, most in limits}

    @property
    def over_budget(self) -> bool:
        return any(left < 0 for left in self.left().values())

    @property
    def budget_use(self) -> Json:
        """As RenewLease and RecordUsage answer it."""
        left = self.left()
        use: Json = {"exhausted": any(one <= 0 for one in left.values()), "over_budget": self.over_budget}
        for name, _ in BUDGET.values():
            use[f"{name}_used"] = getattr(self, f"{name}_used")
            use[f"{name}_left"] = max(0, left[name]) if name in left else None
        return use


@dataclass(eq=False)
class Changeset:
    changeset_id: str
    run: Run
    bundle_json: str
    created_at: int
    updated_at: int
    status: str = "proposed"
    applied_commit_sha: str = ""
    version: int = 1

    workspace_id = property(lambda self: self.run.workspace_id)
    run_id = property(lambda self: self.run.run_id)
    repo_id = property(lambda self: self.run.repo_id)


@dataclass(eq=False)
class Approval:
    approval_id: str
    run: Run
    kind: str
    risk: str
    payload_json: Json
    payload_hash: str
    created_at: int
    subject: Changeset | Interrupt | None = None
    status: str = "pending"
    resolved_at: int | None = None
    actor: str = ""
    notes: str = ""
    closed_by: str = ""

    workspace_id = property(lambda self: self.run.workspace_id)
    run_id = property(lambda self: self.run.run_id)

    @property
    def subject_id(self) -> str:
        if isinstance(self.subject, Changeset):
            return self.subject.changeset_id
        return self.subject.interrupt_id if self.subject else ""

    @property
    def asked_for(self) -> bool:
        """Whether the run asked for it by RequestApproval."""
        return self.subject is None and self.kind != "run_start"

    @property
    def blocks(self) -> bool:
        return self.kind in APPROVAL_OF.values()


@dataclass(eq=False)
class Interrupt:
    interrupt_id: str
    run: Run
    thread_id: str
    node_id: str
    kind: str
    risk: str
    payload_json: Json
    payload_hash: str
    created_at: int
    external_id: str
    generation: int
    checkpoint_id: str
    guard: str
    approval: Approval | None = None
    status: str = "pending"
    decision: Any = None
    resolved_at: int | None = None
    actor: str = ""
    closed_by: str = ""
    delivered_at: int | None = None
    acknowledged_at: int | None = None

    workspace_id = property(lambda self: self.run.workspace_id)
    run_id = property(lambda self: self.run.run_id)

    @property
    def approval_id(self) -> str:
        return self.approval.approval_id if self.approval else ""

    @property
    def decision_json(self) -> Any:
        """One that the system made void is not shown."""
        return self.decision if self.closed_by == "decision" else ""

    @property
    def undelivered(self) -> bool:
        """Whether a person's decision waits for the graph to take it."""
        return self.closed_by == "decision" and self.acknowledged_at is None


@dataclass(eq=False)
class Artifact:
    artifact_id: str
    run: Run
    kind: str
    uri: str
    title: str
    hash: str
    size_bytes: int
    created_at: int
    content_type: str = "application/octet-stream"
    metadata_json: str = "{}"

    @property
    def place(self) -> str:
        return "in_data_directory" if self.uri.startswith("artifacts/") else "elsewhere"

    workspace_id = property(lambda self: self.run.workspace_id)
    run_id = property(lambda self: self.run.run_id)


@dataclass(frozen=True)
class Event:
    """One line of the record."""

    workspace_id: str
    transaction: int
    run_id: str
    type: str
    actor: str
