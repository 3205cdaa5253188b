"""Applies changesets once a person has approved them, also long after their run has ended."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pmbot.client import Client
from pmbot.errors import CursorLost, PmbotError, WrongState
from pmbot.v1 import audit_pb2, changeset_pb2, run_pb2

_log = logging.getLogger("pmbot.worker")

FIRST_PAUSE = 1.0
"""Seconds until an applier that failed is tried again; each further pause is twice as long."""
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class ApplyContext:
    """What an applier can reach."""

    client: Client
    """The worker's client; `client.download_artifact(…)` has the changeset's patch."""
    run: run_pb2.Run
    """The run that proposed the changeset. It may have ended."""


Apply = Callable[[changeset_pb2.Changeset, ApplyContext], str]
"""Applies a changeset and answers the commit that it became, 40 or 64 hex digits.

It may be called again for a changeset that it has applied already, after a crash before that was recorded, and then
must find that commit and answer it: commit on a branch named after the changeset's id, for one.
"""


class Appliers:
    """Runs appliers, one changeset after the other, in a thread of its own, for as long as it is not stopped.

    Args:
        client: the worker's client.
        appliers: for each graph, what applies the changesets of its runs. Those of other graphs are left alone.
    """

    def __init__(self, client: Client, appliers: Mapping[str, Apply]) -> None:
        self._client = client
        self._appliers = dict(appliers)
        self._found: queue.Queue[str] = queue.Queue()
        self._stopping = threading.Event()
        self._following = client.follow(client.audit.TailEvents, audit_pb2.TailEventsRequest())
        self._threads = [
            threading.Thread(target=self._watch, name="approved changesets", daemon=True),
            threading.Thread(target=self._work, name="appliers", daemon=True),
        ]

    def start(self) -> None:
        """Begins with every approved changeset that there is, and goes on with those that follow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends; an applier that is running may finish."""
        self._stopping.set()
        self._following.close()
        self._found.put("")

    def join(self) -> None:
        """Waits for the end."""
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                for message in self._following:
                    # The tail stands from `synced` on, so nothing can fall between the list and it.
                    if message.HasField("synced"):
                        self._list_approved()
                    for event in message.transaction.events:
                        if event.type == "changeset.approved":
                            self._found.put(json.loads(event.payload_json)["changeset_id"])
            except CursorLost as error:
                _log.warning("the audit tail begins anew: %s", error)
            except PmbotError as error:
                _log.error("approved changesets cannot be followed, trying on: %s", error)
                self._stopping.wait(FIRST_PAUSE)
            self._following = self._client.follow(self._client.audit.TailEvents, audit_pb2.TailEventsRequest())

    def _list_approved(self) -> None:
        filter = changeset_pb2.ChangesetFilter(status=changeset_pb2.CHANGESET_STATUS_APPROVED)
        listed = changeset_pb2.ListChangesetsRequest(filter=filter)
        # Oldest first, as they were proposed.
        for changeset in reversed(list(self._client.paged(self._client.changesets.ListChangesets, listed))):
            self._found.put(changeset.changeset_id)

    def _work(self) -> None:
        due: dict[str, float] = {}
        pauses: dict[str, float] = {}
        while not self._stopping.is_set():
            changeset_id = self._next(due)
            if not changeset_id:
                continue
            try:
                self._apply(changeset_id)
                pauses.pop(changeset_id, None)
            except WrongState as error:
                _log.error("%s: applied, but the server refuses to record it: %s", changeset_id, error)
            except Exception as error:
                pause = pauses.get(changeset_id, FIRST_PAUSE)
                _log.exception("%s: not applied, again in %g s: %s", changeset_id, pause, error)
                due[changeset_id] = time.monotonic() + pause
                pauses[changeset_id] = min(LONGEST_PAUSE, pause * 2)

    def _next(self, due: dict[str, float]) -> str:
        """The next changeset to apply: one that has failed and is due again, or a new one; empty to look again."""
        first = min(due, key=lambda one: due[one], default="")
        pause = due[first] - time.monotonic() if first else None
        if pause is not None and pause <= 0:
            del due[first]
            return first
        try:
            return self._found.get(timeout=pause)
        except queue.Empty:
            return ""

    def _apply(self, changeset_id: str) -> None:
        request = changeset_pb2.GetChangesetRequest(changeset_id=changeset_id)
        changeset = self._client.changesets.GetChangeset(request).changeset
        if changeset.status != changeset_pb2.CHANGESET_STATUS_APPROVED:
            return
        run = self._client.runs.GetRun(run_pb2.GetRunRequest(run_id=changeset.run_id)).run
        apply = self._appliers.get(run.graph_id)
        if apply is None:
            return
        commit = apply(changeset, ApplyContext(self._client, run))
        self._client.changesets.MarkChangesetApplied(
            changeset_pb2.MarkChangesetAppliedRequest(changeset_id=changeset_id, applied_commit_sha=commit)
        )
        _log.info("%s: applied as %s", changeset_id, commit)
