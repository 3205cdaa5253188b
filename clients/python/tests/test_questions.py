"""Between LangGraph's interrupts and the contract's questions and decisions."""

from __future__ import annotations

import json
import operator
import sqlite3
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from test_json_text import values

from pmbot.json_text import NotJson
from pmbot.langgraph.interrupts import guard_of
from pmbot.langgraph.questions import TITLE_LENGTH, Asked, pending_questions, to_answer, to_question
from pmbot.langgraph.spec import BadSpec, plan_of
from pmbot.v1 import approval_pb2, interrupt_pb2, run_pb2


def plain(value: Any, schema: dict[str, Any] | None = None) -> Asked:
    return Asked("id", value, schema, "node", "checkpoint")


def decided(decision: Any, guard: str = "") -> interrupt_pb2.Decision:
    return interrupt_pb2.Decision(decision_json=json.dumps(decision), guard=guard)


@given(values)
def test_every_plain_value_is_a_question_that_keeps_it(value: Any) -> None:
    try:
        question = to_question(plain(value))
    except NotJson as refused:
        assert "levels deep" in str(refused)
        return
    payload = json.loads(question.payload_json)
    if not isinstance(value, dict) or not isinstance(value.get("pmbot"), dict):
        assert question.kind == interrupt_pb2.INTERRUPT_KIND_QUESTION
        assert payload["context"] == value
        assert 0 < len(payload["title"]) <= TITLE_LENGTH
        assert "actions" not in payload and question.guard == ""


@given(values)
def test_every_answer_arrives_as_it_was_given(value: Any) -> None:
    assert to_answer(plain("?"), decided({"answer": value})) == value


def test_plain_question() -> None:
    question = to_question(plain({"question": "How  many\nthen?", "of": [1]}, {"type": "integer"}))
    assert question.external_id == "id"
    assert (question.node_id, question.checkpoint_id) == ("node", "checkpoint")
    assert question.payload_json == (
        '{"context":{"of":[1],"question":"How  many\\nthen?"},'
        '"response_schema":{"type":"integer"},"title":"How many then?"}'
    )
    assert question.risk == approval_pb2.RISK_UNSPECIFIED


@pytest.mark.parametrize(
    ("value", "title"),
    [("", "A question without words"), (7, "7"), ([1, "ü"], '[1,"ü"]'), ("x" * 500, "x" * 119 + "…")],
)
def test_titles(value: Any, title: str) -> None:
    assert json.loads(to_question(plain(value)).payload_json)["title"] == title


def test_what_is_not_json_is_named_with_its_path() -> None:
    with pytest.raises(NotJson, match=r"\$\.a is nan"):
        to_question(plain({"title": "?", "a": float("nan")}))


def helper_value(**action: Any) -> dict[str, Any]:
    return {
        "pmbot": {"kind": "approve_spend", "risk": "high"},
        "title": "Spend?",
        "actions": [{"id": "a", "name": "pay", "args": {"card": "4111", "list": ["s1", "s2"], "n": 1}, **action}],
    }


def test_helpers_question() -> None:
    value = helper_value()
    question = to_question(plain(value))
    assert question.kind == interrupt_pb2.INTERRUPT_KIND_APPROVE_SPEND
    assert question.risk == approval_pb2.RISK_HIGH
    assert question.guard == guard_of(value)
    assert json.loads(question.payload_json) == {key: value[key] for key in ("title", "actions")}


@pytest.mark.parametrize("mark", [{}, {"kind": "approve_all", "risk": "low"}, {"kind": "question", "risk": "extreme"}])
def test_a_damaged_mark_is_refused(mark: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        to_question(plain({"pmbot": mark, "title": "?"}))


def test_redacted_leaves_are_put_back_where_they_were() -> None:
    edited = {"card": "[redacted:credit_card]", "list": ["s1", "[redacted:key]"], "n": 2, "new": "[redacted:x]"}
    decision = {"decisions": [{"action_id": "a", "type": "edit", "args": edited}]}
    answer = to_answer(plain(helper_value()), decided(decision, "guard"))
    assert answer["guard"] == "guard"
    assert answer["decision"]["decisions"][0]["args"] == {
        "card": "4111",
        "list": ["s1", "s2"],
        "n": 2,
        "new": "[redacted:x]",
    }


def test_redacted_leaves_are_not_guessed() -> None:
    edited = {"card": "my [redacted:credit_card]", "list": ["[redacted:key]"]}
    decision = {"decisions": [{"action_id": "a", "type": "edit", "args": edited}]}
    answer = to_answer(plain(helper_value()), decided(decision))
    assert answer["decision"]["decisions"][0]["args"] == edited


class State(TypedDict, total=False):
    got: Annotated[list[Any], operator.add]


CONFIG: Any = {"configurable": {"thread_id": "t"}}


def ask(*titles: str) -> Any:
    return lambda state: {"got": [[title, interrupt(title)] for title in titles]}


def compiled(saver: Any, *nodes: tuple[str, Any], parallel: bool = False) -> Any:
    builder = StateGraph(State)
    before = START
    for name, node in nodes:
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = before if parallel else name
    return builder.compile(checkpointer=saver)


def test_pending_questions_of_every_form_of_graph() -> None:
    saver = SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))
    inner = compiled(None, ("deep", ask("d1", "d2")))
    middle = compiled(None, ("middle", inner))

    def spread(state: State) -> list[Send]:
        return [Send("sent", {"got": [number]}) for number in range(2)]

    builder = StateGraph(State)
    builder.add_node("sent", lambda state: {"got": [interrupt(f"s{state['got'][0]}")]})
    builder.add_node("sub", middle)
    builder.add_node("flat", ask("f1", "f2"))
    builder.add_conditional_edges(START, spread)
    builder.add_edge(START, "sub")
    builder.add_edge(START, "flat")
    graph = builder.compile(checkpointer=saver)
    graph.invoke({"got": []}, CONFIG)

    seen: list[str] = []
    for _ in range(10):
        state = graph.get_state(CONFIG, subgraphs=True)
        pending = pending_questions(state)
        if not pending:
            break
        assert len({one.external_id for one in pending}) == len(pending)
        assert {one.node_id for one in pending if one.value.startswith("d")} <= {"deep"}
        seen += [one.value for one in pending if one.value not in seen]
        # Answered one at a time, so that answered and open questions stand beside each other in one step.
        graph.invoke(Command(resume={pending[0].external_id: pending[0].value.upper()}), CONFIG)
    assert sorted(seen) == ["d1", "d2", "f1", "f2", "s0", "s1"]
    assert graph.get_state(CONFIG).next == ()
    pairs = [got for got in graph.get_state(CONFIG).values["got"] if isinstance(got, list)]
    assert all(answer == title.upper() for title, answer in pairs)


def test_the_deepest_is_who_asks() -> None:
    saver = SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))
    graph = compiled(saver, ("outer", compiled(None, ("inner", ask("q")))))
    graph.invoke({"got": []}, CONFIG)
    (pending,) = pending_questions(graph.get_state(CONFIG, subgraphs=True))
    top = graph.get_state(CONFIG).config["configurable"]["checkpoint_id"]
    assert pending.node_id == "inner" and pending.checkpoint_id not in ("", top)


def run_with(spec: Any, **fields: Any) -> run_pb2.Run:
    text = spec if isinstance(spec, str) else json.dumps(spec)
    return run_pb2.Run(run_id="run_1", goal="do it", agent_run_spec_json=text, **fields)


def test_plan_of_an_empty_spec() -> None:
    plan = plan_of(run_with({}))
    assert plan.input == {"goal": "do it"}
    assert plan.config == {"configurable": {"thread_id": "run_1"}, "metadata": {"pmbot_run_id": "run_1"}}
    assert plan.durability == "sync"


def test_plan_takes_what_the_spec_says() -> None:
    spec = {
        "input": {"x": 1},
        "config": {"recursion_limit": 7, "tags": ["a"], "configurable": {"model": "m"}},
        "execution": {"durability": "exit"},
    }
    plan = plan_of(run_with(spec, thread_id="thread"))
    assert plan.input == {"x": 1} and plan.durability == "exit" and plan.thread_id == "thread"
    assert plan.config["recursion_limit"] == 7 and plan.config["tags"] == ["a"]
    assert plan.config["configurable"] == {"model": "m", "thread_id": "thread"}


@pytest.mark.parametrize(
    "spec",
    [
        "[]",
        "{",
        {"config": 7},
        {"config": {"configurable": {"thread_id": "other"}}},
        {"config": {"configurable": {"checkpoint_id": "old"}}},
        {"execution": {"durability": "never"}},
    ],
)
def test_a_spec_that_cannot_be_carried_out(spec: Any) -> None:
    with pytest.raises(BadSpec):
        plan_of(run_with(spec))
