"""The lease of one run: renewed in the background, and the place where work learns that it must stop."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pmbot.client import Client
from pmbot.errors import BudgetExceeded, LeaseLost, NotFound, PmbotError
from pmbot.v1 import run_pb2

_log = logging.getLogger("pmbot.worker")


class Ending(enum.Enum):
    """Why work on a run must stop. A later member outranks an earlier one."""

    STOPPING = 1
    """The worker stops: let the run go, so that another may take it."""
    OVER_BUDGET = 2
    """The run has been over its budget for too long: let it go, which fails it."""
    CANCELLED = 3
    """The operator wants it cancelled: let it go, which cancels it."""
    LOST = 4
    """The run is not ours any more: nothing more may be sent for it."""


class Lease:
    """Renews at a third of the term until it is left; use it as a context manager.

    While the server is away, work goes on: when it is back, every lease lives for one full term more.

    Args:
        client: the worker's client.
        run_id: the run.
        token: the lease's token, from the claim.
        seconds: the lease's full term.
    """

    def __init__(self, client: Client, run_id: str, token: str, seconds: float) -> None:
        self.run_id = run_id
        self.token = token
        self._client = client
        self._interval = seconds / 3
        self._ending: Ending | None = None
        self._listeners: list[Callable[[], None]] = []
        # Re-entrant: a signal handler may end the lease while its own thread is doing just that.
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {run_id}", daemon=True)

    @property
    def ending(self) -> Ending | None:
        """Why work must stop; `None` while it may go on."""
        return self._ending

    def end(self, ending: Ending) -> None:
        """Says that work must stop. May be called from any thread, and more than once."""
        with self._lock:
            if self._ending is not None and self._ending.value >= ending.value:
                return
            self._ending = ending
            self._ended.set()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Calls the listener, from another thread, when work must stop; at once when it must already."""
        with self._lock:
            self._listeners.append(listener)
            ended = self._ending is not None
        try:
            if ended:
                listener()
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def wait(self, seconds: float) -> bool:
        """Waits; answers at once, and True, when work must stop."""
        return self._ended.wait(seconds)

    def renew(self, timeout: float | None = None) -> run_pb2.RunStatus.ValueType:
        """Extends the lease by a full term, and answers the run's status.

        Raises:
            LeaseLost: it belongs to somebody else, or the run has ended.
            BudgetExceeded: it is not extended any more.
        """
        request = run_pb2.RenewLeaseRequest(run_id=self.run_id, lease_token=self.token)
        try:
            answer = self._client.runs.RenewLease(request, timeout=timeout)
        except (LeaseLost, NotFound):
            self.end(Ending.LOST)
            raise
        except BudgetExceeded:
            self.end(Ending.OVER_BUDGET)
            raise
        if answer.cancel_requested:
            self.end(Ending.CANCELLED)
        return answer.status

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _keep(self) -> None:
        # Also after a cancel and while stopping: the run is ours until it is released.
        while self._ending is not Ending.LOST and not self._left.wait(self._interval):
            try:
                self.renew(timeout=self._interval)
            except (LeaseLost, NotFound) as error:
                if self._left.is_set():
                    return  # the run was ended while this renewal was under way
                _log.warning("%s: the lease is lost: %s", self.run_id, error)
            except BudgetExceeded as error:
                _log.warning("%s: the lease is not renewed: %s", self.run_id, error)
            except PmbotError as error:
                _log.warning("%s: the lease could not be renewed, trying on: %s", self.run_id, error)
