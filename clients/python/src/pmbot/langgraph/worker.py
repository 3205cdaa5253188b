"""The worker: claims approved runs of the graphs that it has, and carries them out."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from pmbot.channel import with_request_id
from pmbot.client import Client
from pmbot.errors import NotAllowed, ResourceExhausted, Unavailable
from pmbot.langgraph.appliers import Appliers, Apply
from pmbot.langgraph.lease import Ending
from pmbot.langgraph.session import RunSession
from pmbot.langgraph.slots import Slots
from pmbot.v1 import run_pb2, server_pb2

_log = logging.getLogger("pmbot.worker")

CLAIM_SECONDS = 1
"""How long one claim waits for a run. It is also how long a stop may take, for a claim is never given up half-way."""

GraphSource = Any
"""A `StateGraph` builder, or a callable that takes the checkpointer and answers a compiled graph that uses it."""


class Worker:
    """Carries out approved runs.

    Args:
        client: a client with the worker's token: `pmbot.connect(role="worker")`.
        graphs: for each graph id, the graph.
        appliers: for each graph id, what applies its approved changesets; see `pmbot.langgraph.appliers.Apply`.
        checkpointer: where the graphs keep their state, such as LangGraph's `SqliteSaver`. Every worker that may take
            over a run must reach the same one. It must keep the config's metadata, as LangGraph's own do.
        concurrency: how many graphs run at once, each in a thread. Runs that wait for a person do not count.
        worker_id: names the worker in the audit log; default the client's, else made from host and process.

    Raises:
        ValueError: when a graph cannot be used: it has static breakpoints, or does not use the checkpointer.
    """

    def __init__(
        self,
        client: Client,
        graphs: Mapping[str, GraphSource],
        appliers: Mapping[str, Apply] | None = None,
        checkpointer: Any = None,
        concurrency: int = 1,
        worker_id: str | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; it must be at least 1")
        if not graphs and not appliers:
            raise ValueError("a worker needs at least one graph or applier")
        if graphs and checkpointer is None:
            raise ValueError("a worker needs a checkpointer, such as langgraph.checkpoint.sqlite.SqliteSaver")
        self.worker_id = worker_id or client.worker_id or _default_worker_id()
        self._client = client.with_worker_id(self.worker_id)
        self._graphs = {graph_id: _compiled(graph_id, source, checkpointer) for graph_id, source in graphs.items()}
        self._appliers = appliers or {}
        self._slots = Slots(concurrency)
        self._stopping = threading.Event()
        self._sessions: dict[RunSession, threading.Thread] = {}
        self._lock = threading.Lock()
        self._unanswered_claim: run_pb2.ClaimRunsRequest | None = None

    def run(self, until: Callable[[], bool] | None = None) -> None:
        """Works until `stop()`, or until `until` answers True, which is asked at least once a second.

        Before it returns, also with an error, every claimed run has ended or was given back, at the latest when the
        nodes that are running have finished.

        Raises:
            NotAllowed: the client's token is not a worker's.
            Unavailable: the server was not there to begin with. Later on it may come and go.
        """
        self._require_worker()
        appliers = Appliers(self._client, self._appliers) if self._appliers else None
        if appliers:
            appliers.start()
        try:
            while not self._stopping.is_set() and not (until and until()):
                self._take_next()
        finally:
            self.stop()
            if appliers:
                appliers.stop()
            for thread in self._threads():
                thread.join()
            if appliers:
                appliers.join()

    def stop(self) -> None:
        """Asks `run()` to come to an end: graphs stop between two steps, and their runs are given back.

        Returns at once; may be called from any thread and from a signal handler.
        """
        self._stopping.set()
        # No lock here: a signal handler may interrupt who holds it. A session that is added meanwhile looks itself.
        for session in list(self._sessions):
            session.lease.end(Ending.STOPPING)

    def _require_worker(self) -> None:
        info = self._client.server.GetServerInfo(server_pb2.GetServerInfoRequest())
        if info.role != "worker":
            raise NotAllowed(
                f"A worker must not run with the {info.role}'s token: it could approve what it asks for itself.",
                hint='Connect with pmbot.connect(role="worker"), or set PMBOT_WORKER_TOKEN_FILE to worker.token.',
            )

    def _take_next(self) -> None:
        """Claims a run and starts it, or waits a moment when there is none or no room for one."""
        if not self._graphs:
            self._stopping.wait(0.5)
            return
        if not self._slots.wait_for_room(0.5):
            return
        for claimed in self._claim():
            self._slots.expect()
            session = RunSession(self._client, self._graphs[claimed.run.graph_id], claimed, self._slots)
            thread = threading.Thread(target=self._carry_out, args=(session,), name=claimed.run.run_id, daemon=True)
            with self._lock:
                self._sessions[session] = thread
            if self._stopping.is_set():
                session.lease.end(Ending.STOPPING)
            thread.start()

    def _claim(self) -> list[run_pb2.ClaimedRun]:
        request = self._unanswered_claim
        if request is None:
            request, _ = with_request_id(
                run_pb2.ClaimRunsRequest(
                    worker_id=self.worker_id,
                    graph_ids=sorted(self._graphs),
                    max_runs=1,
                    wait=Duration(seconds=CLAIM_SECONDS),
                )
            )
        # Kept until it is answered: if the answer was lost, the same request finds the run that it was about.
        self._unanswered_claim = request
        try:
            claimed = list(self._client.runs.ClaimRuns(request).claimed_runs)
        except (Unavailable, ResourceExhausted) as error:
            _log.warning("no run could be claimed, trying on: %s", error)
            self._stopping.wait(1.0)
            return []
        self._unanswered_claim = None
        return claimed

    def _carry_out(self, session: RunSession) -> None:
        try:
            session.carry_out()
        finally:
            with self._lock:
                del self._sessions[session]

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._sessions.values())


def _compiled(graph_id: str, source: GraphSource, checkpointer: Any) -> Any:
    """The graph, ready to run. Raises a ValueError when it cannot be run here."""
    if hasattr(source, "compile"):
        graph = source.compile(checkpointer=checkpointer)
    elif callable(source):
        graph = source(checkpointer)
    else:
        raise ValueError(
            f"{graph_id}: give the StateGraph builder, or a callable that takes the checkpointer and answers a "
            f"compiled graph, not a {type(source).__name__}"
        )
    if not getattr(graph, "checkpointer", None):
        raise ValueError(f"{graph_id}: its factory must compile the graph with the checkpointer that it is given")
    for name, one in [("", graph), *graph.get_subgraphs(recurse=True)]:
        if one.interrupt_before_nodes or one.interrupt_after_nodes:
            raise ValueError(
                f"{graph_id}{f', subgraph {name}' if name else ''}: static breakpoints (interrupt_before, "
                "interrupt_after) are not supported; call interrupt() in a node instead"
            )
    return graph


def _default_worker_id() -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).strip(".-")[:60] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(2)}"
