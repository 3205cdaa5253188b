"""Follows the inbox in a thread of its own, so that the one at the terminal notices what others decide."""

from __future__ import annotations

import queue
import threading
from types import TracebackType

from pmbot.client import Client
from pmbot.demo.items import Item, item_of
from pmbot.v1 import inbox_pb2


class Watch:
    """The items of one run that wait. Use it as a context manager; `poll` and `waiting` belong to one thread."""

    def __init__(self, client: Client, workspace_id: str, run_id: str) -> None:
        request = inbox_pb2.StreamInboxRequest(filter=inbox_pb2.InboxFilter(workspace_id=workspace_id))
        self._following = client.follow(client.inbox.StreamInbox, request)
        self._run_id = run_id
        self._arrived: queue.SimpleQueue[inbox_pb2.StreamInboxResponse | Exception | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._follow, name="inbox", daemon=True)
        self.waiting: dict[str, Item] = {}
        """By item id, in the order in which they came."""

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._following.close()
        self._thread.join()

    def wake(self) -> None:
        """Ends a `poll` that waits; may be called from a signal handler and from any thread."""
        self._arrived.put(None)

    def poll(self, seconds: float) -> None:
        """Takes in what has come, and waits for the first of it for at most so long. Raises what ended the stream."""
        try:
            self._take(self._arrived.get(timeout=seconds) if seconds else self._arrived.get_nowait())
            while True:
                self._take(self._arrived.get_nowait())
        except queue.Empty:
            return

    def _take(self, message: inbox_pb2.StreamInboxResponse | Exception | None) -> None:
        if isinstance(message, Exception):
            raise message
        if message is None:
            return
        for change in message.transaction.changes:
            item = item_of(change.entered if change.HasField("entered") else change.left.item)
            if item.run_id != self._run_id:
                continue
            if change.HasField("entered"):
                self.waiting[item.item_id] = item
            else:
                self.waiting.pop(item.item_id, None)

    def _follow(self) -> None:
        try:
            for message in self._following:
                self._arrived.put(message)
        except Exception as error:
            self._arrived.put(error)
