"""The channel under the generated stubs: what every call needs is done here, once.

From the outside in, a call passes: its request id and deadline, retries; then, for each try, translation of errors,
identity, the caller's own interceptors, and gRPC's channel. The stubs are the generated ones and stay fully typed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from pmbot import errors
from pmbot.retry import RetryPolicy, retrying

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Metadata = Sequence[tuple[str, "str | bytes"]]

MESSAGE_BYTES = 4 * 1024 * 1024 + 64 * 1024
"""The largest message, in bytes: the server's limit, with room for what stands around it."""

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # The server allows a ping every ten seconds; this finds a peer that vanished without a word, within a minute.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A restarted server should be found again within a second or two, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Despite its name this is how long one attempt may take: a server that has just started is slow to greet, and a
    # refused attempt does not wait for it.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    # The server is on this machine; a proxy for the world outside has no business in between.
    ("grpc.enable_http_proxy", 0),
    # Retries are ours: only we know the request id, and when to stop.
    ("grpc.enable_retries", 0),
]


def open_channel(address: str, interceptors: Sequence[Any] = ()) -> grpc.Channel:
    """A gRPC channel to the server. It connects when first used."""
    from pmbot import __version__

    channel = grpc.insecure_channel(address, [*_OPTIONS, ("grpc.primary_user_agent", f"pmbot-python/{__version__}")])
    return grpc.intercept_channel(channel, *interceptors) if interceptors else channel


class ClientChannel(grpc.Channel):
    """What the stubs are made from: gRPC's channel with request ids, deadlines, retries, identity and errors added.

    Args:
        channel: gRPC's channel.
        identity: the metadata that says who calls.
        policy: when a failed call is made again.
        deadline: seconds that a unary call may take, retries included, when its caller names no `timeout`.
    """

    def __init__(self, channel: grpc.Channel, identity: Metadata, policy: RetryPolicy, deadline: float) -> None:
        self._channel = channel
        self.identity = tuple(identity)
        self.policy = policy
        self.deadline = deadline

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        return UnaryCall(self, self._channel.unary_unary(method, *arguments, **options))

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        return StreamCall(self, self._channel.unary_stream(method, *arguments, **options))

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        return UploadCall(self, self._channel.stream_unary(method, *arguments, **options))

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError("the contract has no call that streams both ways")

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool | None = False
    ) -> None:
        self._channel.subscribe(callback, bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def _unsubscribe_all(self) -> None:
        """gRPC's own channels have it."""

    def __enter__(self) -> ClientChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class UnaryCall(Generic[Request, Response]):
    """One unary method. Calling it answers the response or raises a `PmbotError`."""

    def __init__(self, channel: ClientChannel, call: Any) -> None:
        self._channel = channel
        self._call = call

    def __call__(self, request: Request, timeout: float | None = None, metadata: Metadata | None = None) -> Response:
        """Calls the server.

        Args:
            request: not changed. An empty `request_id` gets a fresh one, the same for all tries of this call.
            timeout: seconds that the call may take, retries included; default the client's deadline.
            metadata: further metadata.
        """
        request, request_id = with_request_id(request)
        headers = [*self._channel.identity, *(metadata or ())]

        def attempt(left: float | None) -> Response:
            with ErrorsTranslated(request_id):
                response: Response = self._call(request, timeout=left, metadata=headers)
                return response

        return retrying(self._channel.policy, self._channel.deadline if timeout is None else timeout, attempt)


class StreamCall(Generic[Request, Response]):
    """One method that answers a stream. It is tried once; `Client.follow` opens it again as often as needed."""

    def __init__(self, channel: ClientChannel, call: Any) -> None:
        self._channel = channel
        self._call = call

    def __call__(
        self, request: Request, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Stream[Response]:
        headers = [*self._channel.identity, *(metadata or ())]
        return Stream(self._call(request, timeout=timeout, metadata=headers))


class Stream(Iterator[Response]):
    """The answers of one open stream. Iterating raises a `PmbotError` when it breaks."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __next__(self) -> Response:
        with ErrorsTranslated():
            response: Response = next(self._call)
            return response

    def cancel(self) -> None:
        """Ends the stream, from any thread; who iterates over it gets `Cancelled`."""
        self._call.cancel()


class UploadCall(Generic[Request, Response]):
    """One method that takes a stream. It is tried once: the stream is used up after that."""

    def __init__(self, channel: ClientChannel, call: Any) -> None:
        self._channel = channel
        self._call = call

    def __call__(
        self, requests: Iterable[Request], timeout: float | None = None, metadata: Metadata | None = None
    ) -> Response:
        headers = [*self._channel.identity, *(metadata or ())]
        with ErrorsTranslated():
            response: Response = self._call(iter(requests), timeout=timeout, metadata=headers)
            return response


class ErrorsTranslated:
    """Raises gRPC's errors as ours."""

    def __init__(self, request_id: str = "") -> None:
        self._request_id = request_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, grpc.RpcError):
            raise errors.from_rpc(error, self._request_id) from error


def with_request_id(request: Request) -> tuple[Request, str]:
    """The request, as a copy with a fresh id when it has an empty `request_id`; and its id, if it has such a field."""
    if "request_id" not in request.DESCRIPTOR.fields_by_name:
        return request, ""
    present: str = request.request_id  # type: ignore[attr-defined]
    if present:
        return request, present
    # A copy: who sends the same object twice means two requests.
    copy = type(request)()
    copy.CopyFrom(request)
    copy.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
    return copy, copy.request_id  # type: ignore[attr-defined]
