"""The client: one connection to a server, and the calls that need more than one message."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from pmbot import transfers
from pmbot.channel import ClientChannel, Metadata, open_channel
from pmbot.discovery import Role, find
from pmbot.retry import RetryPolicy
from pmbot.streams import Following, paged
from pmbot.v1 import (
    approval_pb2_grpc,
    artifact_pb2,
    artifact_pb2_grpc,
    audit_pb2_grpc,
    changeset_pb2_grpc,
    inbox_pb2_grpc,
    interrupt_pb2_grpc,
    repo_pb2_grpc,
    run_pb2_grpc,
    server_pb2_grpc,
    workspace_pb2_grpc,
)


def connect(
    address: str | None = None,
    token: str | None = None,
    role: Role = "operator",
    data_dir: str | os.PathLike[str] | None = None,
    worker_id: str | None = None,
    *,
    deadline_seconds: float = 30.0,
    retry_seconds: float = 30.0,
    interceptors: Sequence[Any] = (),
) -> Client:
    """A client of the server that is named, or else found; see `pmbot.discovery.find`.

    The connection is made with the first call, so a server that is not running shows then, as `Unavailable`.

    Args:
        address: `host:port` of the server.
        token: what to show it.
        role: whose token to look for when none is given: `operator`, `worker` or `reader`.
        data_dir: the server's data directory, when it is not where it is looked for.
        worker_id: names the worker in the audit log; at most 100 letters, digits, `.`, `_`, `:`, `@` and `-`.
        deadline_seconds: how long a unary call may take, retries included, unless it is given a `timeout`.
        retry_seconds: for how long a call that found no server is tried again; 0 for never.
        interceptors: gRPC client interceptors, put innermost: every single try passes through them.

    Raises:
        NotConfigured: when no server or no token was found.
    """
    endpoint = find(address, token, role, data_dir)
    return Client(
        open_channel(endpoint.address, interceptors),
        endpoint.token,
        address=endpoint.address,
        worker_id=worker_id,
        policy=RetryPolicy(total_seconds=retry_seconds),
        deadline_seconds=deadline_seconds,
    )


class Client:
    """A connection to a server: its services as attributes, and helpers for what takes more than one message.

    Every call shows the token, gets a deadline and, where the request has one, a `request_id`, is tried again when the
    server was away, and raises a `PmbotError` when it fails. Safe to use from several threads. Use it as a context
    manager, or `close()` it. `pmbot.connect` makes one.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        token: str,
        *,
        address: str = "",
        worker_id: str | None = None,
        policy: RetryPolicy | None = None,
        deadline_seconds: float = 30.0,
    ) -> None:
        self.address = address
        """Where the server is, for messages to people."""
        self.worker_id = worker_id
        """Which worker this is; `None` when none was named."""
        self.policy = policy or RetryPolicy()
        """When and how calls are tried again."""
        self._grpc_channel = channel
        self._token = token
        self._deadline_seconds = deadline_seconds
        calls = ClientChannel(channel, _identity(token, worker_id), self.policy, deadline_seconds)
        self.workspaces = workspace_pb2_grpc.WorkspaceServiceStub(calls)
        self.repos = repo_pb2_grpc.RepoServiceStub(calls)
        self.runs = run_pb2_grpc.RunServiceStub(calls)
        self.approvals = approval_pb2_grpc.ApprovalServiceStub(calls)
        self.interrupts = interrupt_pb2_grpc.InterruptServiceStub(calls)
        self.inbox = inbox_pb2_grpc.InboxServiceStub(calls)
        self.artifacts = artifact_pb2_grpc.ArtifactServiceStub(calls)
        self.changesets = changeset_pb2_grpc.ChangesetServiceStub(calls)
        self.audit = audit_pb2_grpc.AuditServiceStub(calls)
        self.server = server_pb2_grpc.ServerServiceStub(calls)

    def with_worker_id(self, worker_id: str) -> Client:
        """The same connection, with its calls made in the name of this worker. Closing either closes both."""
        return Client(
            self._grpc_channel,
            self._token,
            address=self.address,
            worker_id=worker_id,
            policy=self.policy,
            deadline_seconds=self._deadline_seconds,
        )

    def close(self) -> None:
        """Closes the connection. Calls that are under way end as `Cancelled`."""
        self._grpc_channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def paged(self, method: Any, request: Message) -> Iterator[Any]:
        """Every item of a list, fetched page by page: `client.paged(client.runs.ListRuns, ListRunsRequest(…))`."""
        return paged(method, request)

    def follow(self, method: Any, request: Message) -> Following[Any]:
        """Every message of a stream exactly once, over broken connections and restarts of the server.

        `client.follow(client.audit.TailEvents, TailEventsRequest(…))` is an iterator, a context manager, and has
        `close()` (from any thread) and `cursor`. `synced` and `heartbeat` messages come too.

        Raises (while iterating):
            CursorLost: the stream cannot go on without a gap.
        """
        return Following(method, request, self.policy)

    def upload_artifact(
        self,
        run_id: str,
        lease_token: str,
        kind: int | str,
        name: str,
        data: transfers.Content,
        *,
        content_type: str = "",
        title: str = "",
        metadata: Mapping[str, object] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> artifact_pb2.Artifact:
        """Stores an artifact of a run. Its size and SHA-256 are announced, so it arrives whole or not at all.

        Args:
            run_id: the run that produced it.
            lease_token: the run's lease; empty when the run has ended, or for the operator.
            kind: `log`, `patch`, `test_report`, `tool_trace`, `pr_draft` or `changeset_bundle`, or the enum's number.
            name: the file's name; a name that the run has already with other content becomes `name~2`.
            data: bytes, a path, or an open binary file. At most 16 GiB; never held in memory whole, unless it is bytes.
            content_type: the media type; default `application/octet-stream`.
            title: a title for people; default the name.
            metadata: further facts, as JSON.
            request_id: a UUID; default a fresh one. A broken upload is tried again under the same one.
            timeout: seconds for all of it; default none.

        Raises:
            LeaseLost: the run belongs to another worker by now.
            ContentMismatch: the data changed while it was sent.
            ResourceExhausted: it is too large, or the server's disk is full.
        """
        header = artifact_pb2.ArtifactHeader(
            request_id=request_id,
            run_id=run_id,
            lease_token=lease_token,
            kind=transfers.artifact_kind(kind),
            name=name,
            content_type=content_type,
            title=title,
            metadata_json=transfers.metadata_json(metadata),
        )
        return transfers.upload(self.artifacts.UploadArtifact, self.policy, header, data, timeout)  # type: ignore[arg-type]

    def register_artifact(
        self,
        run_id: str,
        lease_token: str,
        kind: int | str,
        uri: str,
        *,
        hash: str = "",
        size_bytes: int | None = None,
        content_type: str = "",
        title: str = "",
        metadata: Mapping[str, object] | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> artifact_pb2.Artifact:
        """Puts on record what lies somewhere already, instead of sending it.

        Args:
            run_id: the run that produced it.
            lease_token: the run's lease; empty when the run has ended, or for the operator.
            kind: `log`, `patch`, `test_report`, `tool_trace`, `pr_draft` or `changeset_bundle`, or the enum's number.
            uri: a file in the run's folder of the server's data directory, `artifacts/<run_id>/<name>`, which the server
                reads and hashes; or an `http`, `https`, `s3` or `db` URI without credentials.
            hash: SHA-256, 64 hex digits; checked of a file, and required and taken as told of anything else.
            size_bytes: likewise.
            content_type: the media type; default `application/octet-stream`.
            title: a title for people; default the last part of the uri.
            metadata: further facts, as JSON.
            request_id: a UUID; default a fresh one.
            timeout: seconds, retries included; the server reads the whole file meanwhile. Default an hour.

        Raises:
            LeaseLost: the run belongs to another worker by now.
            NotFound: no regular file is there.
            AlreadyExists: the run has other content on record at that place.
            ContentMismatch: the file is not what was announced.
            WrongState: somebody is writing to the file.
        """
        request = artifact_pb2.RegisterArtifactRequest(
            request_id=request_id,
            run_id=run_id,
            lease_token=lease_token,
            kind=transfers.artifact_kind(kind),
            uri=uri,
            hash=hash,
            size_bytes=size_bytes,
            content_type=content_type,
            title=title,
            metadata_json=transfers.metadata_json(metadata),
        )
        return self.artifacts.RegisterArtifact(request, timeout=timeout or transfers.READING_SECONDS).artifact

    def verify_artifact(self, artifact_id: str, timeout: float | None = None) -> artifact_pb2.VerifyArtifactResponse:
        """Has the server read an artifact's file and say whether it still is what is on record: `verdict`, and `found_…`.

        Args:
            artifact_id: which one.
            timeout: seconds, retries included; the server reads the whole file meanwhile. Default an hour.

        Raises:
            NotFound: there is no such artifact.
            WrongState: its content lies elsewhere, where the server cannot see it.
        """
        request = artifact_pb2.VerifyArtifactRequest(artifact_id=artifact_id)
        return self.artifacts.VerifyArtifact(request, timeout=timeout or transfers.READING_SECONDS)

    def download_artifact(self, artifact_id: str) -> Iterator[bytes]:
        """An artifact's content in pieces of at most 256 KiB. A broken connection is taken up where it broke.

        Raises (while iterating):
            NotFound: there is no such artifact.
            WrongState: its content lies elsewhere, or its file is gone.
            ContentMismatch: after the last piece, when what came is not what is on record.
        """
        return transfers.download(self.artifacts.DownloadArtifact, self.policy, artifact_id)  # type: ignore[arg-type]

    def save_artifact(self, artifact_id: str, path: str | os.PathLike[str]) -> None:
        """Downloads an artifact into a file, which appears under its name only when it is whole and checked.

        Raises: as `download_artifact`; `OSError` when the file cannot be written.
        """
        transfers.save(self.download_artifact(artifact_id), Path(path))


def _identity(token: str, worker_id: str | None) -> Metadata:
    """The metadata that says who calls."""
    headers: list[tuple[str, str]] = [("authorization", f"Bearer {token}")]
    return [*headers, ("pmbot-worker-id", worker_id)] if worker_id else headers
