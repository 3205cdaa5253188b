"""Where a demo's run stands, and what is left to wait for."""

from __future__ import annotations

from dataclasses import dataclass

from pmbot.client import Client
from pmbot.v1 import changeset_pb2, run_pb2

_FINAL = frozenset(
    {
        run_pb2.RUN_STATUS_COMPLETED,
        run_pb2.RUN_STATUS_FAILED,
        run_pb2.RUN_STATUS_CANCELLED,
        run_pb2.RUN_STATUS_REJECTED,
    }
)


@dataclass(frozen=True)
class Progress:
    """A run and its changeset, if it has proposed one."""

    run: run_pb2.Run
    changeset: changeset_pb2.Changeset | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen: the run has ended, and its changeset is applied or refused."""
        open_changeset = self.changeset is not None and self.changeset.status in (
            changeset_pb2.CHANGESET_STATUS_PROPOSED,
            changeset_pb2.CHANGESET_STATUS_APPROVED,
        )
        return self.run.status in _FINAL and not open_changeset

    @property
    def failed(self) -> bool:
        """Whether the run ended badly."""
        return self.run.status == run_pb2.RUN_STATUS_FAILED

    @property
    def trouble(self) -> str:
        """Why the last attempt failed, when another one is to come; else empty."""
        waiting = self.run.status == run_pb2.RUN_STATUS_APPROVED and self.run.attempt > 0
        return f"attempt {self.run.attempt}: {self.run.status_reason}" if waiting and self.run.status_reason else ""


def look(client: Client, run_id: str) -> Progress:
    """Reads where the run stands. Raises PmbotError."""
    run = client.runs.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run
    # Before the run has ended more may come, and afterwards nothing does: read in this order, none is missed.
    request = changeset_pb2.ListChangesetsRequest(filter=changeset_pb2.ChangesetFilter(run_id=run_id))
    return Progress(run, next(client.paged(client.changesets.ListChangesets, request), None))
