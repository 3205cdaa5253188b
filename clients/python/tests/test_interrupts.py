"""The helpers that ask, in real graphs on LangGraph's own SQLite checkpointer."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from pmbot.json_text import NotJson
from pmbot.langgraph import interrupts, require_langgraph
from pmbot.langgraph.interrupts import guard_of

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    got: Annotated[list[Any], operator.add]


@pytest.fixture
def saver() -> Iterator[SqliteSaver]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    yield SqliteSaver(connection)
    connection.close()


def graph_of(node: Callable[[State], State], saver: SqliteSaver) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(checkpointer=saver)


def asked(graph: Any) -> Any:
    (interrupt,) = graph.get_state(CONFIG).interrupts
    return interrupt


def answer(graph: Any, decision: Any, guard: str | None = None) -> Any:
    """Resumes with this decision for the pending question, as the worker does."""
    question = asked(graph)
    envelope = {"guard": guard or guard_of(question.value), "decision": decision}
    return graph.invoke(Command(resume={question.id: envelope}), CONFIG)


APPROVED = {"decisions": [{"action_id": "action_1", "type": "approve"}]}


def test_approve_asks_once_and_returns_the_decision(saver: SqliteSaver) -> None:
    def node(state: State) -> State:
        actions = [{"name": "send_mail", "args": {"to": "a@b"}}, {"id": "own", "name": "log", "allow": ["approve"]}]
        return {"got": [interrupts.approve_tool_call("Send it?", actions, "A mail.", context={"why": 1})]}

    graph = graph_of(node, saver)
    graph.invoke({"got": []}, CONFIG)
    assert asked(graph).value == {
        "pmbot": {"kind": "approve_tool_call", "risk": "medium"},
        "title": "Send it?",
        "description": "A mail.",
        "context": {"why": 1},
        "actions": [
            {"id": "action_1", "name": "send_mail", "args": {"to": "a@b"}, "allow": ["approve", "edit", "reject"]},
            {"id": "own", "name": "log", "args": {}, "allow": ["approve"]},
        ],
    }
    assert answer(graph, APPROVED) == {"got": [APPROVED]}


@pytest.mark.parametrize(
    ("helper", "kind", "risk", "allow"),
    [
        (interrupts.approve_spend, "approve_spend", "medium", ["approve", "edit", "reject"]),
        (interrupts.approve_publish, "approve_publish", "high", ["approve", "reject"]),
    ],
)
def test_each_kind(saver: SqliteSaver, helper: Any, kind: str, risk: str, allow: list[str]) -> None:
    graph = graph_of(lambda state: {"got": [helper("?", [{"name": "n"}])]}, saver)
    graph.invoke({"got": []}, CONFIG)
    assert asked(graph).value["pmbot"] == {"kind": kind, "risk": risk}
    assert asked(graph).value["actions"][0]["allow"] == allow
    assert answer(graph, APPROVED) == {"got": [APPROVED]}


@pytest.mark.parametrize("given", [None, 0, "", False, [], {}, {"guard": "x"}, "text"])
def test_ask_returns_any_answer_as_it_was_given(saver: SqliteSaver, given: Any) -> None:
    graph = graph_of(lambda state: {"got": [interrupts.ask("How many?", {"type": "integer"})]}, saver)
    graph.invoke({"got": []}, CONFIG)
    assert asked(graph).value["response_schema"] == {"type": "integer"}
    assert answer(graph, {"answer": given}) == {"got": [given]}


def test_several_questions_of_one_node_get_their_own_answers(saver: SqliteSaver) -> None:
    graph = graph_of(lambda state: {"got": [interrupts.ask(title) for title in ("a", "b", "c")]}, saver)
    graph.invoke({"got": []}, CONFIG)
    for _ in range(2):
        answer(graph, {"answer": asked(graph).value["title"].upper()})
    assert answer(graph, {"answer": "C"}) == {"got": ["A", "B", "C"]}


def test_an_answer_never_reaches_a_question_that_changed(saver: SqliteSaver) -> None:
    titles = iter(["Delete a?", "Delete everything?", "Delete everything?"])
    graph = graph_of(lambda state: {"got": [interrupts.ask(next(titles))]}, saver)
    graph.invoke({"got": []}, CONFIG)
    answer(graph, {"answer": "yes, a"})
    assert asked(graph).value["title"] == "Delete everything?"
    assert answer(graph, {"answer": "no"}) == {"got": ["no"]}


def test_what_is_no_envelope_is_no_answer(saver: SqliteSaver) -> None:
    graph = graph_of(lambda state: {"got": [interrupts.ask("?")]}, saver)
    graph.invoke({"got": []}, CONFIG)
    graph.invoke(Command(resume={asked(graph).id: "bare"}), CONFIG)
    answer(graph, {"answer": "other"}, guard="0" * 64)
    assert answer(graph, {"answer": "mine"}) == {"got": ["mine"]}


def test_what_is_not_json_is_refused_in_the_node(saver: SqliteSaver) -> None:
    graph = graph_of(lambda state: {"got": [interrupts.ask("?", context={"at": object()})]}, saver)
    with pytest.raises(NotJson, match=r"\$\.context\.at is a builtins\.object"):
        graph.invoke({"got": []}, CONFIG)


@pytest.mark.parametrize("version", ["1.2.19", "1.2.9", "0.9", "1.1.99", "1.2"])
def test_older_langgraph_is_refused(version: str) -> None:
    with pytest.raises(ImportError, match="1.2.20 or newer, and " + version):
        require_langgraph(version)


@pytest.mark.parametrize("version", ["1.2.20", "1.2.22", "1.3.0", "2.0", "1.2.20rc1"])
def test_newer_langgraph_is_accepted(version: str) -> None:
    require_langgraph(version)
