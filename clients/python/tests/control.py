"""The operator's side of a test, and a worker that runs beside it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conftest import eventually

import pmbot
from pmbot.langgraph import Worker
from pmbot.v1 import (
    approval_pb2,
    changeset_pb2,
    interrupt_pb2,
    repo_pb2,
    run_pb2,
    workspace_pb2,
)


class Operator:
    """What the person does, in a workspace of its own with one repo."""

    def __init__(self, client: pmbot.Client) -> None:
        self.client = client
        named = workspace_pb2.CreateWorkspaceRequest(name=str(uuid.uuid4()))
        created = client.workspaces.CreateWorkspace(named)
        self.workspace_id = created.workspace.workspace_id
        repo = repo_pb2.RegisterRepoRequest(workspace_id=self.workspace_id, full_name="owner/repo")
        self.repo_id = client.repos.RegisterRepo(repo).repo.repo_id

    def start(self, graph_id: str, spec: Any = None, goal: str = "a goal", thread_id: str = "") -> str:
        """Proposes a run and approves it; answers its id."""
        created = self.client.runs.CreateRun(
            run_pb2.CreateRunRequest(
                workspace_id=self.workspace_id,
                repo_id=self.repo_id,
                goal=goal,
                graph_id=graph_id,
                thread_id=thread_id,
                agent_run_spec_json=json.dumps(spec or {}),
            )
        )
        self.resolve(created.approval)
        return created.run.run_id

    def resolve(self, approval: approval_pb2.Approval, yes: bool = True) -> None:
        """Says yes or no to an approval."""
        status = approval_pb2.APPROVAL_STATUS_APPROVED if yes else approval_pb2.APPROVAL_STATUS_REJECTED
        request = approval_pb2.ResolveApprovalRequest(
            approval_id=approval.approval_id, status=status, payload_hash=approval.payload_hash
        )
        self.client.approvals.ResolveApproval(request)

    def run(self, run_id: str) -> run_pb2.Run:
        """The run as it is now."""
        return self.client.runs.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run

    def cancel(self, run_id: str, reason: str = "") -> run_pb2.Run:
        """Wants the run ended."""
        return self.client.runs.CancelRun(run_pb2.CancelRunRequest(run_id=run_id, reason=reason)).run

    def wait_for(self, run_id: str, status: run_pb2.RunStatus.ValueType, seconds: float = 30) -> run_pb2.Run:
        """The run, once it has this status. A run that ends otherwise fails the test at once."""
        final = (run_pb2.RUN_STATUS_COMPLETED, run_pb2.RUN_STATUS_FAILED, run_pb2.RUN_STATUS_CANCELLED)

        def reached() -> run_pb2.Run | None:
            run = self.run(run_id)
            assert run.status == status or run.status not in final, run
            return run if run.status == status else None

        found: run_pb2.Run = eventually(reached, seconds)
        return found

    def questions(self, run_id: str) -> list[interrupt_pb2.Interrupt]:
        """Every question that the run has ever asked, oldest first."""
        listed = interrupt_pb2.ListInterruptsRequest(filter=interrupt_pb2.InterruptFilter(run_id=run_id))
        return list(reversed(list(self.client.paged(self.client.interrupts.ListInterrupts, listed))))

    def pending(self, run_id: str, count: int = 1) -> list[interrupt_pb2.Interrupt]:
        """The run's open questions, once there are so many and the run waits for them."""

        def there() -> list[interrupt_pb2.Interrupt] | None:
            run = self.run(run_id)
            assert run.status != run_pb2.RUN_STATUS_FAILED, run.status_reason
            open_ones = [one for one in self.questions(run_id) if one.status == interrupt_pb2.INTERRUPT_STATUS_PENDING]
            return open_ones if len(open_ones) == count and run.status == run_pb2.RUN_STATUS_BLOCKED else None

        found: list[interrupt_pb2.Interrupt] = eventually(there)
        return found

    def decide(self, question: interrupt_pb2.Interrupt, decision: Any) -> None:
        """Decides a question."""
        made = interrupt_pb2.InterruptDecision(
            interrupt_id=question.interrupt_id,
            payload_hash=question.payload_hash,
            decision_json=json.dumps(decision),
        )
        self.client.interrupts.ResolveInterrupt(interrupt_pb2.ResolveInterruptRequest(decisions=[made]))

    def answer(self, question: interrupt_pb2.Interrupt, answer: Any) -> None:
        """Answers a question of kind `question`."""
        self.decide(question, {"answer": answer})

    def changesets(self, run_id: str) -> list[changeset_pb2.Changeset]:
        """The run's changesets."""
        listed = changeset_pb2.ListChangesetsRequest(filter=changeset_pb2.ChangesetFilter(run_id=run_id))
        return list(self.client.paged(self.client.changesets.ListChangesets, listed))

    def approvals(self, run_id: str, kind: approval_pb2.ApprovalKind.ValueType) -> list[approval_pb2.Approval]:
        """The run's approvals of this kind."""
        listed = approval_pb2.ListApprovalsRequest(filter=approval_pb2.ApprovalFilter(run_id=run_id))
        every = self.client.paged(self.client.approvals.ListApprovals, listed)
        return [approval for approval in every if approval.kind == kind]


def title_of(question: interrupt_pb2.Interrupt) -> str:
    """What the question says."""
    title: str = json.loads(question.payload_json)["title"]
    return title


@contextmanager
def working(worker: Worker) -> Iterator[Worker]:
    """Runs the worker in a thread; stops it at the end, and raises what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive(), "the worker did not stop"
    if raised:
        raise raised[0]
