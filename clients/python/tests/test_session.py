"""One run's session where the server's part is small: cancels, lost leases, restarts. All else is in test_worker.py."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from conftest import SmallServer, eventually
from google.protobuf import timestamp_pb2
from graphs import State, chain
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt
from refusals import refuse

import pmbot
from pmbot import errors
from pmbot.langgraph.lease import Ending
from pmbot.langgraph.session import RunSession
from pmbot.langgraph.slots import WAITING, Slots
from pmbot.v1 import interrupt_pb2, interrupt_pb2_grpc, run_pb2, run_pb2_grpc

RUN = "run_" + "0" * 32


class Runs(run_pb2_grpc.RunServiceServicer):
    """Remembers what it is told. Renewals answer what the test wants."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.requests: list[Any] = []
        self.cancel = False
        self.cancel_at = ""
        self.paused = run_pb2.RUN_STATUS_RUNNING
        self.lost = threading.Event()
        self.over_budget = threading.Event()

    def remember(self, request: Any) -> run_pb2.Run:
        self.calls.append(type(request).__name__.removesuffix("Request"))
        self.requests.append(request)
        run = run_pb2.Run(run_id=RUN, thread_id=RUN, status=self.paused)
        if self.cancel_at == self.calls[-1]:
            run.cancel_requested_at.GetCurrentTime()
        return run

    def StartRun(self, request: Any, context: Any) -> run_pb2.StartRunResponse:
        return run_pb2.StartRunResponse(run=self.remember(request))

    def RenewLease(self, request: Any, context: Any) -> run_pb2.RenewLeaseResponse:
        if self.lost.is_set():
            refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "Not yours.", "LEASE_LOST", {"id": RUN})
        if self.over_budget.is_set():
            refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "Over budget.", "BUDGET_EXCEEDED", {"id": RUN})
        return run_pb2.RenewLeaseResponse(status=self.paused, cancel_requested=self.cancel)

    def PauseRun(self, request: Any, context: Any) -> run_pb2.PauseRunResponse:
        return run_pb2.PauseRunResponse(run=self.remember(request))

    def ReleaseRun(self, request: Any, context: Any) -> run_pb2.ReleaseRunResponse:
        return run_pb2.ReleaseRunResponse(run=self.remember(request))

    def CompleteRun(self, request: Any, context: Any) -> run_pb2.CompleteRunResponse:
        return run_pb2.CompleteRunResponse(run=self.remember(request))

    def FailRun(self, request: Any, context: Any) -> run_pb2.FailRunResponse:
        return run_pb2.FailRunResponse(run=self.remember(request))


class Interrupts(interrupt_pb2_grpc.InterruptServiceServicer):
    """Takes questions, and has nobody who answers them."""

    def RaiseInterrupts(self, request: Any, context: Any) -> interrupt_pb2.RaiseInterruptsResponse:
        return interrupt_pb2.RaiseInterruptsResponse(
            interrupts=[interrupt_pb2.Interrupt(interrupt_id=question.external_id) for question in request.questions]
        )

    def ListInterrupts(self, request: Any, context: Any) -> interrupt_pb2.ListInterruptsResponse:
        return interrupt_pb2.ListInterruptsResponse()

    def WatchDecisions(self, request: Any, context: Any) -> Iterator[interrupt_pb2.WatchDecisionsResponse]:
        ended = threading.Event()
        context.add_callback(ended.set)
        yield interrupt_pb2.WatchDecisionsResponse(cursor="1", synced={})  # type: ignore[arg-type]
        ended.wait(30)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def server(small_server: Callable[..., SmallServer], runs: Runs) -> SmallServer:
    return small_server(
        (run_pb2_grpc.add_RunServiceServicer_to_server, runs),
        (interrupt_pb2_grpc.add_InterruptServiceServicer_to_server, Interrupts()),
    )


@pytest.fixture
def client(server: SmallServer) -> Iterator[pmbot.Client]:
    with server.connect(retry_seconds=0.2) as client:
        yield client


def session_of(
    client: pmbot.Client, *nodes: Any, slots: Slots | None = None, saver: SqliteSaver | None = None, **fields: Any
) -> RunSession:
    """A session of a graph of these nodes, or of the one builder given."""
    saver = saver or SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))
    named = [(f"n{number}", node) for number, node in enumerate(nodes)]
    builder = nodes[0] if isinstance(nodes[0], StateGraph) else chain(*named)
    graph = builder.compile(checkpointer=saver)
    claimed = run_pb2.ClaimedRun(run=run_pb2.Run(run_id=RUN, **fields), lease_token="token")
    claimed.lease_duration.FromMilliseconds(150)
    slots = slots or Slots(1)
    slots.expect()
    return RunSession(client, graph, claimed, slots)


def quiet(state: Any) -> dict[str, Any]:
    return {"got": []}


def ask(state: Any) -> dict[str, Any]:
    return {"got": [interrupt("?")]}


def test_a_cancel_stops_the_graph_between_two_steps(client: pmbot.Client, runs: Runs) -> None:
    seen: list[str] = []

    def first(state: Any) -> dict[str, Any]:
        runs.cancel = True
        eventually(lambda: session.lease.ending)
        return quiet(state)

    session = session_of(client, first, lambda state: seen.append("second") or quiet(state))
    session.carry_out()
    assert runs.calls == ["StartRun", "ReleaseRun"] and seen == []
    assert "cancel" in runs.requests[-1].reason


@pytest.mark.parametrize(
    ("cancel_at", "calls"),
    [("StartRun", ["StartRun", "ReleaseRun"]), ("PauseRun", ["StartRun", "PauseRun", "ReleaseRun"])],
)
def test_an_answer_that_tells_of_a_cancel_is_enough(
    client: pmbot.Client, runs: Runs, cancel_at: str, calls: list[str]
) -> None:
    runs.cancel_at = cancel_at
    session_of(client, ask).carry_out()
    assert runs.calls == calls
    assert "cancel" in runs.requests[-1].reason


def test_a_run_that_is_to_be_cancelled_is_not_started(client: pmbot.Client, runs: Runs) -> None:
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    session_of(client, ask, cancel_requested_at=now).carry_out()
    assert runs.calls == ["ReleaseRun"]


@pytest.mark.parametrize(("ending", "last"), [("cancel", "ReleaseRun"), ("lost", "PauseRun"), ("stop", "ReleaseRun")])
def test_the_waiting_for_a_person_ends_with_the_lease(client: pmbot.Client, runs: Runs, ending: str, last: str) -> None:
    runs.paused = run_pb2.RUN_STATUS_BLOCKED
    session = session_of(client, ask)
    worker = threading.Thread(target=session.carry_out)
    worker.start()
    eventually(lambda: "PauseRun" in runs.calls)
    if ending == "cancel":
        runs.cancel = True
    elif ending == "lost":
        runs.lost.set()
    else:
        session.lease.end(Ending.STOPPING)
    worker.join(30)
    assert not worker.is_alive() and runs.calls[-1] == last


def test_what_nobody_can_answer_is_looked_at_once_more_and_fails(client: pmbot.Client, runs: Runs) -> None:
    session_of(client, ask).carry_out()
    assert runs.calls == ["StartRun", "PauseRun", "PauseRun", "FailRun"]
    assert "nobody can answer" in runs.requests[-1].reason and not runs.requests[-1].retryable


def test_a_run_over_its_budget_is_let_go_between_two_steps(client: pmbot.Client, runs: Runs) -> None:
    def first(state: Any) -> dict[str, Any]:
        runs.over_budget.set()
        eventually(lambda: session.lease.ending)
        return quiet(state)

    session = session_of(client, first, quiet)
    session.carry_out()
    assert runs.calls == ["StartRun", "ReleaseRun"]
    assert "budget" in runs.requests[-1].reason


def test_a_run_over_its_budget_that_asks_is_paused(client: pmbot.Client, runs: Runs) -> None:
    def first(state: Any) -> dict[str, Any]:
        runs.over_budget.set()
        eventually(lambda: session.lease.ending)
        return ask(state)

    session = session_of(client, first)
    session.carry_out()
    assert runs.calls == ["StartRun", "PauseRun"]
    assert runs.requests[-1].release_lease


def test_nothing_is_sent_for_a_run_whose_lease_is_lost(client: pmbot.Client, runs: Runs) -> None:
    def first(state: Any) -> dict[str, Any]:
        runs.lost.set()
        eventually(lambda: session.lease.ending)
        return quiet(state)

    session = session_of(client, first, quiet)
    session.carry_out()
    assert runs.calls == ["StartRun"] and session.lease.ending is Ending.LOST


def test_a_lease_lost_inside_a_node_is_no_failure_of_the_graph(client: pmbot.Client, runs: Runs) -> None:
    def first(state: Any) -> dict[str, Any]:
        raise errors.LeaseLost("Not yours.", reason="LEASE_LOST")

    session_of(client, first).carry_out()
    assert runs.calls == ["StartRun"]


def test_a_restart_of_the_server_is_waited_for(client: pmbot.Client, server: SmallServer, runs: Runs) -> None:
    restart = threading.Timer(1.5, server.start)

    def first(state: Any) -> dict[str, Any]:
        server.stop()
        restart.start()
        return quiet(state)

    session_of(client, first).carry_out()
    restart.join()
    assert runs.calls == ["StartRun", "CompleteRun"]


def test_questions_are_asked_also_while_the_worker_stops(client: pmbot.Client, runs: Runs) -> None:
    def first(state: Any) -> dict[str, Any]:
        session.lease.end(Ending.STOPPING)
        return ask(state)

    session = session_of(client, first)
    session.carry_out()
    assert runs.calls == ["StartRun", "PauseRun"]
    assert runs.requests[-1].release_lease


def test_a_run_is_let_go_when_too_many_wait_already(client: pmbot.Client, runs: Runs) -> None:
    slots = Slots(WAITING)
    with ExitStack() as others:
        for _ in range(WAITING):
            other = session_of(client, quiet, slots=slots).lease
            others.enter_context(slots.taken(other))
            others.enter_context(slots.left(other))
        session_of(client, ask, slots=slots).carry_out()
    assert runs.calls == ["StartRun", "PauseRun"]
    assert runs.requests[-1].release_lease


class FailingSaver(SqliteSaver):
    """Fails instead of storing the checkpoint of one step, once: what a crash between a step and it leaves."""

    fail_at: int | None = None

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        if metadata["step"] == self.fail_at:
            self.fail_at = None
            raise OSError("crashed")
        return super().put(config, checkpoint, metadata, new_versions)


@pytest.mark.parametrize("step", [-1, 0, 1, 2])
@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_step_whose_checkpoint_was_lost_is_not_taken_for_the_end(
    client: pmbot.Client, runs: Runs, step: int, durability: str
) -> None:
    saver = FailingSaver(sqlite3.connect(":memory:", check_same_thread=False))
    saver.fail_at = step
    nodes = [lambda state: {"got": ["first"]}, lambda state: {"got": ["second"]}]
    spec = f'{{"execution": {{"durability": "{durability}"}}}}'
    for _ in range(2):
        session_of(client, *nodes, saver=saver, agent_run_spec_json=spec).carry_out()
    assert runs.calls == ["StartRun", "FailRun", "StartRun", "CompleteRun"]
    graph = chain(("n0", quiet), ("n1", quiet)).compile(checkpointer=saver)
    assert graph.get_state({"configurable": {"thread_id": RUN}}).values["got"] == ["first", "second"]


def test_a_finished_graph_is_completed_and_not_run_again(client: pmbot.Client, runs: Runs) -> None:
    saver = SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))
    seen: list[str] = []
    for _ in range(2):
        session_of(client, lambda state: seen.append("ran") or quiet(state), saver=saver).carry_out()
    assert runs.calls == ["StartRun", "CompleteRun"] * 2 and seen == ["ran"]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), RuntimeError("x" * 5000), KeyError("\0")])
def test_what_a_graph_raises_is_the_reason(client: pmbot.Client, runs: Runs, error: BaseException) -> None:
    def first(state: Any) -> dict[str, Any]:
        raise error

    session_of(client, first).carry_out()
    assert runs.calls == ["StartRun", "FailRun"]
    failed = runs.requests[-1]
    assert failed.retryable and failed.reason.startswith(f"{type(error).__name__}: ")
    assert len(failed.reason.encode()) <= 4096 and "\0" not in failed.reason


def test_a_spec_that_cannot_be_carried_out_fails_for_good(client: pmbot.Client, runs: Runs) -> None:
    session_of(client, quiet, agent_run_spec_json='{"config": {"configurable": {"checkpoint_id": "1"}}}').carry_out()
    assert runs.calls == ["StartRun", "FailRun"]
    assert not runs.requests[-1].retryable and "checkpoint_id" in runs.requests[-1].reason


def test_too_many_questions_at_once_fail_for_good(client: pmbot.Client, runs: Runs) -> None:
    builder = StateGraph(State)
    builder.add_node("n", ask)
    builder.add_conditional_edges(START, lambda state: [Send("n", {"n": number}) for number in range(101)])
    session_of(client, builder).carry_out()
    assert runs.calls == ["StartRun", "FailRun"]
    assert "101 questions" in runs.requests[-1].reason and not runs.requests[-1].retryable
