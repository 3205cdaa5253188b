"""Lists that page by themselves, and streams that survive broken connections."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from pmbot.channel import Response, Stream, StreamCall, UnaryCall
from pmbot.errors import PmbotError
from pmbot.retry import RetryPolicy, stream_broke

Item = TypeVar("Item")


def paged(call: UnaryCall[Any, Any], request: Message) -> Iterator[Any]:
    """Every item of a list, page after page, each page fetched when it is needed.

    Args:
        call: a stub's list method, such as `client.runs.ListRuns`.
        request: the query; its `page_size` is the page's, not the list's. It is not changed.
    """
    page = type(request)()
    page.CopyFrom(request)
    while True:
        answer = call(page)
        yield from getattr(answer, _items_field(answer))
        if not answer.next_page_token:
            return
        page.page_token = answer.next_page_token  # type: ignore[attr-defined]


def _items_field(answer: Message) -> str:
    """The name of the one repeated field that a list's answer has."""
    lists = [
        field.name
        for field in answer.DESCRIPTOR.fields
        if field.type == FieldDescriptor.TYPE_MESSAGE and field.name != "next_page_token" and _is_repeated(field)
    ]
    if len(lists) != 1 or "next_page_token" not in answer.DESCRIPTOR.fields_by_name:
        raise TypeError(f"{answer.DESCRIPTOR.full_name} is not a list's answer")
    return lists[0]


def _is_repeated(field: Any) -> bool:
    # Newer protobuf runtimes have `is_repeated` and warn about `label`; the oldest that we allow has only the latter.
    known = getattr(field, "is_repeated", None)
    return bool(known) if known is not None else bool(field.label == FieldDescriptor.LABEL_REPEATED)


class Following(Iterator[Response], Generic[Response]):
    """An endless stream: every message exactly once, in order, over any number of broken connections.

    It opens the stream again behind the last cursor, with a growing pause up to `policy.longest_delay`, for as long as
    it takes. Messages without a cursor (items of the opening snapshot, parts of a large transaction) are handed out
    only once the message with their cursor has come: before that a break would send them again.

    Iteration ends when the server ends the stream well, or after `close()`. Iterating raises a `PmbotError` that
    opening again cannot help against, such as `CursorLost`. Use it in one thread; `close()` may come from any.

    Args:
        call: a stub's streaming method, such as `client.audit.TailEvents`.
        request: what to follow, with the cursor to begin behind. It is not changed.
        policy: the pauses between attempts.
    """

    def __init__(self, call: StreamCall[Any, Response], request: Message, policy: RetryPolicy) -> None:
        self._call = call
        self._policy = policy
        self._request = type(request)()
        self._request.CopyFrom(request)
        self._ready: deque[Response] = deque()
        self._unconfirmed: list[Response] = []
        self._stream: Stream[Response] | None = None
        self._failures = 0
        self._ended = False
        self._closed = threading.Event()
        self._lock = threading.Lock()

    @property
    def cursor(self) -> str:
        """The cursor behind everything that was handed out; keep it to go on in another process."""
        with self._lock:
            return self._handed_out_cursor

    _handed_out_cursor = ""

    def __next__(self) -> Response:
        while not self._closed.is_set():
            if self._ready:
                message = self._ready.popleft()
                if message.cursor:  # type: ignore[attr-defined]
                    with self._lock:
                        self._handed_out_cursor = message.cursor  # type: ignore[attr-defined]
                return message
            if self._ended:
                raise StopIteration
            self._receive()
        raise StopIteration

    def close(self) -> None:
        """Ends the stream. Whoever waits for its next message sees it end."""
        self._closed.set()
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.cancel()

    def __enter__(self) -> Following[Response]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> None:
        """Takes one message from the server, or deals with the stream's end."""
        try:
            stream = self._open()
            message = next(stream)
        except StopIteration:
            self._ended = True
            self._confirm()
        except PmbotError as error:
            self._broke(error)
        else:
            self._failures = 0
            self._unconfirmed.append(message)
            if message.cursor:  # type: ignore[attr-defined]
                self._request.cursor = message.cursor  # type: ignore[attr-defined]
                self._confirm()

    def _open(self) -> Stream[Response]:
        with self._lock:
            # Under the lock, so that close() either sees this stream or keeps it from being opened.
            if self._closed.is_set():
                raise StopIteration
            if self._stream is None:
                self._stream = self._call(self._request)
            return self._stream

    def _broke(self, error: PmbotError) -> None:
        with self._lock:
            self._stream = None
        if self._closed.is_set():
            return
        if not stream_broke(error):
            self._ended = True
            raise error
        self._unconfirmed.clear()
        self._failures += 1
        self._closed.wait(self._policy.delay(self._failures, error))

    def _confirm(self) -> None:
        self._ready.extend(self._unconfirmed)
        self._unconfirmed.clear()
