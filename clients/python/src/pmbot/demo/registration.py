"""The first calls of a demo: a workspace, a repo and a run, each made once however often the demo is killed."""

from __future__ import annotations

import json

from pmbot.client import Client
from pmbot.demo import GRAPH_ID
from pmbot.demo.repository import Repository
from pmbot.demo.state import State, StateFolder
from pmbot.errors import AlreadyExists
from pmbot.v1 import repo_pb2, run_pb2, workspace_pb2


def register(client: Client, folder: StateFolder, state: State, repository: Repository) -> None:
    """Makes what the state does not name yet, and writes each id down when it is known.

    Raises PmbotError.
    """
    folder.save(state)
    if not state.workspace_id:
        state.workspace_id = _workspace(client, state)
        folder.save(state)
    if not state.repo_id:
        state.repo_id = _repo(client, state, repository)
        folder.save(state)
    if not state.run_id:
        state.run_id = _run(client, state, repository)
        folder.save(state)


def _workspace(client: Client, state: State) -> str:
    request = workspace_pb2.CreateWorkspaceRequest(request_id=state.workspace_request_id, name=f"demo {state.short_id}")
    try:
        return str(client.workspaces.CreateWorkspace(request).workspace.workspace_id)
    except AlreadyExists as existing:
        # Its name is ours alone: an earlier life made it longer ago than request ids are kept.
        return existing.metadata["id"]


def _repo(client: Client, state: State, repository: Repository) -> str:
    request = repo_pb2.RegisterRepoRequest(
        request_id=state.repo_request_id,
        workspace_id=state.workspace_id,
        full_name=repository.full_name,
        default_branch=repository.branch,
    )
    try:
        return str(client.repos.RegisterRepo(request).repo.repo_id)
    except AlreadyExists as existing:
        return existing.metadata["id"]


def _run(client: Client, state: State, repository: Repository) -> str:
    spec = {
        "input": {"repository": state.repository, "base_commit": state.base_commit},
        # A killed demo should go on within seconds, and however often it is killed.
        "execution": {"lease_seconds": 5, "max_attempts": 100},
    }
    request = run_pb2.CreateRunRequest(
        request_id=state.run_request_id,
        workspace_id=state.workspace_id,
        repo_id=state.repo_id,
        goal=f"Tidy the text files of {repository.full_name} and bring its FILES.md up to date",
        graph_id=GRAPH_ID,
        agent_run_spec_json=json.dumps(spec, sort_keys=True),
    )
    return str(client.runs.CreateRun(request).run.run_id)
