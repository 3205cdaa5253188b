"""A repository, a server, and any number of lives of the demo between them."""

from __future__ import annotations

import subprocess

from conftest import Server, eventually

from pmbot import Client
from pmbot.demo.items import Item, item_of
from pmbot.v1 import audit_pb2, changeset_pb2, inbox_pb2, run_pb2, workspace_pb2

from .kit import Project, start_demo

SECONDS = 60


class Demo:
    """One repository, one server, and any number of lives of the demo between them."""

    def __init__(self, project: Project, server: Server) -> None:
        project.commit({"a.txt": b"one \n", "b c.txt": b"two"})
        self.project = project
        self.client: Client = server.connect()
        self.environment = {
            "PMBOT_ADDRESS": server.address,
            "PMBOT_TOKEN_FILE": str(server.data / "tokens" / "operator.token"),
            "PMBOT_WORKER_TOKEN_FILE": str(server.data / "tokens" / "worker.token"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return start_demo(self.project.root, self.environment, *arguments)

    def finish(self, process: subprocess.Popen[str]) -> str:
        """Waits for an end without complaint; returns what was printed."""
        out, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors) == (0, ""), out + errors
        return out

    def runs(self) -> list[run_pb2.Run]:
        found: list[run_pb2.Run] = []
        workspaces = workspace_pb2.ListWorkspacesRequest()
        for workspace in self.client.paged(self.client.workspaces.ListWorkspaces, workspaces):
            request = run_pb2.ListRunsRequest(workspace_id=workspace.workspace_id)
            found += self.client.paged(self.client.runs.ListRuns, request)
        return found

    def changesets(self, run_id: str) -> list[changeset_pb2.Changeset]:
        filter = changeset_pb2.ChangesetFilter(run_id=run_id)
        request = changeset_pb2.ListChangesetsRequest(filter=filter)
        return list(self.client.paged(self.client.changesets.ListChangesets, request))

    def events(self) -> list[audit_pb2.AuditEvent]:
        """What has happened to the only run so far; none before there is one."""
        runs = self.runs()
        if not runs:
            return []
        request = audit_pb2.ListEventsRequest(filter=audit_pb2.EventFilter(run_id=runs[0].run_id))
        return list(self.client.paged(self.client.audit.ListEvents, request))

    def ended_or_at(self, process: subprocess.Popen[str], events: int) -> bool:
        """Whether the process has ended, or so many things have happened."""
        return process.poll() is not None or len(self.events()) >= events

    def next_item(self) -> Item:
        """What waits, once something does."""

        def waiting() -> Item | None:
            listed = self.client.paged(self.client.inbox.ListInbox, inbox_pb2.ListInboxRequest())
            first = next(listed, None)
            return item_of(first) if first is not None else None

        found: Item = eventually(waiting, SECONDS)
        return found
