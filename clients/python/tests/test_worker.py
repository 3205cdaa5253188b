"""The worker against the real server, on LangGraph's own SQLite checkpointer."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import graphs
import pytest
from conftest import Server, eventually
from control import Operator, title_of, working
from graphs import BUILDERS, TITLES, chain
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import interrupt

import pmbot
from pmbot import errors
from pmbot.langgraph import ApplyContext, Worker
from pmbot.v1 import approval_pb2, changeset_pb2, interrupt_pb2, run_pb2


@pytest.fixture
def operator(shared_server: Server) -> Iterator[Operator]:
    with shared_server.connect("operator") as client:
        yield Operator(client)


@pytest.fixture
def client(shared_server: Server) -> Iterator[pmbot.Client]:
    with shared_server.connect("worker", worker_id="tester") as client:
        yield client


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[SqliteSaver]:
    connection = sqlite3.connect(tmp_path / "checkpoints.sqlite3", check_same_thread=False)
    yield SqliteSaver(connection)
    connection.close()


def state_of(builder: Any, saver: SqliteSaver, thread_id: str) -> dict[str, Any]:
    graph = builder.compile(checkpointer=saver)
    values: dict[str, Any] = graph.get_state({"configurable": {"thread_id": thread_id}}).values
    return values


def answer_until_done(operator: Operator, run_id: str, seconds: float = 60) -> None:
    """Answers whatever is asked with its title in capitals, until the run has completed."""

    def step() -> bool:
        run = operator.run(run_id)
        assert run.status != run_pb2.RUN_STATUS_FAILED, run.status_reason
        for question in operator.questions(run_id):
            if question.status == interrupt_pb2.INTERRUPT_STATUS_PENDING:
                operator.answer(question, title_of(question).upper())
        return run.status == run_pb2.RUN_STATUS_COMPLETED

    eventually(step, seconds)


def test_a_run_without_questions(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    builder = chain(("node", lambda state: {"got": [state["goal"]]}))
    with working(Worker(client, {"g": builder}, checkpointer=saver)):
        run_id = operator.start("g", goal="say it")
        run = operator.wait_for(run_id, run_pb2.RUN_STATUS_COMPLETED)
    assert run.thread_id == run_id and run.attempt == 1
    assert state_of(builder, saver, run_id)["got"] == ["say it"]


@pytest.mark.parametrize("name", sorted(TITLES))
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_every_question_is_asked_once_and_gets_its_answer(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver, name: str, durability: str
) -> None:
    builder = BUILDERS[name]()
    with working(Worker(client, {name: builder}, checkpointer=saver)):
        run_id = operator.start(name, {"execution": {"durability": durability}})
        answer_until_done(operator, run_id)
    check_answers(operator, run_id, name, state_of(builder, saver, run_id))


def check_answers(operator: Operator, run_id: str, name: str, state: dict[str, Any]) -> None:
    asked = operator.questions(run_id)
    assert sorted(title_of(question) for question in asked) == TITLES[name]
    assert all(question.closed_by == approval_pb2.CLOSED_BY_DECISION for question in asked)
    assert all(question.HasField("acknowledged_at") for question in asked)
    assert sorted(state["got"]) == [[title, title.upper()] for title in TITLES[name]]


def test_a_run_waits_until_all_is_decided(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    with working(Worker(client, {"parallel": BUILDERS["parallel"]()}, checkpointer=saver)):
        run_id = operator.start("parallel")
        first, second = operator.pending(run_id, 2)
        assert {first.node_id, second.node_id} == {"p", "q"} and first.checkpoint_id
        operator.answer(first, "1")
        assert operator.run(run_id).status == run_pb2.RUN_STATUS_BLOCKED
        operator.answer(second, "2")
        answer_until_done(operator, run_id)


def test_the_helpers(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    builder = BUILDERS["helped"]()
    with working(Worker(client, {"helped": builder}, checkpointer=saver)):
        run_id = operator.start("helped")
        (call,) = operator.pending(run_id)
        assert call.kind == interrupt_pb2.INTERRUPT_KIND_APPROVE_TOOL_CALL and call.guard
        assert "ghp_" not in call.payload_json, "secrets are not shown"
        args = {"to": "b", "token": "[redacted:github_token]"}
        operator.decide(call, {"decisions": [{"action_id": "action_1", "type": "edit", "args": args}]})
        (question,) = operator.pending(run_id)
        with pytest.raises(errors.InvalidArgument):
            operator.answer(question, "many")
        operator.answer(question, 7)
        operator.wait_for(run_id, run_pb2.RUN_STATUS_COMPLETED)
    (_, decision), (_, number) = state_of(builder, saver, run_id)["got"]
    assert decision["decisions"][0]["args"] == {"to": "b", "token": "ghp_" + "a" * 36}, "unchanged, so put back"
    assert number == 7


def test_more_runs_wait_for_people_than_run_at_once(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver
) -> None:
    with working(Worker(client, {"sent": BUILDERS["sent"]()}, checkpointer=saver, concurrency=1)):
        runs = [operator.start("sent") for _ in range(3)]
        for run_id in runs:
            operator.pending(run_id, 3)
        for run_id in reversed(runs):
            answer_until_done(operator, run_id)


def test_runs_one_after_the_other_on_one_thread(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    builder = chain(("node", lambda state: {"got": [state["goal"]], "n": 1}))
    with working(Worker(client, {"g": builder}, checkpointer=saver)):
        for goal in ("one", "two"):
            run_id = operator.start("g", goal=goal, thread_id="shared")
            operator.wait_for(run_id, run_pb2.RUN_STATUS_COMPLETED)
    assert state_of(builder, saver, "shared")["got"] == ["one", "two"]


def test_a_failure_is_tried_again(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    failures = iter([ValueError("not yet")])

    def node(state: graphs.State) -> graphs.State:
        answer = interrupt("q")
        for failure in failures:
            raise failure
        return {"got": [["q", answer]]}

    builder = chain(("node", node))
    with working(Worker(client, {"g": builder}, checkpointer=saver)):
        run_id = operator.start("g")
        answer_until_done(operator, run_id)
    assert operator.run(run_id).attempt == 2
    assert state_of(builder, saver, run_id)["got"] == [["q", "Q"]]
    assert len(operator.questions(run_id)) == 1


def test_a_failure_that_stays_says_why(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    def node(state: graphs.State) -> graphs.State:
        raise ValueError("never " * 2000)

    with working(Worker(client, {"g": chain(("node", node))}, checkpointer=saver)):
        run_id = operator.start("g", {"execution": {"max_attempts": 1}})
        run = operator.wait_for(run_id, run_pb2.RUN_STATUS_FAILED)
    assert run.status_reason.startswith("ValueError: never never")
    assert len(run.status_reason.encode()) <= 4096


def test_a_question_that_is_not_json_fails_at_once(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver
) -> None:
    builder = chain(("node", lambda state: {"got": [interrupt({"a": [float("nan")]})]}))
    with working(Worker(client, {"g": builder}, checkpointer=saver)):
        run_id = operator.start("g")
        run = operator.wait_for(run_id, run_pb2.RUN_STATUS_FAILED)
    assert "$.a[0] is nan" in run.status_reason and run.attempt == 1


def test_stop_gives_back_what_waits_and_another_goes_on(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver
) -> None:
    builder = BUILDERS["sequential"]()
    with working(Worker(client, {"sequential": builder}, checkpointer=saver)):
        run_id = operator.start("sequential")
        (question,) = operator.pending(run_id)
    run = operator.run(run_id)
    assert run.status == run_pb2.RUN_STATUS_BLOCKED and run.lease_owner == ""
    operator.answer(question, "A1")
    assert operator.run(run_id).status == run_pb2.RUN_STATUS_APPROVED
    with working(Worker(client, {"sequential": builder}, checkpointer=saver)):
        answer_until_done(operator, run_id)
    assert operator.run(run_id).attempt == 1, "giving back counts no attempt"
    check_answers(operator, run_id, "sequential", state_of(builder, saver, run_id))


def test_stop_between_two_steps(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    reached = threading.Event()
    go_on = threading.Event()

    def first(state: graphs.State) -> graphs.State:
        reached.set()
        assert go_on.wait(30)
        return {"got": ["first"]}

    builder = chain(("first", first), ("second", lambda state: {"got": ["second"]}))
    worker = Worker(client, {"g": builder}, checkpointer=saver)
    with working(worker):
        run_id = operator.start("g")
        assert reached.wait(30)
        worker.stop()
        go_on.set()
    assert operator.run(run_id).status == run_pb2.RUN_STATUS_APPROVED
    assert state_of(builder, saver, run_id)["got"] == ["first"]
    with working(Worker(client, {"g": builder}, checkpointer=saver)):
        operator.wait_for(run_id, run_pb2.RUN_STATUS_COMPLETED)
    assert state_of(builder, saver, run_id)["got"] == ["first", "second"]


def test_a_cancel_ends_a_run_that_waits_for_a_person(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver
) -> None:
    spec = {"execution": {"lease_seconds": 5}}
    with working(Worker(client, {"sequential": BUILDERS["sequential"]()}, checkpointer=saver)):
        run_id = operator.start("sequential", spec)
        operator.pending(run_id)
        asked = operator.cancel(run_id, "not this week")
        assert asked.status == run_pb2.RUN_STATUS_BLOCKED and asked.HasField("cancel_requested_at")
        run = operator.wait_for(run_id, run_pb2.RUN_STATUS_CANCELLED)
    assert run.status_reason == "not this week" and run.lease_owner == ""
    (question,) = operator.questions(run_id)
    assert question.closed_by == approval_pb2.CLOSED_BY_RUN_ENDED


def test_a_cancel_stops_a_run_between_two_steps(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    def first(state: graphs.State) -> graphs.State:
        (session,) = worker._sessions
        operator.cancel(session.run.run_id)
        eventually(lambda: session.lease.ending)  # the next renewal tells of it
        return {"got": ["first"]}

    builder = chain(("first", first), ("second", lambda state: {"got": ["second"]}))
    worker = Worker(client, {"g": builder}, checkpointer=saver)
    with working(worker):
        run_id = operator.start("g", {"execution": {"lease_seconds": 5}})
        operator.wait_for(run_id, run_pb2.RUN_STATUS_CANCELLED)
    assert state_of(builder, saver, run_id)["got"] == ["first"]


def test_a_run_that_stays_over_its_budget_fails(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver
) -> None:
    def first(state: graphs.State) -> graphs.State:
        (session,) = worker._sessions
        token = session.lease.token
        used = run_pb2.RecordUsageRequest(run_id=session.run.run_id, lease_token=token, tokens=11)
        assert client.runs.RecordUsage(used).budget.over_budget
        eventually(lambda: session.lease.ending)
        return {"got": ["first"]}

    builder = chain(("first", first), ("second", lambda state: {"got": ["second"]}))
    worker = Worker(client, {"g": builder}, checkpointer=saver)
    with working(worker):
        spec = {"execution": {"lease_seconds": 5, "budget": {"max_total_tokens": 10}}}
        run = operator.wait_for(operator.start("g", spec), run_pb2.RUN_STATUS_FAILED)
    assert run.status_reason == "over budget: max_total_tokens 10, used 11"
    assert state_of(builder, saver, run.run_id)["got"] == ["first"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_server_costs_nothing(server: Server, saver: SqliteSaver, how: signal.Signals) -> None:
    reached = threading.Event()
    go_on = threading.Event()

    def slow(state: graphs.State) -> graphs.State:
        reached.set()
        assert go_on.wait(60)
        return {"got": ["slow"]}

    waiting, running = BUILDERS["sequential"](), chain(("slow", slow))
    with server.connect("operator") as operating, server.connect("worker", retry_seconds=1) as client:
        operator = Operator(operating)
        with working(Worker(client, {"waits": waiting, "runs": running}, checkpointer=saver, concurrency=2)):
            waits, runs = operator.start("waits"), operator.start("runs")
            operator.pending(waits)
            assert reached.wait(30)
            server.stop(how)
            go_on.set()
            server.start()
            answer_until_done(operator, waits)
            operator.wait_for(runs, run_pb2.RUN_STATUS_COMPLETED)
        assert operator.run(waits).attempt == operator.run(runs).attempt == 1
        check_answers(operator, waits, "sequential", state_of(waiting, saver, waits))


def test_until_ends_the_work(operator: Operator, client: pmbot.Client, saver: SqliteSaver) -> None:
    run_id = operator.start("g")
    worker = Worker(client, {"g": chain(("node", lambda state: {"got": []}))}, checkpointer=saver)
    worker.run(until=lambda: operator.run(run_id).status == run_pb2.RUN_STATUS_COMPLETED)
    assert operator.run(run_id).status == run_pb2.RUN_STATUS_COMPLETED


def test_only_a_workers_token(shared_server: Server, saver: SqliteSaver) -> None:
    for role in ("operator", "reader"):
        with shared_server.connect(role) as client:  # type: ignore[arg-type]
            worker = Worker(client, {"g": chain(("node", lambda state: {}))}, checkpointer=saver)
            with pytest.raises(errors.NotAllowed, match=f"must not run with the {role}'s token"):
                worker.run()


def test_what_a_node_makes_is_stored_once_and_applied_after_a_yes(
    operator: Operator, client: pmbot.Client, saver: SqliteSaver
) -> None:
    applied: list[str] = []
    tries = iter([RuntimeError("busy")])

    def apply(changeset: changeset_pb2.Changeset, context: ApplyContext) -> str:
        for failure in tries:
            raise failure
        assert context.run.graph_id == "producing"
        applied.append(changeset.changeset_id)
        return "c" * 40

    builder = BUILDERS["producing"]()
    worker = Worker(client, {"producing": builder}, {"producing": apply}, checkpointer=saver)
    with working(worker):
        early = operator.start("producing")
        answer_until_done(operator, early)
        (changeset,) = operator.changesets(early)
        assert state_of(builder, saver, early)["got"] == [[changeset.changeset_id, "GO ON?"]]
        (approval,) = operator.approvals(early, approval_pb2.APPROVAL_KIND_CHANGESET_APPLY)
        operator.resolve(approval)
        done = changeset_pb2.CHANGESET_STATUS_APPLIED
        eventually(lambda: operator.changesets(early)[0].status == done)
        late = operator.start("producing")
        answer_until_done(operator, late)
    (approval,) = operator.approvals(late, approval_pb2.APPROVAL_KIND_CHANGESET_APPLY)
    operator.resolve(approval)  # while no worker runs
    with working(Worker(client, {}, {"producing": apply})):
        eventually(lambda: operator.changesets(late)[0].status == done)
    assert applied == [operator.changesets(early)[0].changeset_id, operator.changesets(late)[0].changeset_id]
    assert operator.changesets(late)[0].applied_commit_sha == "c" * 40


@pytest.fixture
def programs(shared_server: Server, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts workers as programs of their own, all on the same checkpoints."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        program = Path(__file__).with_name("worker_program.py")
        where = [shared_server.address, shared_server.data, tmp_path / "checkpoints.sqlite3"]
        started.append(subprocess.Popen([sys.executable, program, *where, *arguments]))
        return started[-1]

    yield start
    for program in started:
        program.send_signal(signal.SIGTERM)
    for program in started:
        program.wait(60)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(TITLES))
def test_killed_workers_lose_nothing_and_ask_nothing_twice(
    operator: Operator, programs: Callable[..., Any], saver: SqliteSaver, name: str
) -> None:
    spec = {"execution": {"lease_seconds": 5, "max_attempts": 100}}
    run_id = operator.start(name, spec)
    answering = threading.Thread(target=answer_until_done, args=(operator, run_id, 300))
    answering.start()
    for die_at in (1, 4, 7):
        program = programs(str(die_at))
        eventually(lambda p=program: p.poll() is not None or not answering.is_alive(), 60)
    programs()
    answering.join(300)
    check_answers(operator, run_id, name, state_of(BUILDERS[name](), saver, run_id))
