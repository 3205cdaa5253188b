"""The graph `repo_change_proposer/v1`: scan, ask, write, propose.

    scan ──┬─> ask ──┬─> write ──> propose
           └ clean   └ refused

Every node may be run again from its start, after a crash or to take an answer: what it does then is the same, byte for
byte. The graph keeps small JSON only; the diff is in it because it is what was asked about.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from pmbot.demo import inventory
from pmbot.demo.git import GitError
from pmbot.demo.proposal import Proposal, propose
from pmbot.demo.repository import find_repository
from pmbot.demo.scratch import borrowed, held, scratch_clone
from pmbot.langgraph import RunContext
from pmbot.langgraph.interrupts import approve_tool_call
from pmbot.v1 import artifact_pb2

ACTION_ID = "apply"


class State(TypedDict, total=False):
    """What the graph keeps between its nodes. `repository` and `base_commit` are its input."""

    repository: str
    base_commit: str
    proposal: Proposal
    decision: Literal["approve", "edit", "reject"]
    message: str
    files: list[dict[str, str]]
    patch_artifact_id: str
    patch_sha256: str
    changeset_id: str
    outcome: str


def repo_change_proposer() -> StateGraph[State, RunContext, State, State]:
    """Builds the graph."""
    builder = StateGraph(State, context_schema=RunContext)
    builder.add_node("scan", _scan)
    builder.add_node("ask", _ask)
    builder.add_node("write", _write)
    builder.add_node("propose", _propose)
    builder.add_edge(START, "scan")
    builder.add_conditional_edges("scan", lambda state: "ask" if state["proposal"]["diff"] else END, ["ask", END])
    builder.add_conditional_edges("ask", _after_ask, ["write", END])
    builder.add_conditional_edges("write", lambda state: "propose" if state["files"] else END, ["propose", END])
    builder.add_edge("propose", END)
    return builder


def _after_ask(state: State) -> str:
    return END if state["decision"] == "reject" else "write"


def _scan(state: State) -> State:
    with borrowed(find_repository(Path(state["repository"])), state["base_commit"]) as scratch:
        proposal = propose(scratch)
    if not proposal["diff"]:
        return {"proposal": proposal, "outcome": "Nothing to do: the repository is tidy and its inventory up to date."}
    return {"proposal": proposal}


def _ask(state: State) -> State:
    proposal = state["proposal"]
    description = _description(proposal)
    trouble = ""
    while True:
        answer = approve_tool_call(
            title="Apply this diff to a scratch clone",
            description=trouble + description,
            risk="medium",
            actions=[
                {
                    "id": ACTION_ID,
                    "name": "apply_diff",
                    "args": {"diff": proposal["diff"]},
                    "description": f"Writes to a clone of {state['repository']} at {state['base_commit'][:12]}, "
                    "never to the repository itself.",
                    "allow": ["approve", "edit", "reject"],
                    "args_schema": {
                        "type": "object",
                        "properties": {"diff": {"type": "string", "minLength": 1}},
                        "required": ["diff"],
                        "additionalProperties": False,
                    },
                }
            ],
        )
        decision = answer["decisions"][0]
        if decision["type"] == "reject":
            message = decision.get("message") or ""
            reason = f": {message}" if message else "."
            return {"decision": "reject", "message": message, "outcome": f"The diff was refused{reason}"}
        if decision["type"] == "approve":
            return {"decision": "approve"}
        diff = decision["args"]["diff"]
        diff += "" if diff.endswith("\n") else "\n"
        refusal = _refusal(state, diff)
        if refusal is None:
            return {"decision": "edit", "proposal": Proposal(diff=diff, summary="as the operator edited it", notes=[])}
        trouble = f"The edited diff does not apply ({refusal}); this is the first one again.\n\n"


def _refusal(state: State, diff: str) -> str | None:
    with borrowed(find_repository(Path(state["repository"])), state["base_commit"]) as scratch:
        try:
            scratch.apply(diff.encode("utf-8"))
        except GitError as refusal:
            return str(refusal)[:500]
    return None


def _write(state: State, runtime: Runtime[RunContext]) -> State:
    source = find_repository(Path(state["repository"]))
    clone = scratch_clone(source, state["base_commit"], runtime.context.run.run_id)
    with held(clone, state["base_commit"]) as scratch:
        scratch.apply(state["proposal"]["diff"].encode("utf-8"))
        tree = scratch.git("write-tree").decode("ascii").strip()
        patch, files = scratch.diff(), scratch.changed()
        scratch.show(tree)
    runtime.context.artifact(
        "demo.log",
        _log(state, files).encode("utf-8"),
        artifact_pb2.ARTIFACT_KIND_LOG,
        content_type="text/plain; charset=utf-8",
        title="What the demo found and did",
    )
    if not files:
        return {"files": [], "outcome": "The edited diff changes nothing, so nothing is proposed."}
    stored = runtime.context.artifact(
        "changes.patch",
        patch,
        artifact_pb2.ARTIFACT_KIND_PATCH,
        content_type="text/x-diff; charset=utf-8",
        title=_title(files),
    )
    return {
        "files": files,
        "patch_artifact_id": stored.artifact_id,
        "patch_sha256": hashlib.sha256(patch).hexdigest(),
    }


def _propose(state: State, runtime: Runtime[RunContext]) -> State:
    changeset = runtime.context.changeset(
        {
            "base_commit": state["base_commit"],
            "title": _title(state["files"]),
            "description": _description(state["proposal"]),
            "files": state["files"],
            "patch_artifact_id": state["patch_artifact_id"],
            "patch_sha256": state["patch_sha256"],
        }
    )
    return {"changeset_id": changeset.changeset_id, "outcome": f"Proposed {changeset.changeset_id}."}


def _title(files: list[dict[str, str]]) -> str:
    if [file["path"] for file in files] == [inventory.PATH]:
        return f"Bring {inventory.PATH} up to date"
    return f"Tidy {files[0]['path']}"[:200] if len(files) == 1 else f"Tidy {len(files)} files"


def _description(proposal: Proposal) -> str:
    summary = proposal["summary"]
    return "\n".join([summary[:1].upper() + summary[1:] + ".", *proposal["notes"]])


def _log(state: State, files: list[dict[str, str]]) -> str:
    lines = [f"base commit {state['base_commit']}", f"decision {state['decision']}", _description(state["proposal"])]
    return "\n".join(lines + [f"{file['change']} {file['path']}" for file in files]) + "\n"
