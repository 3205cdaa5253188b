"""What a run's spec says about how its graph is invoked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pmbot.v1 import run_pb2

RUN_KEY = "pmbot_run_id"
"""The key in each checkpoint's metadata by which a run knows its own checkpoints again."""

DURABILITIES = ("sync", "async", "exit")
_OURS = ("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map")


class BadSpec(ValueError):
    """The run's spec cannot be carried out, however often it is tried."""


@dataclass(frozen=True)
class Plan:
    """How a run's graph is invoked."""

    input: Any
    """What the graph begins with."""
    config: dict[str, Any]
    """LangGraph's config, with the thread."""
    durability: str
    """When LangGraph stores: `sync`, `async` or `exit`."""
    thread_id: str


def plan_of(run: run_pb2.Run) -> Plan:
    """Reads the run's spec.

    Raises:
        BadSpec: when it says something that cannot be done.
    """
    try:
        spec = json.loads(run.agent_run_spec_json or "{}")
        given = dict(spec.get("config") or {})
        execution = dict(spec.get("execution") or {})
        configurable = dict(given.get("configurable") or {})
        metadata = dict(given.get("metadata") or {})
    except (ValueError, TypeError, AttributeError) as error:
        raise BadSpec(f"agent_run_spec_json is not of its shape: {error}") from error
    taken = [key for key in _OURS if key in configurable]
    if taken:
        raise BadSpec(f"config.configurable names {', '.join(taken)}, which only the worker may set")
    durability = execution.get("durability", "sync")
    if durability not in DURABILITIES:
        raise BadSpec(f"execution.durability is {durability!r}; it must be one of {', '.join(DURABILITIES)}")
    thread_id = run.thread_id or run.run_id
    config = {
        **given,
        "configurable": {**configurable, "thread_id": thread_id},
        # Several runs may follow each other on one thread; this tells a run's own checkpoints from its forerunners'.
        "metadata": {**metadata, RUN_KEY: run.run_id},
    }
    return Plan(spec.get("input", {"goal": run.goal}), config, durability, thread_id)
