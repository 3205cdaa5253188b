"""Random sequences of calls by an operator and several workers, on the server and on the model, side by side.

Each answer and each refusal is held against the model's, after each step what the server lists, and after each sequence
the record and its chain. The server's clocks stand still but for the test, so times are compared to the microsecond.

The same steps in every run, unless PMBOT_MODEL_SEED says otherwise. PMBOT_MODEL_STEPS says how many at least.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import pytest
from conftest import running_server
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pmbot.channel import open_channel

from .bench import Bench, Clock, Comparison, Lists
from .control_plane import MOST, RISKS, ROLE_FOR, Caller, ControlPlane, is_budget
from .rows import ENDED, SECOND, Approval, Interrupt, Json, Run

STEPS = int(os.environ.get("PMBOT_MODEL_STEPS", "10000"))
SEED = int(os.environ.get("PMBOT_MODEL_SEED", "1"))
STEPS_OF_A_SEQUENCE = 100
WHOLE_EACH = 25
"""After so many steps all is compared; after the others what concerns the run that the step was about."""
MILLISECONDS_OF_A_STEP = 100
"""As long as a step may take on a machine that is much too busy, shrinking left out."""

OPERATOR = Caller("operator")
READER = Caller("reader")
WORKERS = [Caller("worker", "w1"), Caller("worker", "w2"), Caller("worker", "w3")]
ZEROS = "0" * 32
SPECS = [
    "{}",
    '{"execution": {"lease_seconds": 8, "max_attempts": 2}}',
    '{"execution":{"lease_seconds":20,"max_attempts":1,"budget":{}},"input":{"n":1.10}}',
    '{"execution": {"lease_seconds": 8, "budget": {"max_total_tokens": 100, "max_wall_seconds": 12}}}',
    '{"execution": {"lease_seconds": 5, "budget": {"max_wall_seconds": 1}}}',
    '{"execution": {"lease_seconds": 15, "budget": {"max_tool_calls": 3, "max_cost_micros": 9000}}}',
]
SETTINGS = ["{}", '{"budget": {"max_total_tokens": 60}}', '{"polling_interval_seconds": 5, "mine": [1]}']
BUDGETS: list[Json | None] = [
    None, {"max_total_tokens": 10}, {"max_total_tokens": 500, "max_tool_calls": 9}, {"max_wall_seconds": 30},
    {"max_cost_micros": 1}, {"tokens": 5}, {},
]  # fmt: skip
"""What may be asked for and what an edit may say: more, less, what nothing limits, and what is no budget."""
USES = [(0, 0, 0), (1, 0, 0), (40, 1, 10), (90, 2, 5000), (0, 1, MOST)]
GRAPHS = ["planner", "fixer"]
THREADS = ["north", "south", "east", "west", "up", "down"]
CONTENTS = [b"one", b"two", b""]
KINDS = ["question", "approve_tool_call", "approve_spend", "approve_publish"]
ANSWERS: list[Json] = [
    {"title": "Which?"}, {"title": "What else?", "response_schema": {"type": "string"}},
]  # fmt: skip
PUSH: Json = {"id": "a", "name": "push", "args": {}, "allow": ["approve", "reject"]}
TAG: Json = {
    "id": "b", "name": "tag", "args": {"n": 2}, "allow": ["approve", "edit", "respond"],
    "args_schema": {"type": "object", "required": ["n"]},
}  # fmt: skip
ACTIONS: list[list[Json]] = [[PUSH], [{**PUSH, "allow": ["approve", "edit", "reject", "respond"]}, TAG]]

# How often each is tried, about. What finds nothing to do moves some run on instead.
PLAN = {
    "create_run": 4, "resolve_approval": 8, "claim_runs": 5, "start_run": 6, "raise_interrupts": 12,
    "resolve_interrupt": 10, "acknowledge_decisions": 5, "pause_run": 7, "renew_lease": 9, "record_usage": 9,
    "request_approval": 6, "release_run": 3, "complete_run": 2, "fail_run": 3, "cancel_run": 2, "retry_run": 3,
    "upload_artifact": 3, "register_artifact": 2, "propose_changeset": 4, "mark_changeset_applied": 2,
    "append_events": 3, "carry_on": 6,
    "create_workspace": 1, "update_workspace": 2, "register_repo": 1, "update_repo": 2,
    "repeat": 5, "reuse_a_request_id": 2, "call_without_the_role": 2, "pass_time": 10, "read": 2,
}  # fmt: skip
WEIGHTED = [name for name, weight in PLAN.items() for _ in range(weight)]

T = TypeVar("T")


class Steps(RuleBasedStateMachine):
    """One sequence of steps: an operator, some workers, a few workspaces, and a clock."""

    bench: Bench
    model_of: type[ControlPlane] = ControlPlane

    def __init__(self) -> None:
        super().__init__()
        self.bench.sequences += 1
        self.name = f"s{self.bench.sequences}"
        self.model = self.model_of(self.bench.clock.micros)
        self.comparison = Comparison(self.bench, self.model)
        self.made: list[tuple[Caller, str, str, Json]] = []
        self.leases: list[tuple[str, str]] = []
        """Every lease that was ever granted: the run's id and the token."""
        self.failed = False

    # Choosing. Hypothesis draws one number for each step, and takes steps out of a sequence that fails.

    def choose(self, things: Sequence[T]) -> T:
        return self.random.choice(things)

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def aim(self, sensible: Sequence[T], all_of_them: Sequence[T]) -> T | None:
        """Mostly one that makes sense, now and then any at all."""
        if self.chance(12) and all_of_them:
            return self.choose(all_of_them)
        return self.choose(sensible) if sensible else None

    def pending(self) -> list[Approval]:
        return [one for one in self.model.approvals if one.status == "pending"]

    # Calling.

    def call(self, caller: Caller, method: str, request_id: str = "", **request: Any) -> None:
        self.failed = True
        request_id = request_id or str(UUID(int=self.bench.sequences * 1_000_000 + len(self.made)))
        self.made.append((caller, method, request_id, request))
        outcome = self.comparison.call(caller, method, request_id, request)
        note(f"{caller.actor}: {method} {request} -> {outcome}")
        self.bench.steps += 1
        self.bench.outcomes[f"{method} {outcome}"] += 1
        if method == "ClaimRuns":
            self.leases += [
                (run.run_id, run.lease_token)
                for run in self.model.runs
                if run.lease_token and (run.run_id, run.lease_token) not in self.leases
            ]
        self.compare(request)
        self.failed = False

    def compare(self, request: Json) -> None:
        """Holds what is listed of the run that a call was about against the model, or of the workspaces."""
        if len(self.made) % WHOLE_EACH == 0:
            for workspace in self.model.workspaces[:2]:
                self.comparison.compare_lists(workspace)
            return
        named = [request.get(name, "") for name in ("run_id", "approval_id", "changeset_id")]
        named += [one["interrupt_id"] for one in request.get("decisions", [])]
        rows = [row for row in map(self.model.find, named) if row is not None]
        rows += [run for run in self.model.runs if run.updated_at == self.model.now]
        for run in {row if isinstance(row, Run) else row.run: None for row in rows or self.model.runs[-1:]}:
            self.comparison.compare_lists(run)

    @initialize(random=some.randoms(use_true_random=True))
    def begin(self, random: Random) -> None:
        self.random = random
        for number in (1, 2):
            self.call(OPERATOR, "CreateWorkspace", name=f"{self.name} {number}")
            workspace_id = self.model.workspaces[-1].workspace_id
            self.call(OPERATOR, "RegisterRepo", workspace_id=workspace_id, full_name=f"octo/{number}")
        for _ in range(3):
            self.create_run()
            self.move_on()

    @rule(random=some.randoms(use_true_random=True))
    def step(self, random: Random) -> None:
        self.random = random
        self.turn(1_000)  # No two things happen at the same time.
        getattr(self, self.choose(WEIGHTED))()

    def turn(self, micros: int) -> None:
        """Time passes. A lease that ends with that is fenced off at once, and then the run is taken back."""
        self.model.now += micros
        self.bench.clock.micros = self.model.now
        lapsed = self.model.lapsed()
        if lapsed:
            late = self.choose(lapsed)
            self.comparison.call(WORKERS[0], "RenewLease", "", {"run_id": late.run_id, "lease_token": late.lease_token})
            self.model.return_lapsed()
            # The sweep comes a few times a second; after a claim, even of nothing, it is sure to have been.
            self.claim(graph_ids=[f"{self.name}/nobody"])

    # The operator and the workspaces.

    def create_workspace(self) -> None:
        name = f"{self.name} more {len(self.model.workspaces)}"
        taken = self.choose(self.model.workspaces).name
        settings_json = self.choose(SETTINGS)
        name = self.choose([name, name, name, taken])
        self.call(OPERATOR, "CreateWorkspace", name=name, settings_json=settings_json)

    def update_workspace(self) -> None:
        workspace = self.choose(self.model.workspaces)
        changes = {"name": self.choose(["", workspace.name, self.name, self.choose(self.model.workspaces).name])}
        changes["settings_json"] = self.choose(SETTINGS if not changes["name"] else ["", *SETTINGS])
        version = workspace.version + self.choose([0, 0, 0, 0, 1])
        workspace_id = self.choose([workspace.workspace_id] * 9 + [f"ws_{ZEROS}"])
        self.call(OPERATOR, "UpdateWorkspace", workspace_id=workspace_id, version=version, **changes)

    def register_repo(self) -> None:
        workspace_id = self.choose([*(one.workspace_id for one in self.model.workspaces), f"ws_{ZEROS}"])
        name = self.choose(["Octo/1", "octo/2", "o/3"])
        self.call(OPERATOR, "RegisterRepo", workspace_id=workspace_id, full_name=name)

    def update_repo(self) -> None:
        repo = self.choose(self.model.repos)
        branch, status = self.choose([("main", ""), ("next", ""), ("", "active"), ("next", "active"), ("", "disabled")])
        version = repo.version + self.choose([0, 0, 0, 0, 1])
        repo_id = self.choose([repo.repo_id] * 9 + [f"repo_{ZEROS}"])
        self.call(OPERATOR, "UpdateRepo", repo_id=repo_id, version=version, default_branch=branch, status=status)

    def create_run(self) -> None:
        workspace = self.choose(self.model.workspaces[:2] * 5 + self.model.workspaces)
        own = [one for one in self.model.repos if one.workspace is workspace and one.status == "active"]
        repo = self.aim(own, self.model.repos)
        request: Json = {
            "workspace_id": self.choose([workspace.workspace_id] * 15 + [f"ws_{ZEROS}"]),
            "goal": f"goal of {self.name}",
            "graph_id": f"{self.name}/{self.choose(GRAPHS)}",
            "agent_run_spec_json": self.choose(SPECS),
        }
        if repo and not self.chance(20):
            request["repo_id"] = repo.repo_id
        if self.chance(30):
            request["thread_id"] = f"{self.name} {self.choose(THREADS)}"
        self.call(self.choose([OPERATOR, *WORKERS, Caller("worker")]), "CreateRun", **request)

    def cancel_run(self) -> None:
        run = self.aim([run for run in self.model.runs if not run.ended], self.model.runs)
        run_id = run.run_id if run else f"run_{ZEROS}"
        self.call(OPERATOR, "CancelRun", run_id=run_id, reason=self.choose(["", "no longer needed"]))

    def retry_run(self) -> None:
        failed = [run for run in self.model.runs if run.status == "failed"]
        run = self.aim(failed, self.model.runs)
        if run:
            version = self.choose([0, run.version, run.version, run.version + 1])
            self.call(OPERATOR, "RetryRun", run_id=run.run_id, version=version)
        else:
            self.move_on()

    def move_on(self) -> None:
        """The next step in some run's life, up to where it runs."""
        runs = [run for run in self.model.runs if run.status in ("proposed", "approved", "blocked")]
        if not runs:
            self.create_run()
            return
        run = self.choose(runs)
        gates = [one for one in self.pending() if one.run is run and one.kind != "changeset_apply"]
        if run.status == "approved" and run.lease_token:
            thread_id = run.thread_id or f"{self.name} {self.choose(THREADS)}"
            self.call(WORKERS[0], "StartRun", run_id=run.run_id, lease_token=run.lease_token, thread_id=thread_id)
        elif run.status == "approved":
            self.claim(graph_ids=[run.graph_id])
        elif gates:
            self.resolve(self.choose(gates), self.choose(["approved", "approved", "approved", "rejected"]))
        else:
            self.resolve_interrupt()

    # The workers.

    def claim_runs(self) -> None:
        graphs = [f"{self.name}/{graph}" for graph in self.choose([GRAPHS, GRAPHS, GRAPHS[:1], GRAPHS[1:]])]
        somewhere = ["", "", "", *(one.workspace_id for one in self.model.workspaces[:2]), f"ws_{ZEROS}"]
        self.claim(graph_ids=graphs, max_runs=self.choose([1, 2, 0, 3]), workspace_id=self.choose(somewhere))

    def claim(self, **request: Any) -> None:
        caller = self.choose([*WORKERS, OPERATOR])
        self.call(caller, "ClaimRuns", worker_id=caller.worker_id or "person", **request)

    def with_lease(self, method: str, *statuses: str, **request: Any) -> None:
        """Makes a call about a run under its lease; now and then a stale one, a wrong one, or in a wrong state."""
        run = self.leased(*statuses)
        if run:
            self.call_leased(method, run, **request)

    def leased(self, *statuses: str) -> Run | None:
        """A run in such a state that is held; if there is none, some run is moved on."""
        held = [run for run in self.model.runs if run.lease_token and run.status in statuses]
        run = self.aim(held, self.model.runs)
        if run is None:
            self.move_on()
        return run

    def call_leased(self, method: str, run: Run, **request: Any) -> None:
        caller = self.choose([*WORKERS, *WORKERS, OPERATOR])
        run_id, token = run.run_id, run.lease_token or "nobody's"
        if self.chance(8):
            run_id, token = self.choose([*self.leases, (run_id, "nobody's"), (f"run_{ZEROS}", token)])
        self.call(caller, method, run_id=run_id, lease_token=token, **request)

    def start_run(self) -> None:
        run = self.leased("approved")
        if run:
            threads = [f"{self.name} {one}" for one in THREADS]
            bound = run.thread_id and not self.chance(20)
            self.call_leased("StartRun", run, thread_id=run.thread_id if bound else self.choose(threads))

    def renew_lease(self) -> None:
        self.with_lease("RenewLease", "approved", "running", "running", "blocked")

    def carry_on(self) -> None:
        """A worker that works for a while, and renews as it should."""
        run = self.leased("running")
        for _ in range(self.choose([1, 2, 3])):
            if run and run.lease_token:
                self.turn(run.lease_seconds * SECOND * 3 // 5)
                self.call_leased("RenewLease", run)

    def record_usage(self) -> None:
        tokens, tool_calls, cost_micros = self.choose(USES)
        self.with_lease(
            "RecordUsage", "running", "blocked", tokens=tokens, tool_calls=tool_calls, cost_micros=cost_micros
        )

    def pause_run(self) -> None:
        self.with_lease("PauseRun", "running", "blocked", release_lease=self.chance(40))

    def release_run(self) -> None:
        self.with_lease("ReleaseRun", "approved", "running", "blocked", reason=self.choose(["", "shutting down"]))

    def complete_run(self) -> None:
        self.with_lease("CompleteRun", "running", summary=self.choose(["", "all done"]))

    def fail_run(self) -> None:
        self.with_lease("FailRun", "running", "blocked", reason="it broke", retryable=self.chance(50))

    # Questions and their answers.

    def request_approval(self) -> None:
        kind, budget = self.choose(["tool_call", "spend", "spend", "publish"]), self.choose(BUDGETS)
        # What a question asks too: it is another gate all the same.
        payload: Json = {"title": "May I?", **({"budget": budget} if budget is not None and kind == "spend" else {})}
        payload_json = json.dumps(payload if not self.chance(4) else {"name": "without a title"}, sort_keys=True)
        risk = self.choose(["", "", *RISKS])
        self.with_lease("RequestApproval", "running", "blocked", kind=kind, payload_json=payload_json, risk=risk)

    def resolve_approval(self) -> None:
        approval = self.aim(self.pending(), self.model.approvals)
        if approval:
            self.resolve(approval, self.choose(["approved", "approved", "approved", "rejected"]))
        else:
            self.move_on()

    def resolve(self, approval: Approval, status: str) -> None:
        approval_id, shown = approval.approval_id, approval.payload_hash
        if self.chance(5):
            other = self.choose(self.model.approvals)
            approval_id, shown = self.choose([(f"appr_{ZEROS}", shown), (approval_id, other.payload_hash)])
        notes = self.choose(["", "looks good"])
        self.call(OPERATOR, "ResolveApproval", approval_id=approval_id, status=status, payload_hash=shown, notes=notes)

    def raise_interrupts(self) -> None:
        run = self.leased("running", "running", "blocked")
        if run:
            kinds = [kind for kind in KINDS if self.chance(40)] or [self.choose(KINDS)]
            thread_id = f"{self.name} north" if self.chance(5) else run.thread_id or "none"
            questions = [self.question(kind) for kind in kinds]
            self.call_leased("RaiseInterrupts", run, thread_id=thread_id, questions=questions)

    def question(self, kind: str) -> Json:
        """Four places in the graph, each of which may ask one thing or another."""
        variant = self.choose([0, 0, 1])
        payload = ANSWERS[variant] if kind == "question" else {"title": "May I?", "actions": ACTIONS[variant]}
        if kind == "approve_spend":
            budget = self.choose([one for one in BUDGETS if is_budget(one)])
            asked = [{**ACTIONS[variant][0], "args": {"budget": budget} if budget else {}}, *ACTIONS[variant][1:]]
            payload = {"title": "May I spend?", "actions": asked}
        payload_json = json.dumps(payload, sort_keys=True)
        question: Json = {"external_id": f"place {kind}", "kind": kind, "payload_json": payload_json}
        if variant:
            question |= {"risk": "high", "node_id": f"node {kind}", "checkpoint_id": "c1", "guard": "who goes there"}
        return question

    def resolve_interrupt(self) -> None:
        pending = [one for one in self.model.interrupts if one.status == "pending"]
        first = self.aim(pending, self.model.interrupts)
        if first is None:
            self.leased("running")  # Moves some run on, if none runs that could ask.
            return
        others = [one for one in pending if one is not first][: self.choose([0, 0, 0, 1, 2])]
        decisions = []
        for interrupt in [first, *others]:
            shown = self.choose(self.model.interrupts) if self.chance(5) else interrupt
            interrupt_id = f"intr_{ZEROS}" if self.chance(2) else interrupt.interrupt_id
            decisions.append({
                "interrupt_id": interrupt_id, "payload_hash": shown.payload_hash,
                "decision_json": json.dumps(self.decision(interrupt)), "notes": self.choose(["", "well"]),
            })  # fmt: skip
        if len({one["interrupt_id"] for one in decisions}) == len(decisions):
            self.call(OPERATOR, "ResolveInterrupt", decisions=decisions)

    def decision(self, interrupt: Interrupt) -> Json:
        """One that the question allows, mostly."""
        if interrupt.decision and self.chance(50):
            return dict(interrupt.decision)  # What was decided before.
        if interrupt.kind == "question":
            return self.choose([{"answer": "yes"}, {"answer": "no"}, {"answer": "yes"}, {"answer": 5}, {}])
        decisions: list[Json] = []
        for action in interrupt.payload_json["actions"]:
            kind = self.choose(action["allow"] if not self.chance(5) else ["edit", "respond", "reject"])
            one: Json = {"action_id": action["id"], "type": kind}
            if kind == "edit":
                budget = self.choose(BUDGETS)
                one["args"] = self.choose([{"n": 1}, {"n": 1}, {"n": 2}, {}])
                if interrupt.kind == "approve_spend" and budget is not None:
                    one["args"] = {**one["args"], "budget": budget}
            if kind == "respond":
                one["message"] = "rather not"
            decisions.append(one)
        if self.chance(4):
            decisions.append({"action_id": "c", "type": "approve"})
        if self.chance(4):
            decisions.pop(0)
        return {"decisions": decisions}

    def acknowledge_decisions(self) -> None:
        taken = [one for one in self.model.decisions_to_deliver() if one.run.lease_token]
        first = self.aim(taken, self.model.interrupts)
        if first:
            others = taken if self.chance(90) else self.model.interrupts
            own = [one for one in others if one is not first and (one.run is first.run or self.chance(10))]
            more = [one.interrupt_id for one in own]
            ids = [first.interrupt_id, *more[: self.choose([0, 1, 2])], *([f"intr_{ZEROS}"] if self.chance(3) else [])]
            self.call_leased("AcknowledgeDecisions", first.run, interrupt_ids=ids)
        else:
            self.resolve_interrupt()

    # What runs produce.

    def upload_artifact(self) -> None:
        content, name = self.choose(CONTENTS), self.choose(["log.txt", "fix.patch"])
        request: Json = {"kind": "patch" if name.endswith("patch") else "log", "name": name, "content": content}
        request["hash"] = hashlib.sha256(content).hexdigest()
        ended = [run for run in self.model.runs if run.status in ENDED]
        if ended and self.chance(15):
            run_id = self.choose(ended).run_id
            self.call(self.choose([OPERATOR, *WORKERS]), "UploadArtifact", run_id=run_id, lease_token="", **request)
        else:
            self.with_lease("UploadArtifact", "approved", "running", "blocked", **request)

    def register_artifact(self) -> None:
        """A file that was uploaded, or something elsewhere."""
        stored = [one for one in self.model.artifacts if one.run.lease_token]
        if stored and self.chance(40):
            one = self.choose(stored)
            told: Json = {"kind": one.kind, "uri": one.uri, "hash": one.hash, "size_bytes": one.size_bytes}
            run_id, token = one.run.run_id, one.run.lease_token
            self.call(self.choose(WORKERS), "RegisterArtifact", run_id=run_id, lease_token=token, **told)
        else:
            content, uri = self.choose(CONTENTS), "https://example.org/report.html"
            told = {"uri": uri, "hash": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
            self.with_lease("RegisterArtifact", "approved", "running", "blocked", kind="test_report", **told)

    def propose_changeset(self) -> None:
        patches = [one for one in self.model.artifacts if one.run.status == "running" and one.run.repo]
        patch = self.aim(patches, self.model.artifacts)
        if patch is None:
            self.upload_artifact()
            return
        bundle_json = json.dumps({
            "base_commit": "a" * 40, "title": "Tidy", "files": [{"path": "a.py", "change": "modified"}],
            "patch_artifact_id": patch.artifact_id,
            "patch_sha256": patch.hash if not self.chance(5) else hashlib.sha256(b"else").hexdigest(),
        })  # fmt: skip
        run = patch.run if not self.chance(5) else self.choose(self.model.runs)
        self.call_leased("ProposeChangeset", run, bundle_json=bundle_json, risk=self.choose(["", "low", "high"]))

    def mark_changeset_applied(self) -> None:
        changeset = self.aim([one for one in self.model.changesets if one.status == "approved"], self.model.changesets)
        gates = [one for one in self.pending() if one.kind == "changeset_apply"]
        if changeset:
            changeset_id = self.choose([changeset.changeset_id] * 9 + [f"cs_{ZEROS}"])
            caller, commit = self.choose(WORKERS), self.choose(["b" * 40, "c" * 64])
            self.call(caller, "MarkChangesetApplied", changeset_id=changeset_id, applied_commit_sha=commit)
        elif gates:
            self.resolve(self.choose(gates), "approved")
        else:
            self.propose_changeset()

    def append_events(self) -> None:
        types = self.choose([["tool.called"], ["tool.called", "model.called"], ["tool.called", "run.created"]])
        events = [{"type": one, "payload_json": '{"n": 1}'} for one in types]
        if self.chance(70):
            request: Json = {"events": events}
            run = self.leased("approved", "running", "blocked")
            if run:
                if self.chance(30):
                    request["workspace_id"] = self.choose(self.model.workspaces[:2]).workspace_id
                if self.chance(30):
                    request["thread_id"] = self.choose([run.thread_id or "none", f"{self.name} north"])
                if self.chance(10):
                    self.call(self.choose([OPERATOR, *WORKERS]), "AppendEvents", run_id=run.run_id, **request)
                else:
                    self.call_leased("AppendEvents", run, **request)
        else:
            workspace_id = self.choose([*(one.workspace_id for one in self.model.workspaces), f"ws_{ZEROS}"])
            thread_id = self.choose(["", "", *(f"{self.name} {one}" for one in THREADS)])
            caller = self.choose([OPERATOR, *WORKERS])
            self.call(caller, "AppendEvents", workspace_id=workspace_id, thread_id=thread_id, events=events)

    # The same again, something else under the same id, and somebody else.

    def repeat(self) -> None:
        """Any earlier call once more, as a client does that did not see its answer. A refused one is tried anew."""
        caller, method, request_id, request = self.choose(self.made)
        self.call(caller, method, request_id, **request)

    def reuse_a_request_id(self) -> None:
        """An earlier call under the request id of another one, of whichever caller."""
        caller, method, _, request = self.choose(self.made)
        self.call(caller, method, self.choose(self.made)[2], **request)

    def call_without_the_role(self) -> None:
        """An earlier call by somebody who may not make it: a worker decides, a reader writes."""
        _, method, _, request = self.choose(self.made)
        lesser = [READER, *WORKERS][: 1 if ROLE_FOR[method] == "worker" else 4]
        self.call(self.choose(lesser), method, **request)

    # Time, and what is read.

    def pass_time(self) -> None:
        """Some time, often just to the end of a lease or a back-off, or to the moment before."""
        ends = [run.lease_expires_at for run in self.model.runs if run.lease_expires_at]
        ends += [run.next_attempt_at for run in self.model.runs if (run.next_attempt_at or 0) > self.model.now]
        if ends and self.chance(50):
            self.turn(max(0, self.choose(sorted(ends)) - self.model.now - self.choose([0, 1])))
        else:
            self.turn(self.choose([SECOND] * 4 + [2 * SECOND] * 4 + [5 * SECOND] * 3 + [10 * SECOND, 60 * SECOND]))
        self.compare({})

    def read(self) -> None:
        model = self.model
        for rows, kind in (
            (model.runs, "run"), (model.approvals, "appr"), (model.interrupts, "intr"), (model.changesets, "cs"),
            (model.artifacts, "art"), (model.repos, "repo"), (model.workspaces, "ws"),
        ):  # fmt: skip
            if rows:
                self.comparison.compare_one(self.choose(rows), f"{kind}_{ZEROS}")  # type: ignore[arg-type]
        status = self.choose(["", "proposed", "approved", "running", "blocked", *ENDED])
        self.comparison.compare_pages(self.choose(model.workspaces), self.choose([1, 2, 3]), status)

    # The end of a sequence.

    def teardown(self) -> None:
        if self.failed:
            return  # That is what is to be told.
        for workspace in self.model.workspaces:
            self.comparison.compare_lists(workspace)
            self.comparison.compare_rest(workspace)
            self.comparison.compare_record(workspace)
        self.comparison.compare_decisions()
        for one in [*self.model.interrupts, *self.model.approvals]:
            open_on_ended = one.status == "pending" and one.run.ended and getattr(one, "kind", "") != "changeset_apply"
            assert not open_on_ended, f"{one} is open on a run that has ended"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server whose clocks stand still, and clients of it."""
    folder = tmp_path_factory.mktemp("model")
    clock = Clock(folder / "clock")
    with (
        running_server(folder, clock.option) as server,
        server.connect("operator", retry_seconds=0) as operator,
        server.connect("worker", retry_seconds=0) as worker,
        server.connect("reader", retry_seconds=0) as reader,
        open_channel(server.address) as channel,
    ):
        clients = {OPERATOR: operator, READER: reader, Caller("worker"): worker}
        clients |= {caller: worker.with_worker_id(caller.worker_id) for caller in WORKERS}
        token = (server.data / "tokens" / "reader.token").read_text().strip()
        yield Bench(clock, clients, reader, Lists(channel, token))


def run_model(bench: Bench, steps: int, model: type[ControlPlane] = ControlPlane, shrink: bool = True) -> int:
    """Runs at least so many steps, and counts them."""
    number, before = SEED, bench.steps
    while (made := bench.steps - before) < steps:
        as_asked = settings(
            max_examples=-(-(steps - made) // STEPS_OF_A_SEQUENCE),
            stateful_step_count=STEPS_OF_A_SEQUENCE,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            suppress_health_check=list(HealthCheck),
        )
        machine = seed(number)(type("Steps", (Steps,), {"bench": bench, "model_of": model}))
        run_state_machine_as_test(machine, settings=as_asked)
        number += 1
    return made


@pytest.mark.timeout(400 + STEPS * MILLISECONDS_OF_A_STEP // 1000)
def test_the_server_does_what_the_model_says(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    made = 0
    try:
        made = run_model(bench, STEPS)
    finally:
        with capsys.disabled():
            print(f"\nfrom seed {SEED}: {bench.counts()}")
    assert made >= STEPS
    called = {name.split()[0] for name in bench.outcomes if name.endswith(" ok")}
    assert called == set(ROLE_FOR), f"never carried out: {set(ROLE_FOR) - called}"


class WithoutFencing(ControlPlane):
    """Takes any token for the lease's."""

    def _held(self, run_id: str, lease_token: str) -> Run:
        del lease_token
        return self._find(Run, run_id)


class WithoutSuperseding(ControlPlane):
    """Leaves a question open when its agent asks something else."""

    def _close(self, row: Approval | Interrupt, closed_by: str) -> None:
        if closed_by != "superseded":
            super()._close(row, closed_by)


class WithoutMemory(ControlPlane):
    """Carries a repeated call out once more."""

    def call(self, caller: Caller, method: str, request_id: str, request: Json) -> Any:
        self._answered.clear()
        return super().call(caller, method, request_id, request)


class WithoutBudgets(ControlPlane):
    """Renews however much was used."""

    @staticmethod
    def _time_is_up(run: Run, wall: int) -> bool:
        del run, wall
        return False


@pytest.mark.parametrize("wrong", [WithoutFencing, WithoutSuperseding, WithoutMemory, WithoutBudgets])
@pytest.mark.timeout(400)
def test_a_wrong_rule_is_noticed(bench: Bench, wrong: type[ControlPlane]) -> None:
    with pytest.raises(AssertionError):
        run_model(bench, 3_000, wrong, shrink=False)
