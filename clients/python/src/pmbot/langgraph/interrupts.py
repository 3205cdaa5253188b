"""Asking the person from inside a node, with a kind, a risk, and a guard against answers that belong elsewhere.

Each helper stops the graph, as LangGraph's `interrupt` does, and returns with the person's decision once there is one.
A node runs again from its beginning when it is resumed, so what it asks must not change between two runs of it: no
times, no random ids. If it does ask something else, the helper notices by the guard and asks that too; it never takes
the answer to another question for its own. Ask with these from one thread of a node at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from langgraph.types import interrupt

from pmbot.json_text import canonical_json

Kind = Literal["approve_tool_call", "approve_spend", "approve_publish", "question"]
RiskName = Literal["low", "medium", "high"]
Action = Mapping[str, Any]
"""One thing to approve: `name`, and optionally `id`, `args`, `description`, `allow`, `args_schema`."""

MARK = "pmbot"
"""The key that tells a value made here from any other."""

_ALLOW: dict[str, list[str]] = {
    "approve_tool_call": ["approve", "edit", "reject"],
    "approve_spend": ["approve", "edit", "reject"],
    "approve_publish": ["approve", "reject"],
}


def approve_tool_call(
    title: str,
    actions: Sequence[Action],
    description: str = "",
    risk: RiskName = "medium",
    context: Any = None,
) -> dict[str, Any]:
    """Asks whether these tool calls may be made.

    Args:
        title: what is asked, in a few words.
        actions: 1 to 100 calls: each a `name` and optionally `args` (an object), an `id` (unique among them; default
            `action_1` and so on), a `description`, `allow` (of `approve`, `edit`, `reject`, `respond`; default all
            but `respond`) and `args_schema` (a JSON schema that edited arguments must match).
        description: more about it.
        risk: how bad a wrong yes could be; it may be raised above `medium`, not lowered.
        context: anything else that is JSON, shown beside it.

    Returns:
        `{"decisions": [{"action_id", "type", "args"?, "message"?}]}`, one for each action.

    Raises:
        NotJson: when something of it is not JSON, with the path to it.
    """
    return _approve("approve_tool_call", title, actions, description, risk, context)


def approve_spend(
    title: str,
    actions: Sequence[Action],
    description: str = "",
    risk: RiskName = "medium",
    context: Any = None,
) -> dict[str, Any]:
    """Asks whether this may be spent. Arguments and result are those of `approve_tool_call`.

    An action may ask for more of the run's budget: with the `args` `{"budget": {"max_total_tokens": 200_000}}` a yes
    makes that the new limit (also `max_tool_calls`, `max_cost_micros` and `max_wall_seconds`), an edit what it says.
    """
    return _approve("approve_spend", title, actions, description, risk, context)


def approve_publish(
    title: str,
    actions: Sequence[Action],
    description: str = "",
    risk: RiskName = "high",
    context: Any = None,
) -> dict[str, Any]:
    """Asks whether this may be shown to others. As `approve_tool_call`, but `edit` is allowed only where asked for."""
    return _approve("approve_publish", title, actions, description, risk, context)


def ask(
    title: str,
    response_schema: Mapping[str, Any] | None = None,
    description: str = "",
    risk: RiskName = "low",
    context: Any = None,
) -> Any:
    """Asks a question and returns its answer, any JSON value.

    Args:
        title: the question.
        response_schema: a JSON schema (draft 2020-12) that the answer must match; the server holds the person to it.
        description: more about it.
        risk: how bad a wrong answer could be.
        context: anything else that is JSON, shown beside it.

    Raises:
        NotJson: when something of it is not JSON, with the path to it.
    """
    value = _value("question", title, description, risk, context)
    if response_schema is not None:
        value["response_schema"] = dict(response_schema)
    return _decide(value)["answer"]


def guard_of(value: Any) -> str:
    """What a helper recognises its own question by: the SHA-256 of the value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _approve(
    kind: Kind, title: str, actions: Sequence[Action], description: str, risk: RiskName, context: Any
) -> dict[str, Any]:
    value = _value(kind, title, description, risk, context)
    value["actions"] = [
        {"id": f"action_{number}", "args": {}, "allow": _ALLOW[kind], **action}
        for number, action in enumerate(actions, start=1)
    ]
    return _decide(value)


def _value(kind: Kind, title: str, description: str, risk: RiskName, context: Any) -> dict[str, Any]:
    """The question without what its kind adds: the contract's payload, and beside it the mark."""
    value: dict[str, Any] = {MARK: {"kind": kind, "risk": risk}, "title": title}
    if description:
        value["description"] = description
    if context is not None:
        value["context"] = context
    return value


def _decide(value: dict[str, Any]) -> dict[str, Any]:
    """Stops the graph at this question until the answer to exactly this question is there."""
    guard = guard_of(value)
    envelope = interrupt(value)
    # LangGraph hands out answers by the order of questions in a node. If the node asked something else before it was
    # replayed, this is the answer to that; the next turn asks in the next place.
    while not (isinstance(envelope, dict) and envelope.get("guard") == guard):
        envelope = interrupt(value)
    decision: dict[str, Any] = envelope["decision"]
    return decision
