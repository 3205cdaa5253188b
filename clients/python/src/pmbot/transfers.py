"""Artifacts to and from the server: in pieces, hashed on both sides, and taken up again where they broke off."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

from pmbot.channel import StreamCall, UploadCall
from pmbot.errors import ContentMismatch, PmbotError
from pmbot.json_text import canonical_json
from pmbot.retry import RetryPolicy, retrying, stream_broke
from pmbot.v1 import artifact_pb2

CHUNK_BYTES = 256 * 1024
"""How much of an artifact one message carries."""

READING_SECONDS = 3600.0
"""How long the server may read an artifact of 16 GiB that nobody sends it, unless the caller says otherwise."""

Content = bytes | str | os.PathLike[str] | BinaryIO
"""What can be uploaded: bytes, the path of a file, or an open binary file (from where it stands to its end)."""


def upload(
    call: UploadCall[artifact_pb2.UploadArtifactRequest, artifact_pb2.UploadArtifactResponse],
    policy: RetryPolicy,
    header: artifact_pb2.ArtifactHeader,
    content: Content,
    timeout: float | None,
) -> artifact_pb2.Artifact:
    """Sends the content under the header, which is completed with size, hash and, where it has none, a request id."""
    with _opened(content) as file:
        begin = file.tell()
        header.size_bytes, header.hash = _measure(file)
        if not header.request_id:
            header.request_id = str(uuid4())

        def attempt(left: float | None) -> artifact_pb2.Artifact:
            file.seek(begin)
            requests = _Requests(header, file)
            try:
                return call(requests, timeout=left).artifact
            except PmbotError as error:
                # gRPC reports that our own iterator failed only as a cancelled call.
                if requests.failure is not None:
                    raise requests.failure from error
                error.request_id = header.request_id
                raise

        return retrying(policy, timeout, attempt)


def download(
    call: StreamCall[artifact_pb2.DownloadArtifactRequest, artifact_pb2.DownloadArtifactResponse],
    policy: RetryPolicy,
    artifact_id: str,
) -> Iterator[bytes]:
    """The artifact's content, piece by piece. See `Client.download_artifact`."""
    artifact: artifact_pb2.Artifact | None = None
    digest = hashlib.sha256()
    received = 0
    failures = 0
    broken_since: float | None = None
    while True:
        stream = call(artifact_pb2.DownloadArtifactRequest(artifact_id=artifact_id, offset=received))
        try:
            for message in stream:
                artifact = artifact or (message.artifact if message.HasField("artifact") else None)
                failures, broken_since = 0, None
                if not message.chunk:
                    continue
                if message.offset != received:
                    raise ContentMismatch(
                        f"{artifact_id}: the server sent byte {message.offset} where {received} was due"
                    )
                received += len(message.chunk)
                digest.update(message.chunk)
                yield message.chunk
            break
        except PmbotError as error:
            failures += 1
            broken_since = broken_since or time.monotonic()
            wait = policy.delay(failures, error)
            if not stream_broke(error) or time.monotonic() + wait - broken_since > policy.total_seconds:
                raise
            time.sleep(wait)
        finally:
            stream.cancel()
    if artifact is None:
        raise ContentMismatch(f"{artifact_id}: the server sent no metadata to check the content against")
    if received != artifact.size_bytes or digest.hexdigest() != artifact.hash:
        raise ContentMismatch(
            f"{artifact_id}: {received} bytes with SHA-256 {digest.hexdigest()} came, "
            f"where {artifact.size_bytes} bytes with {artifact.hash} are on record",
            hint="The file in the server's data directory was changed: run fsck there.",
        )


def save(pieces: Iterator[bytes], target: Path) -> None:
    """Writes the pieces to a file that appears under its name only when all of them have come."""
    target = target.absolute()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def artifact_kind(kind: int | str) -> artifact_pb2.ArtifactKind.ValueType:
    """The enum's value for a number, or for a name such as `log`, `test_report` or `ARTIFACT_KIND_LOG`."""
    if isinstance(kind, int):
        return cast("artifact_pb2.ArtifactKind.ValueType", kind)
    name = kind.upper()
    full = name if name.startswith("ARTIFACT_KIND_") else f"ARTIFACT_KIND_{name}"
    if full not in artifact_pb2.ArtifactKind.keys() or full == "ARTIFACT_KIND_UNSPECIFIED":
        known = ", ".join(key.removeprefix("ARTIFACT_KIND_").lower() for key in artifact_pb2.ArtifactKind.keys()[1:])
        raise ValueError(f"there is no artifact kind {kind!r}; there are: {known}")
    return artifact_pb2.ArtifactKind.Value(full)


def metadata_json(metadata: Mapping[str, object] | None) -> str:
    """An artifact's metadata as JSON text; empty when there is none."""
    return canonical_json(dict(metadata)) if metadata else ""


class _Requests(Iterator[artifact_pb2.UploadArtifactRequest]):
    """The messages of one upload: the header, then the file in pieces."""

    def __init__(self, header: artifact_pb2.ArtifactHeader, file: BinaryIO) -> None:
        self._header: artifact_pb2.ArtifactHeader | None = header
        self._file = file
        self.failure: Exception | None = None

    def __next__(self) -> artifact_pb2.UploadArtifactRequest:
        if self._header is not None:
            header, self._header = self._header, None
            return artifact_pb2.UploadArtifactRequest(header=header)
        try:
            piece = self._file.read(CHUNK_BYTES)
        except Exception as failure:
            self.failure = failure
            raise
        if not piece:
            raise StopIteration
        return artifact_pb2.UploadArtifactRequest(chunk=piece)


@contextmanager
def _opened(content: Content) -> Iterator[BinaryIO]:
    """The content as a file that can be read more than once."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        yield io.BytesIO(content)
    elif isinstance(content, (str, os.PathLike)):
        with open(content, "rb") as file:
            yield file
    elif content.seekable():
        yield content
    else:
        # It must be read twice, once to hash and once to send, so a pipe is written aside first.
        with tempfile.TemporaryFile() as aside:
            shutil.copyfileobj(content, aside)
            aside.seek(0)
            yield aside


def _measure(file: BinaryIO) -> tuple[int, str]:
    """Size and SHA-256 of the rest of the file."""
    size = 0
    digest = hashlib.sha256()
    while piece := file.read(CHUNK_BYTES):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()
