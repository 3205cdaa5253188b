"""What a worker refuses before it begins, and how it counts what it may do; no server is needed for that."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from graphs import chain
from langgraph.checkpoint.sqlite import SqliteSaver

import pmbot
from pmbot.langgraph import Worker
from pmbot.langgraph.lease import Ending, Lease
from pmbot.langgraph.slots import Slots


@pytest.fixture
def client() -> Iterator[pmbot.Client]:
    with pmbot.connect("127.0.0.1:1", token="x", role="worker") as client:
        yield client


@pytest.fixture
def saver() -> Iterator[SqliteSaver]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    yield SqliteSaver(connection)
    connection.close()


def builder() -> Any:
    return chain(("a", lambda state: {}), ("b", lambda state: {}))


def test_static_breakpoints_are_refused(client: pmbot.Client, saver: SqliteSaver) -> None:
    for options in ({"interrupt_before": ["b"]}, {"interrupt_after": ["a"]}, {"interrupt_before": "*"}):
        factory = lambda checkpointer: builder().compile(checkpointer=checkpointer, **options)  # noqa: E731, B023
        with pytest.raises(ValueError, match="g: static breakpoints"):
            Worker(client, {"g": factory}, checkpointer=saver)
    inner = builder().compile(interrupt_before=["b"])
    with pytest.raises(ValueError, match="g, subgraph sub: static breakpoints"):
        Worker(client, {"g": chain(("sub", inner))}, checkpointer=saver)


def test_graphs_that_cannot_be_used(client: pmbot.Client, saver: SqliteSaver) -> None:
    with pytest.raises(ValueError, match="its factory must compile the graph with the checkpointer"):
        Worker(client, {"g": lambda checkpointer: builder().compile()}, checkpointer=saver)
    with pytest.raises(ValueError, match="give the StateGraph builder"):
        Worker(client, {"g": builder().compile(checkpointer=saver)}, checkpointer=saver)
    with pytest.raises(ValueError, match="needs a checkpointer"):
        Worker(client, {"g": builder()})
    with pytest.raises(ValueError, match="at least one graph or applier"):
        Worker(client, {}, checkpointer=saver)
    with pytest.raises(ValueError, match="concurrency is 0"):
        Worker(client, {"g": builder()}, checkpointer=saver, concurrency=0)


def test_worker_id(client: pmbot.Client, saver: SqliteSaver) -> None:
    made = Worker(client, {"g": builder()}, checkpointer=saver).worker_id
    assert 1 <= len(made) <= 100 and made != Worker(client, {"g": builder()}, checkpointer=saver).worker_id
    assert Worker(client, {"g": builder()}, checkpointer=saver, worker_id="mine").worker_id == "mine"
    named = client.with_worker_id("theirs")
    assert Worker(named, {"g": builder()}, checkpointer=saver).worker_id == "theirs"


def lease(client: pmbot.Client) -> Lease:
    return Lease(client, "run_1", "token", 60)


def test_slots_bound_what_runs_but_not_what_waits(client: pmbot.Client) -> None:
    slots = Slots(1)
    slots.expect()
    assert not slots.wait_for_room(0)
    with slots.taken(lease(client)):
        assert not slots.wait_for_room(0)
        with slots.left(lease(client)):
            assert slots.wait_for_room(0)
            slots.expect()
            with slots.taken(lease(client)):
                assert not slots.wait_for_room(0)
        assert not slots.wait_for_room(0)
    assert slots.wait_for_room(0)


def test_a_run_that_must_stop_does_not_wait_for_a_place(client: pmbot.Client) -> None:
    slots = Slots(1)
    slots.expect()
    with slots.taken(lease(client)):
        stopped = lease(client)
        stopped.end(Ending.STOPPING)
        slots.expect()
        with slots.taken(stopped):
            pass


def test_a_lease_tells_its_listeners_and_keeps_the_worst_reason(client: pmbot.Client) -> None:
    held = lease(client)
    told: list[str] = []
    with held.listening(lambda: told.append("first")):
        held.end(Ending.CANCELLED)
        held.end(Ending.STOPPING)
    assert told == ["first"] and held.ending is Ending.CANCELLED
    with held.listening(lambda: told.append("late")):
        pass
    assert told == ["first", "late"], "who listens too late is told at once"
    held.end(Ending.LOST)
    assert held.ending is Ending.LOST
    assert held.wait(0)


def test_waiting_on_a_lease_ends_with_it(client: pmbot.Client) -> None:
    held = lease(client)
    threading.Thread(target=lambda: held.end(Ending.STOPPING)).start()
    assert held.wait(30)
