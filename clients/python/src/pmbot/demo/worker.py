"""The demo's worker: LangGraph in a thread, beside the person at the terminal."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from types import TracebackType

from langgraph.checkpoint.sqlite import SqliteSaver

from pmbot.client import Client
from pmbot.demo import GRAPH_ID
from pmbot.demo.applier import apply
from pmbot.demo.graph import repo_change_proposer
from pmbot.demo.state import StateFolder
from pmbot.errors import Unavailable
from pmbot.langgraph import ApplyContext, Worker
from pmbot.v1 import changeset_pb2


class DemoWorker:
    """Carries out the demo's run while it is entered; leaving it gives the run back and waits for that.

    What the worker logs goes to `worker.log` in the state's folder, so that it does not run into a question.
    """

    def __init__(self, client: Client, folder: StateFolder, run_id: str, wake: Callable[[], None]) -> None:
        self._run_id = run_id
        self._wake = wake
        # A killed worker's connection is gone with it; another demo's may hold the file for a moment.
        self._connection = sqlite3.connect(folder.checkpoints, check_same_thread=False, timeout=30)
        self._checkpoints = SqliteSaver(self._connection)
        self._worker = Worker(
            client,
            graphs={GRAPH_ID: repo_change_proposer()},
            appliers={GRAPH_ID: self._apply},
            checkpointer=self._checkpoints,
        )
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._log = logging.FileHandler(folder.folder / "worker.log", encoding="utf-8")
        self._log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.failure: Exception | None = None
        """What ended the worker, or kept the run's changeset from being applied."""

    def __enter__(self) -> DemoWorker:
        logger = logging.getLogger("pmbot")
        logger.addHandler(self._log)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worker.stop()
        self._thread.join()
        self._connection.close()
        logging.getLogger("pmbot").removeHandler(self._log)
        self._log.close()

    def outcome(self, thread_id: str) -> str:
        """What the graph itself says came of a thread; empty when it has not ended here."""
        found = self._checkpoints.get_tuple({"configurable": {"thread_id": thread_id}})
        return str(found.checkpoint["channel_values"].get("outcome", "")) if found else ""

    def _run(self) -> None:
        try:
            self._worker.run()
        except Exception as error:
            self.failure = error
        self._wake()

    def _apply(self, changeset: changeset_pb2.Changeset, context: ApplyContext) -> str:
        try:
            return apply(changeset, context)
        except Unavailable:
            raise  # The worker tries again until the server is back.
        except Exception as error:
            # Another demo's changeset may have lost its repository long ago; that is not this demo's trouble.
            if changeset.run_id == self._run_id:
                self.failure = error
                self._wake()
            raise
