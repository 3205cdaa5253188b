"""Locks between processes that a killed holder lets go of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Locked(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Holds a lock file, which is made and never removed. Raises Locked when it is held and `wait` is false.

    On a system without flock it holds nothing: two demos at once then ask the same things twice.
    """
    with open(path, "a", encoding="ascii") as handle:
        try:
            import fcntl
        except ImportError:
            pass
        else:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as held:
                raise Locked(str(path)) from held
        yield
