"""How many graphs run at once. A run that waits for a person takes no place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pmbot.langgraph.lease import Lease

WAITING = 100
"""How many runs may keep their lease while they wait for a person; each costs a thread and a stream."""


class Slots:
    """Places for running graphs.

    Args:
        places: how many graphs may run at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._running = 0
        self._wanting = 0
        self._waiting = 0
        self._changed = threading.Condition()

    def wait_for_room(self, seconds: float) -> bool:
        """Waits until another run could be started at once; answers whether it could."""
        with self._changed:
            return self._changed.wait_for(lambda: self._wanting < self._places, seconds)

    def expect(self) -> None:
        """Counts a run that will soon take a place, so that no other is claimed for it."""
        with self._changed:
            self._wanting += 1

    def may_wait(self) -> bool:
        """Whether one more run may keep its lease while it waits for a person."""
        with self._changed:
            return self._waiting < WAITING

    @contextmanager
    def taken(self, lease: Lease) -> Iterator[None]:
        """Holds the place that was expected, waiting for it where necessary."""
        self._enter(lease)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def left(self, lease: Lease) -> Iterator[None]:
        """Gives the place up meanwhile, and takes one again afterwards."""
        self._leave()
        with self._changed:
            self._waiting += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1
            self.expect()
            self._enter(lease)

    def _enter(self, lease: Lease) -> None:
        with self._changed:
            # A run that must stop needs no place: it will not run, only be let go.
            while self._running >= self._places and lease.ending is None:
                self._changed.wait(0.5)
            self._running += 1

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._wanting -= 1
            self._changed.notify_all()
