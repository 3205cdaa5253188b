"""What goes wrong, named by meaning.

Every call of this package that fails raises a `PmbotError`. One that the server refused carries what the server said:
its `reason` (the enum of `errors.proto` without the prefix `REASON_`), the metadata, and every violated field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

DOMAIN = "pmbot"
"""The domain of the server's own `google.rpc.ErrorInfo`; details of any other are not the server's."""


@dataclass(frozen=True)
class Violation:
    """One field of a request that breaks a rule of the contract."""

    field: str
    description: str


class PmbotError(Exception):
    """A call failed. Subclasses say what that means; this class itself is what has no meaning of its own.

    Attributes:
        message: what is wrong, in a sentence, as the server or this package says it.
        hint: what to do about it, in a sentence; may be empty.
        reason: the server's reason, such as `LEASE_LOST`; empty when it gave none.
        code: the gRPC status code; `None` when no call was made.
        metadata: the reason's facts, such as `id`, `state` and `allowed`.
        violations: every field that was wrong.
        retry_after: seconds after which trying again helps; `None` when the server did not say that it would.
        request_id: the id that the call was made with; empty when it takes none. Repeating the same request with the
            same id is safe, also when it is not known whether the first one was carried out.
    """

    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        reason: str = "",
        code: grpc.StatusCode | None = None,
        metadata: dict[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.reason = reason
        self.code = code
        self.metadata = metadata or {}
        self.violations = violations
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        fields = "; ".join(f"{violation.field}: {violation.description}" for violation in self.violations)
        # The server's own sentence usually names the fields already.
        if fields and not all(violation.field in self.message for violation in self.violations):
            return f"{self.message} ({fields})"
        return self.message


class NotConfigured(PmbotError):
    """No server, or no token, was found where one is looked for."""


class Unauthenticated(PmbotError):
    """The server does not know the token."""

    default_hint = "Tokens are in the server's data directory, in tokens/; they are replaced when it is made anew."


class NotAllowed(PmbotError):
    """The token's role may not do this."""

    default_hint = "Use the token of a role that may: only the operator decides, only a worker carries out runs."


class NotFound(PmbotError):
    """Nothing has this id, or it belongs to another workspace."""


class AlreadyExists(PmbotError):
    """Another one has this name; `metadata["id"]` is its id."""


class InvalidArgument(PmbotError):
    """The request breaks the contract; `violations` names each field. Repeating it cannot help."""


class ContentMismatch(InvalidArgument):
    """Content does not have the size or hash that was announced for it."""


class WrongState(PmbotError):
    """The state it is in does not allow this; `metadata` has `state` and `allowed`."""


class LeaseLost(WrongState):
    """The run belongs to another worker by now, or has ended: stop working on it."""


class BudgetExceeded(WrongState):
    """The run has been over its budget for too long: it fails with its lease, unless it asks a person to spend more."""


class AlreadyDecided(WrongState):
    """A different decision was made before; `metadata` says which and by whom."""


class QuestionClosed(WrongState):
    """Nobody waits for an answer any more: the agent asks something else now, or its run has ended."""


class Conflict(PmbotError):
    """Somebody else was first; look again and decide anew."""


class StaleDecision(Conflict):
    """What was shown is not what would be answered: look at the question again."""


class StaleVersion(Conflict):
    """It changed since it was read; `metadata["version"]` is the current version."""


class CursorLost(PmbotError):
    """A stream cannot go on behind this cursor; `metadata["earliest"]` is one that works, at the price of a gap."""


class ResourceExhausted(PmbotError):
    """Too large, too many, or no room left."""


class Unavailable(PmbotError):
    """No answer came, however often it was tried. It may have been carried out: ask again with the same request_id."""

    default_hint = "Is the server running? Start it with: java -jar pmbot.jar serve"


class DeadlineExceeded(Unavailable):
    """No answer came in the time that the caller gave."""

    default_hint = ""


class Cancelled(PmbotError):
    """The caller took the call back."""


class Internal(PmbotError):
    """A defect of the server; `metadata["incident"]` finds it in the server's log."""


_BY_REASON: dict[str, type[PmbotError]] = {
    "ALREADY_DECIDED": AlreadyDecided,
    "BUDGET_EXCEEDED": BudgetExceeded,
    "CONTENT_MISMATCH": ContentMismatch,
    "LEASE_LOST": LeaseLost,
    "QUESTION_CLOSED": QuestionClosed,
    "STALE_DECISION": StaleDecision,
    "STALE_VERSION": StaleVersion,
}

_BY_CODE: dict[grpc.StatusCode, type[PmbotError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: WrongState,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.OUT_OF_RANGE: CursorLost,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INTERNAL: Internal,
}


def from_rpc(error: grpc.RpcError, request_id: str = "") -> PmbotError:
    """Turns gRPC's error into ours, with all that the server said in `grpc-status-details-bin`."""
    code: grpc.StatusCode = error.code()
    return _meant(code, error.details() or code.name, _details(error), request_id)


def from_status(status: Any) -> PmbotError:
    """Turns a `google.rpc.Status` into the error that a call of its own would have raised: what became of one of
    several things in a call, as ResolveInterrupt answers it.
    """
    code = next((known for known in grpc.StatusCode if known.value[0] == status.code), grpc.StatusCode.UNKNOWN)
    return _meant(code, status.message or code.name, list(status.details), "")


def _meant(code: grpc.StatusCode, message: str, details: list[any_pb2.Any], request_id: str) -> PmbotError:
    reason = ""
    metadata: dict[str, str] = {}
    violations: tuple[Violation, ...] = ()
    retry_after: float | None = None
    for detail in details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            if info.domain == DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest.FromString(detail.value)
            violations = tuple(Violation(one.field, one.description) for one in request.field_violations)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after = delay.seconds + delay.nanos / 1e9
    meaning = _BY_REASON.get(reason) or _BY_CODE.get(code, PmbotError)
    return meaning(
        message,
        reason=reason,
        code=code,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
        request_id=request_id,
    )


def _details(error: grpc.RpcError) -> list[any_pb2.Any]:
    """The details of the `google.rpc.Status` in the trailers; none when there is none that can be read."""
    # grpcio-status would do this, but wants a newer grpcio than our users may have.
    trailers: Any = error.trailing_metadata() or ()
    for key, value in trailers:
        if key == "grpc-status-details-bin":
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
