"""When a call is worth another try, and when that try is made."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from pmbot.errors import Conflict, DeadlineExceeded, PmbotError, ResourceExhausted, Unavailable

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RetryPolicy:
    """Bounded exponential back-off with jitter.

    Attributes:
        total_seconds: no new try begins after this; 0 means one try only.
        first_delay: seconds that the first wait lasts at most; each later one up to twice as long.
        longest_delay: no wait is longer, unless the server says that it must be.
    """

    total_seconds: float = 30.0
    first_delay: float = 0.1
    longest_delay: float = 3.0

    def delay(self, failures: int, error: PmbotError | None = None) -> float:
        """Seconds to wait after so many failures in a row (from 1)."""
        longest = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 32))
        # Half of it is random: many clients of one restarted server should not all come back at once.
        return longest * random.uniform(0.5, 1.0) + ((error.retry_after if error else None) or 0.0)


def worth_retrying(error: PmbotError) -> bool:
    """Whether the same request may succeed later: the server was away, or said itself that waiting helps."""
    if isinstance(error, DeadlineExceeded):
        return False
    if isinstance(error, Unavailable):
        return True
    return isinstance(error, (ResourceExhausted, Conflict)) and error.retry_after is not None


def stream_broke(error: PmbotError) -> bool:
    """Whether a stream ended for a reason that lies in the connection, so that opening it again makes sense."""
    # A connection that dies under a stream shows as one of these codes; the server itself always gives a reason.
    return worth_retrying(error) or (error.code in _BROKEN_STREAM and not error.reason)


_BROKEN_STREAM = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)


def retrying(policy: RetryPolicy, timeout: float | None, attempt: Callable[[float | None], Answer]) -> Answer:
    """Calls `attempt` until it succeeds, fails for good, or time is up.

    Args:
        policy: how long, and with which waits.
        timeout: seconds that all tries together may take; `None` for no such bound.
        attempt: makes one try in at most the seconds that it is given, or raises a `PmbotError`.
    """
    begin = time.monotonic()
    failures = 0
    while True:
        left = None if timeout is None else timeout - (time.monotonic() - begin)
        try:
            return attempt(left)
        except PmbotError as error:
            failures += 1
            wait = policy.delay(failures, error)
            until = time.monotonic() - begin + wait
            if not worth_retrying(error) or until > policy.total_seconds or (timeout is not None and until >= timeout):
                raise
            time.sleep(wait)
