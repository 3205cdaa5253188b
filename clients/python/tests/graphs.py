"""The graphs that worker tests run. Their state keeps each question with the answer that it got."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt

from pmbot.langgraph import RunContext, interrupts


def union(old: list[Any], new: list[Any]) -> list[Any]:
    """Adds what is not there yet."""
    return old + [item for item in new if item not in old]


class State(TypedDict, total=False):
    """`got` holds [question, answer] pairs."""

    goal: str
    got: Annotated[list[Any], union]
    n: Annotated[int, operator.add]


def ask(*titles: str) -> Callable[[State], State]:
    """A node that asks one question after the other."""
    return lambda state: {"got": [[title, interrupt(title)] for title in titles]}


def chain(*nodes: tuple[str, Any]) -> Any:
    """One node after the other."""
    builder = StateGraph(State)
    before = START
    for name, node in nodes:
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    return builder


def sequential() -> Any:
    """Three questions in one node, one in the next."""
    return chain(("first", ask("a1", "a2", "a3")), ("second", ask("b1")))


def parallel() -> Any:
    """Two nodes that ask two questions each at the same time, one that asks none, and one after them."""
    builder = StateGraph(State)
    builder.add_node("p", ask("p1", "p2"))
    builder.add_node("q", ask("q1", "q2"))
    builder.add_node("r", lambda state: {"got": []})
    builder.add_node("after", ask("z1"))
    for name in "pqr":
        builder.add_edge(START, name)
    builder.add_edge(["p", "q", "r"], "after")
    return builder


def sent() -> Any:
    """Three tasks of one node."""
    builder = StateGraph(State)
    builder.add_node("w", lambda state: {"got": [[f"w{state['n']}", interrupt(f"w{state['n']}")]]})
    builder.add_conditional_edges(START, lambda state: [Send("w", {"n": number}) for number in range(3)])
    return builder


def nested() -> Any:
    """Questions before, in two levels of subgraph, and after."""
    inner = chain(("inner", ask("i1", "i2"))).compile()
    middle = chain(("m", ask("m1")), ("deep", inner)).compile()
    return chain(("before", ask("x1")), ("sub", middle), ("after", ask("y1")))


def helped() -> Any:
    """A tool call to approve, then a question, both by the helpers."""

    def node(state: State) -> State:
        actions = [{"name": "send", "args": {"to": "a", "token": "ghp_" + "a" * 36}}]
        decision = interrupts.approve_tool_call("Send?", actions)
        return {"got": [["Send?", decision], ["How many?", interrupts.ask("How many?", {"type": "integer"})]]}

    return chain(("node", node))


def producing() -> Any:
    """Stores an artifact and proposes a changeset, then asks, so that it does both again when it is resumed."""

    def node(state: State, runtime: Runtime[RunContext]) -> State:
        artifact = runtime.context.artifact("change.patch", b"a patch", kind="patch", metadata={"n": 1})
        changeset = runtime.context.changeset(
            {
                "base_commit": "0" * 40,
                "title": "A change",
                "description": "",
                "files": [{"path": "a.txt", "change": "modified"}],
                "patch_artifact_id": artifact.artifact_id,
                "patch_sha256": artifact.hash,
            }
        )
        return {"got": [[changeset.changeset_id, interrupt("go on?")]]}

    builder = StateGraph(State, context_schema=RunContext)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder


TITLES = {
    "sequential": ["a1", "a2", "a3", "b1"],
    "parallel": ["p1", "p2", "q1", "q2", "z1"],
    "sent": ["w0", "w1", "w2"],
    "nested": ["i1", "i2", "m1", "x1", "y1"],
}
"""What each graph asks."""

BUILDERS: dict[str, Callable[[], Any]] = {
    "sequential": sequential,
    "parallel": parallel,
    "sent": sent,
    "nested": nested,
    "helped": helped,
    "producing": producing,
}
