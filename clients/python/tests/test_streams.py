"""Lists and streams: every item once, in order, whatever happens to the connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from refusals import refuse

from pmbot import errors
from pmbot.retry import RetryPolicy
from pmbot.streams import Following
from pmbot.v1 import audit_pb2, audit_pb2_grpc, run_pb2, run_pb2_grpc

Start = Callable[..., Any]
QUICK = RetryPolicy(first_delay=0.001, longest_delay=0.01)


def part(number: int, last: bool) -> audit_pb2.TailEventsResponse:
    """One message of the log; the last of its transaction carries the cursor."""
    event = audit_pb2.AuditEvent(seq=number)
    return audit_pb2.TailEventsResponse(
        cursor=str(number) if last else "", transaction=audit_pb2.EventBatch(events=[event])
    )


class Log:
    """The log of a server: it sends what comes after a cursor, and breaks off after so many messages each time."""

    def __init__(self, transactions: list[int], breaks: list[int]) -> None:
        numbers = iter(range(1, sum(transactions) + 1))
        self.messages = [part(next(numbers), place == size) for size in transactions for place in range(1, size + 1)]
        self.breaks = list(breaks)
        self.cursors: list[str] = []

    def after(self, cursor: str) -> Iterator[audit_pb2.TailEventsResponse]:
        self.cursors.append(cursor)
        budget = self.breaks.pop(0) if self.breaks else len(self.messages)
        for message in self.messages[int(cursor or 0) :]:
            if budget == 0:
                raise ConnectionResetError
            budget -= 1
            yield message


class Stream(Iterator[audit_pb2.TailEventsResponse]):
    """One open stream of the log, as a stub answers it."""

    def __init__(self, messages: Iterator[audit_pb2.TailEventsResponse]) -> None:
        self._messages = messages

    def __next__(self) -> audit_pb2.TailEventsResponse:
        try:
            return next(self._messages)
        except ConnectionResetError as error:
            raise errors.Unavailable("reset", code=grpc.StatusCode.UNAVAILABLE) from error

    def cancel(self) -> None: ...


@settings(deadline=None, max_examples=60)
@given(some.lists(some.integers(1, 4), max_size=8), some.lists(some.integers(0, 6), max_size=5))
def test_every_message_once_over_any_breaks(transactions: list[int], breaks: list[int]) -> None:
    log = Log(transactions, breaks)
    following: Following[audit_pb2.TailEventsResponse] = Following(
        lambda request: Stream(log.after(request.cursor)),  # type: ignore[arg-type]
        audit_pb2.TailEventsRequest(),
        QUICK,
    )
    assert list(following) == log.messages
    assert following.cursor == (log.messages[-1].cursor if log.messages else "")


class Tail(audit_pb2_grpc.AuditServiceServicer):
    """A server's tail: what it does with each connection is the test's."""

    def __init__(self, *connections: Callable[[Any, Any], Iterator[audit_pb2.TailEventsResponse]]) -> None:
        self.connections = list(connections)
        self.requests: list[audit_pb2.TailEventsRequest] = []

    def TailEvents(self, request: Any, context: Any) -> Iterator[audit_pb2.TailEventsResponse]:
        self.requests.append(request)
        return self.connections.pop(0)(request, context)


def tail(start: Start, *connections: Any) -> tuple[Any, Tail]:
    service = Tail(*connections)
    return start((audit_pb2_grpc.add_AuditServiceServicer_to_server, service)), service


def test_a_broken_connection_is_taken_up_behind_the_last_cursor(small_server: Start) -> None:
    def first(request: Any, context: Any) -> Iterator[audit_pb2.TailEventsResponse]:
        yield part(1, True)
        yield part(2, False)
        refuse(context, grpc.StatusCode.UNAVAILABLE, "The server is stopping", "SHUTTING_DOWN")

    def second(request: Any, context: Any) -> Iterator[audit_pb2.TailEventsResponse]:
        yield part(2, False)
        yield part(3, True)
        yield audit_pb2.TailEventsResponse(cursor="3", synced=audit_pb2.Synced())
        yield audit_pb2.TailEventsResponse(cursor="3", heartbeat=audit_pb2.Heartbeat())

    server, service = tail(small_server, first, second)
    request = audit_pb2.TailEventsRequest(from_beginning=True)
    with server.connect() as client, client.follow(client.audit.TailEvents, request) as following:
        received = list(following)
    assert [event.seq for message in received for event in message.transaction.events] == [1, 2, 3]
    assert [message.WhichOneof("content") for message in received[3:]] == ["synced", "heartbeat"]
    assert [request.cursor for request in service.requests] == ["", "1"]
    assert all(request.from_beginning for request in service.requests)
    assert request.cursor == "", "the caller's object is not changed"


def test_a_restarted_server_is_found_again(small_server: Start) -> None:
    sent = threading.Event()

    def first(request: Any, context: Any) -> Iterator[audit_pb2.TailEventsResponse]:
        yield part(1, True)
        sent.set()
        threading.Event().wait(30 if context.is_active() else 0)

    server, service = tail(small_server, first, lambda request, context: iter([part(2, True)]))
    with server.connect() as client, client.follow(client.audit.TailEvents, audit_pb2.TailEventsRequest()) as following:
        assert next(following).transaction.events[0].seq == 1
        sent.wait(10)
        server.stop()
        server.start()
        assert next(following).transaction.events[0].seq == 2
    assert [request.cursor for request in service.requests] == ["", "1"]


def test_a_lost_cursor_is_the_callers_to_deal_with(small_server: Start) -> None:
    def lost(request: Any, context: Any) -> Iterator[audit_pb2.TailEventsResponse]:
        refuse(context, grpc.StatusCode.OUT_OF_RANGE, "Another database.", "CURSOR_OTHER_DATABASE", {"earliest": "e"})

    server, _ = tail(small_server, lost)
    request = audit_pb2.TailEventsRequest(cursor="old")
    with server.connect() as client, client.follow(client.audit.TailEvents, request) as following:
        with pytest.raises(errors.CursorLost) as refused:
            next(following)
        assert list(following) == []
    assert refused.value.metadata["earliest"] == "e"


def test_close_from_another_thread_ends_a_waiting_stream(small_server: Start) -> None:
    ended = threading.Event()

    def quiet(request: Any, context: Any) -> Iterator[audit_pb2.TailEventsResponse]:
        context.add_callback(ended.set)
        yield part(1, True)
        ended.wait(30)

    server, _ = tail(small_server, quiet)
    with server.connect() as client:
        following = client.follow(client.audit.TailEvents, audit_pb2.TailEventsRequest())
        next(following)
        rest: list[Any] = []
        waiting = threading.Thread(target=lambda: rest.extend(following))
        waiting.start()
        following.close()
        waiting.join(10)
        assert not waiting.is_alive() and rest == []
        assert ended.wait(10), "the server is told"
        assert list(following) == []


def test_close_while_the_server_is_away(small_server: Start) -> None:
    server, _ = tail(small_server)
    server.stop()
    with server.connect() as client:
        following = client.follow(client.audit.TailEvents, audit_pb2.TailEventsRequest())
        waiting = threading.Thread(target=lambda: list(following))
        waiting.start()
        following.close()
        waiting.join(10)
        assert not waiting.is_alive()
    server.start()


class Runs(run_pb2_grpc.RunServiceServicer):
    """Seven runs, two on a page."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def ListRuns(self, request: Any, context: Any) -> run_pb2.ListRunsResponse:
        assert request.workspace_id == "w"
        self.tokens.append(request.page_token)
        begin = int(request.page_token or 0)
        runs = [run_pb2.Run(run_id=str(number)) for number in range(begin, min(begin + 2, 7))]
        return run_pb2.ListRunsResponse(runs=runs, next_page_token=str(begin + 2) if begin + 2 < 7 else "")


def test_paged_walks_all_pages_as_they_are_needed(small_server: Start) -> None:
    service = Runs()
    with small_server((run_pb2_grpc.add_RunServiceServicer_to_server, service)).connect() as client:
        request = run_pb2.ListRunsRequest(workspace_id="w")
        runs = client.paged(client.runs.ListRuns, request)
        assert next(runs).run_id == "0" and service.tokens == [""]
        assert [run.run_id for run in runs] == ["1", "2", "3", "4", "5", "6"]
        assert request.page_token == ""


def test_paged_refuses_what_is_no_list(small_server: Start) -> None:
    class One(run_pb2_grpc.RunServiceServicer):
        def GetRun(self, request: Any, context: Any) -> run_pb2.GetRunResponse:
            return run_pb2.GetRunResponse()

    with small_server((run_pb2_grpc.add_RunServiceServicer_to_server, One())).connect() as client:
        with pytest.raises(TypeError, match="is not a list's answer"):
            list(client.paged(client.runs.GetRun, run_pb2.GetRunRequest()))
