"""What every call gets: identity, request id, deadline, retries, and errors named by meaning."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from refusals import refuse

from pmbot import errors
from pmbot.channel import with_request_id
from pmbot.retry import RetryPolicy
from pmbot.v1 import run_pb2, run_pb2_grpc, workspace_pb2, workspace_pb2_grpc

Start = Callable[..., Any]
WORKSPACE = "ws_" + "0" * 32


class Workspaces(workspace_pb2_grpc.WorkspaceServiceServicer):
    """Refuses as often as it is told to, then answers. It remembers who called with what."""

    def __init__(self, *refusals: Callable[[grpc.ServicerContext], None]) -> None:
        self.refusals = list(refusals)
        self.requests: list[workspace_pb2.CreateWorkspaceRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.remaining: list[float] = []

    def CreateWorkspace(self, request: Any, context: Any) -> workspace_pb2.CreateWorkspaceResponse:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())
        if self.refusals:
            self.refusals.pop(0)(context)
        return workspace_pb2.CreateWorkspaceResponse(workspace=workspace_pb2.Workspace(name=request.name))


class Tries(grpc.UnaryUnaryClientInterceptor):
    """Counts the tries that reach the wire."""

    def __init__(self) -> None:
        self.count = 0

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self.count += 1
        return continuation(client_call_details, request)


def away(context: grpc.ServicerContext) -> None:
    refuse(context, grpc.StatusCode.UNAVAILABLE, "The server is stopping", "SHUTTING_DOWN")


def serve(start: Start, service: Workspaces) -> Any:
    return start((workspace_pb2_grpc.add_WorkspaceServiceServicer_to_server, service))


def test_identity_and_a_fresh_request_id(small_server: Start) -> None:
    service = Workspaces()
    request = workspace_pb2.CreateWorkspaceRequest(name="a")
    with serve(small_server, service).connect(worker_id="w1") as client:
        assert client.workspaces.CreateWorkspace(request).workspace.name == "a"
        client.workspaces.CreateWorkspace(request)
    assert service.metadata[0]["authorization"] == "Bearer a-token"
    assert service.metadata[0]["pmbot-worker-id"] == "w1"
    assert service.metadata[0]["user-agent"].startswith("pmbot-python/")
    ids = [request.request_id for request in service.requests]
    assert all(ids) and ids[0] != ids[1], "two calls are two requests, also with one object"
    assert request.request_id == "", "the caller's object is not changed"


def test_another_worker_id_on_the_same_connection(small_server: Start) -> None:
    service = Workspaces()
    with serve(small_server, service).connect() as client:
        client.with_worker_id("w2").workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
        client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
    assert [metadata.get("pmbot-worker-id") for metadata in service.metadata] == ["w2", None]


def test_a_given_request_id_is_kept() -> None:
    request = workspace_pb2.CreateWorkspaceRequest(request_id="mine")
    assert with_request_id(request) == (request, "mine")
    assert with_request_id(run_pb2.GetRunRequest(run_id="x")) == (run_pb2.GetRunRequest(run_id="x"), "")


def test_all_tries_of_a_call_carry_one_request_id(small_server: Start) -> None:
    service = Workspaces(away, away)
    tries = Tries()
    with serve(small_server, service).connect(interceptors=[tries]) as client:
        client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
    assert len({request.request_id for request in service.requests}) == 1
    assert tries.count == len(service.requests) == 3


def test_retry_waits_as_long_as_the_server_says(small_server: Start) -> None:
    def full(context: grpc.ServicerContext) -> None:
        refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "The queue is full", "QUEUE_FULL", retry_after=0.3)

    service = Workspaces(full)
    with serve(small_server, service).connect() as client:
        begin = time.monotonic()
        client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
        assert time.monotonic() - begin >= 0.3
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("code", "reason", "meaning"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", errors.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", errors.NotAllowed),
        (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", errors.NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS", errors.AlreadyExists),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS", errors.InvalidArgument),
        (grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_MISMATCH", errors.ContentMismatch),
        (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE", errors.WrongState),
        (grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST", errors.LeaseLost),
        (grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_DECIDED", errors.AlreadyDecided),
        (grpc.StatusCode.FAILED_PRECONDITION, "QUESTION_CLOSED", errors.QuestionClosed),
        (grpc.StatusCode.ABORTED, "STALE_DECISION", errors.StaleDecision),
        (grpc.StatusCode.ABORTED, "STALE_VERSION", errors.StaleVersion),
        (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_OTHER_FILTER", errors.CursorLost),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL", errors.ResourceExhausted),
        (grpc.StatusCode.INTERNAL, "INTERNAL", errors.Internal),
    ],
)
def test_refusals_are_named_and_not_repeated(
    small_server: Start, code: grpc.StatusCode, reason: str, meaning: type[errors.PmbotError]
) -> None:
    def no(context: grpc.ServicerContext) -> None:
        refuse(context, code, "No.", reason, {"id": "x"}, {"name": "too long"})

    service = Workspaces(no)
    with serve(small_server, service).connect() as client:
        with pytest.raises(errors.PmbotError) as refused:
            client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
    error = refused.value
    assert type(error) is meaning
    assert (error.reason, error.code, error.metadata) == (reason, code, {"id": "x"})
    assert error.violations == (errors.Violation("name", "too long"),)
    assert str(error) == "No. (name: too long)"
    assert error.request_id == service.requests[0].request_id
    assert len(service.requests) == 1


@pytest.mark.parametrize("trailer", [b"", b"\xff\xff", b"\x0a\x05"])
def test_damaged_details_do_no_harm(small_server: Start, trailer: bytes) -> None:
    def odd(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", trailer),))
        context.abort(grpc.StatusCode.NOT_FOUND, "Not here.")

    with serve(small_server, Workspaces(odd)).connect() as client:
        with pytest.raises(errors.NotFound, match="Not here"):
            client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))


def test_no_server_is_unavailable_after_the_retries(small_server: Start) -> None:
    server = serve(small_server, Workspaces())
    server.stop()
    with server.connect(retry_seconds=0.5) as client:
        begin = time.monotonic()
        with pytest.raises(errors.Unavailable) as refused:
            client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
        assert time.monotonic() - begin < 5
    assert "serve" in refused.value.hint
    server.start()


def test_a_call_outlives_a_restart_of_the_server(small_server: Start) -> None:
    server = serve(small_server, Workspaces())
    tries = Tries()
    with server.connect(interceptors=[tries]) as client:
        client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="before"))
        server.stop()
        answers: list[str] = []
        request = workspace_pb2.CreateWorkspaceRequest(name="during")

        def create() -> None:
            answers.append(client.workspaces.CreateWorkspace(request).workspace.name)

        call = threading.Thread(target=create)
        call.start()
        while tries.count < 3:  # it has met the missing server
            time.sleep(0.01)
        server.start()
        call.join(30)
    assert answers == ["during"]


def test_deadlines(small_server: Start) -> None:
    released = threading.Event()
    service = Workspaces(lambda context: released.wait(30), lambda context: None)
    with serve(small_server, service).connect() as client:
        with pytest.raises(errors.DeadlineExceeded):
            client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"), timeout=0.3)
        released.set()
        client.workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(name="a"))
    assert len(service.requests) == 2, "a call whose time is up is not repeated"
    assert service.remaining[0] < 1 and 20 < service.remaining[1] < 31, "seconds; gRPC rounds up"


def test_delays_grow_and_are_bounded() -> None:
    policy = RetryPolicy(first_delay=0.1, longest_delay=3)
    for failures, longest in [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3), (60, 3), (10_000, 3)]:
        for _ in range(50):
            assert longest / 2 <= policy.delay(failures) <= longest


def test_run_service_gets_ids_too(small_server: Start) -> None:
    seen: list[run_pb2.RenewLeaseRequest] = []

    class Runs(run_pb2_grpc.RunServiceServicer):
        def RenewLease(self, request: Any, context: Any) -> run_pb2.RenewLeaseResponse:
            seen.append(request)
            return run_pb2.RenewLeaseResponse()

    with small_server((run_pb2_grpc.add_RunServiceServicer_to_server, Runs())).connect() as client:
        client.runs.RenewLease(run_pb2.RenewLeaseRequest(run_id="x", lease_token="y"))
    assert len(seen[0].request_id) == 36
