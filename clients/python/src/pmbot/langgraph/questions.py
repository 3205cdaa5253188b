"""Between LangGraph's interrupts and the contract's questions and decisions, both ways."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from langgraph.types import StateSnapshot

from pmbot.json_text import canonical_json
from pmbot.langgraph.interrupts import MARK, guard_of
from pmbot.v1 import approval_pb2, interrupt_pb2

TITLE_LENGTH = 120
"""How many characters of a plain value become its title."""

_REDACTED = re.compile(r"\[redacted:[^\]]*\]")
_TITLE_KEYS = ("title", "question", "message", "prompt", "description")


@dataclass(frozen=True)
class Asked:
    """One question that a graph stands at."""

    external_id: str
    """LangGraph's `Interrupt.id`, the key of the resume map."""
    value: Any
    """What was given to `interrupt`."""
    response_schema: dict[str, Any] | None
    """The JSON schema that the asker wants the answer to match."""
    node_id: str
    """The node that asks."""
    checkpoint_id: str
    """The checkpoint that it asks at."""


def pending_questions(snapshot: StateSnapshot) -> list[Asked]:
    """All questions that wait for an answer, of the graph and its subgraphs, each once.

    Args:
        snapshot: the latest state, taken with `subgraphs=True`.
    """
    found: dict[str, Asked] = {}
    _collect(snapshot, found)
    return list(found.values())


def _collect(snapshot: StateSnapshot, found: dict[str, Asked]) -> None:
    checkpoint_id = snapshot.config.get("configurable", {}).get("checkpoint_id", "")
    for task in snapshot.tasks:
        for one in task.interrupts:
            schema = one.response_schema if isinstance(one.response_schema, dict) else None
            found[one.id] = Asked(one.id, one.value, schema, task.name, checkpoint_id)
        # A subgraph's question stands in every graph above it too. The deepest is who asks, so it is written last.
        if isinstance(task.state, StateSnapshot):
            _collect(task.state, found)


def to_question(asked: Asked) -> interrupt_pb2.Question:
    """The question as it is raised.

    Raises:
        NotJson: when the value is not JSON, with the path to the part that is not.
        ValueError: when the value has the helpers' mark, but not their shape.
    """
    canonical_json(asked.value)  # refused here, the path is one that the asker knows
    question = interrupt_pb2.Question(
        external_id=asked.external_id,
        node_id=asked.node_id[:200],
        checkpoint_id=asked.checkpoint_id,
        kind=interrupt_pb2.INTERRUPT_KIND_QUESTION,
    )
    if _made_by_helper(asked.value):
        mark = asked.value[MARK]
        question.kind = _enum(interrupt_pb2.InterruptKind, "INTERRUPT_KIND", mark.get("kind"))
        question.risk = _enum(approval_pb2.Risk, "RISK", mark.get("risk"))
        question.payload_json = canonical_json({key: part for key, part in asked.value.items() if key != MARK})
        question.guard = guard_of(asked.value)
    else:
        payload: dict[str, Any] = {"title": _title(asked.value), "context": asked.value}
        if asked.response_schema is not None:
            payload["response_schema"] = asked.response_schema
        question.payload_json = canonical_json(payload)
    return question


def to_answer(asked: Asked, decision: interrupt_pb2.Decision) -> Any:
    """What the asker gets: the answer itself, or for the helpers' questions the guard and the decision."""
    given = json.loads(decision.decision_json)
    if not _made_by_helper(asked.value):
        return given["answer"]
    return {"guard": decision.guard, "decision": _with_originals(given, asked.value)}


def _made_by_helper(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get(MARK), dict)


def _enum(enum: Any, prefix: str, name: object) -> Any:
    """The enum's value for its name in small letters and without prefix."""
    known = [key for key in enum.keys() if not key.endswith("_UNSPECIFIED")]
    full = f"{prefix}_{str(name).upper()}"
    if full not in known:
        names = ", ".join(key.removeprefix(f"{prefix}_").lower() for key in known)
        raise ValueError(f"{name!r} is none of {names}")
    return enum.Value(full)


def _title(value: Any) -> str:
    """A short text for people: a text's beginning, what an object calls its title, or its beginning as JSON."""
    text = value
    if isinstance(value, dict):
        text = next((value[key] for key in _TITLE_KEYS if isinstance(value.get(key), str)), value)
    if not isinstance(text, str):
        text = canonical_json(text)
    text = " ".join(text.split()) or "A question without words"
    return text if len(text) <= TITLE_LENGTH else text[: TITLE_LENGTH - 1] + "…"


def _with_originals(decision: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The decision, with what the person saw only as `[redacted:…]` put back into edited arguments."""
    originals = {action.get("id"): action.get("args") for action in value.get("actions", ())}
    for one in decision.get("decisions", ()):
        if "args" in one:
            one["args"] = _restored(one["args"], originals.get(one["action_id"]))
    return decision


def _restored(edited: Any, original: Any) -> Any:
    if isinstance(edited, str) and _REDACTED.fullmatch(edited):
        return edited if original is None else original
    if isinstance(edited, dict) and isinstance(original, dict):
        return {key: _restored(part, original.get(key)) for key, part in edited.items()}
    # In a list of another length nobody knows which entry was which; a visible `[redacted:…]` is better than a guess.
    if isinstance(edited, list) and isinstance(original, list) and len(edited) == len(original):
        return [_restored(part, before) for part, before in zip(edited, original, strict=True)]
    return edited
