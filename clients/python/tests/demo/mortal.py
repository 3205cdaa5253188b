"""A demo that dies at one of its calls: the same program, with an interceptor in its connections that counts them."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import grpc

KILLED = 137


@dataclass(frozen=True)
class Death:
    """When to die: at the call of this number, counted from one over all connections, before it or after it."""

    call: int
    after: bool


class Mortality(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Ends the process, without a word to anybody, at a call.

    Before a call nothing of it has been sent; after it, its answer is there and has told nobody. After a stream means
    after its first message.
    """

    def __init__(self, death: Death) -> None:
        self._death = death
        self._calls = 0
        self._counting = threading.Lock()

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return self._whole(continuation, details, request)

    def intercept_stream_unary(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        return self._whole(continuation, details, request_iterator)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        die = self._begin(details)
        stream = continuation(details, request)
        return stream if die is None else _LastWords(stream, die)

    def _whole(self, continuation: Any, details: Any, request: Any) -> Any:
        die = self._begin(details)
        answer = continuation(details, request)
        if die is not None:
            die()
        return answer

    def _begin(self, details: Any) -> Callable[[], None] | None:
        """Counts a call; what to do after it, if anything."""
        with self._counting:
            self._calls += 1
            chosen = self._calls == self._death.call
        if not chosen:
            return None
        die = partial(_die, f"{'after' if self._death.after else 'before'} call {self._calls}, {details.method}")
        if not self._death.after:
            die()
        return die


class _LastWords(Iterator[Any]):
    """A stream after whose first message the process dies."""

    def __init__(self, stream: Any, die: Callable[[], None]) -> None:
        self._stream = stream
        self._die = die

    def __next__(self) -> Any:
        message = next(self._stream)
        self._die()
        return message

    def cancel(self) -> None:
        self._stream.cancel()


def _die(when: str) -> None:
    os.write(2, f"killed {when}\n".encode())
    os._exit(KILLED)


def _live(folder: Path, environment: Mapping[str, str], output: Path, death: Death | None) -> None:
    """`pmbot demo --yes` in this process, which is thrown away afterwards."""
    os.environ.update(environment)
    os.chdir(folder)
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)

    from pmbot import connect
    from pmbot.demo.command import run_demo
    from pmbot.errors import PmbotError

    interceptors = [] if death is None else [Mortality(death)]
    try:
        code = run_demo(folder, always_yes=True, new=False, connect=partial(connect, interceptors=interceptors))
    except PmbotError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)


_lives = multiprocessing.get_context("forkserver")
# What takes the time of a short life is importing LangGraph: every process is a copy of one that has done it.
_lives.set_forkserver_preload(["pmbot.demo.command"])


def live(folder: Path, environment: Mapping[str, str], output: Path, death: Death | None = None) -> ForkServerProcess:
    """Starts `pmbot demo --yes` in a repository; what it prints is added to a file."""
    process = _lives.Process(target=_live, args=(folder, dict(environment), output, death), daemon=True)
    process.start()
    return process
