"""Artifacts: whole or not at all, announced and checked, and taken up again where they broke off."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from refusals import refuse

from pmbot import errors
from pmbot.transfers import CHUNK_BYTES, artifact_kind
from pmbot.v1 import artifact_pb2, artifact_pb2_grpc

Start = Callable[..., Any]
CONTENT = os.urandom(3 * CHUNK_BYTES + 17)
ARTIFACT = "art_" + "0" * 32


class Artifacts(artifact_pb2_grpc.ArtifactServiceServicer):
    """Takes and hands out one artifact; it breaks off after so many messages, once for each number given."""

    def __init__(self, *breaks: int, content: bytes = CONTENT, recorded: bytes = CONTENT) -> None:
        self.breaks = list(breaks)
        self.content = content
        self.recorded = recorded
        self.headers: list[artifact_pb2.ArtifactHeader] = []
        self.received = b""
        self.registered: artifact_pb2.RegisterArtifactRequest | None = None
        self.left = 0.0
        self.sizes: list[int] = []
        self.offsets: list[int] = []

    def UploadArtifact(self, requests: Iterator[Any], context: Any) -> artifact_pb2.UploadArtifactResponse:
        budget = self.breaks.pop(0) if self.breaks else None
        self.received = b""
        self.headers.append(next(requests).header)
        for number, request in enumerate(requests):
            if number == budget:
                refuse(context, grpc.StatusCode.UNAVAILABLE, "The server is stopping", "SHUTTING_DOWN")
            self.received += request.chunk
            self.sizes.append(len(request.chunk))
        return artifact_pb2.UploadArtifactResponse(artifact=artifact_pb2.Artifact(artifact_id=ARTIFACT))

    def RegisterArtifact(self, request: Any, context: Any) -> artifact_pb2.RegisterArtifactResponse:
        self.registered = request
        self.left = context.time_remaining()
        return artifact_pb2.RegisterArtifactResponse(artifact=artifact_pb2.Artifact(artifact_id=ARTIFACT))

    def VerifyArtifact(self, request: Any, context: Any) -> artifact_pb2.VerifyArtifactResponse:
        self.left = context.time_remaining()
        return artifact_pb2.VerifyArtifactResponse(verdict=artifact_pb2.ARTIFACT_VERDICT_MISSING)

    def DownloadArtifact(self, request: Any, context: Any) -> Iterator[artifact_pb2.DownloadArtifactResponse]:
        budget = self.breaks.pop(0) if self.breaks else None
        self.offsets.append(request.offset)
        artifact = artifact_pb2.Artifact(size_bytes=len(self.recorded), hash=hashlib.sha256(self.recorded).hexdigest())
        yield artifact_pb2.DownloadArtifactResponse(artifact=artifact, offset=request.offset)
        for number, begin in enumerate(range(request.offset, len(self.content), 100_000)):
            if number == budget:
                refuse(context, grpc.StatusCode.UNAVAILABLE, "The server is stopping", "SHUTTING_DOWN")
            yield artifact_pb2.DownloadArtifactResponse(offset=begin, chunk=self.content[begin : begin + 100_000])


def serve(start: Start, service: Artifacts) -> Any:
    return start((artifact_pb2_grpc.add_ArtifactServiceServicer_to_server, service))


class Pipe(io.RawIOBase):
    """A file that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(buffer)


@pytest.mark.parametrize("form", ["bytes", "path", "text path", "file", "pipe"])
def test_upload_from_every_form(small_server: Start, tmp_path: Path, form: str) -> None:
    service = Artifacts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with serve(small_server, service).connect() as client, path.open("rb") as file:
        data = {"bytes": CONTENT, "path": path, "text path": str(path), "file": file, "pipe": Pipe(CONTENT)}[form]
        more: Any = {"content_type": "text/plain", "title": "A", "metadata": {"b": 1, "a": 2}}
        artifact = client.upload_artifact("run", "lease", "test_report", "a.txt", data, **more)
    assert artifact.artifact_id == ARTIFACT
    assert service.received == CONTENT
    assert max(service.sizes) <= CHUNK_BYTES
    header = service.headers[0]
    assert (header.run_id, header.lease_token, header.name) == ("run", "lease", "a.txt")
    assert header.kind == artifact_pb2.ARTIFACT_KIND_TEST_REPORT
    assert (header.content_type, header.title) == ("text/plain", "A")
    assert (header.size_bytes, header.hash) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert header.metadata_json == '{"a":2,"b":1}'


def test_upload_of_a_file_begins_where_it_stands(small_server: Start) -> None:
    service = Artifacts()
    file = io.BytesIO(b"before|after")
    file.seek(7)
    with serve(small_server, service).connect() as client:
        client.upload_artifact("run", "lease", "log", "a", file)
    assert service.received == b"after" and service.headers[0].size_bytes == 5


def test_an_empty_artifact_announces_its_size(small_server: Start) -> None:
    service = Artifacts()
    with serve(small_server, service).connect() as client:
        client.upload_artifact("run", "lease", "log", "a", b"")
    assert service.headers[0].HasField("size_bytes") and service.headers[0].size_bytes == 0


def test_a_broken_upload_begins_again_under_the_same_id(small_server: Start) -> None:
    service = Artifacts(2, 0)
    with serve(small_server, service).connect() as client:
        client.upload_artifact("run", "lease", "log", "a", CONTENT)
    assert len(service.headers) == 3
    assert len({header.request_id for header in service.headers}) == 1 and service.headers[0].request_id
    assert service.received == CONTENT


def test_a_file_that_cannot_be_read_says_so(small_server: Start, tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads == 7:
                raise OSError("the disk is gone")
            return super().read(size)

    with serve(small_server, Artifacts()).connect() as client:
        with pytest.raises(OSError, match="the disk is gone"):
            client.upload_artifact("run", "lease", "log", "a", Failing(CONTENT))
        with pytest.raises(FileNotFoundError):
            client.upload_artifact("run", "lease", "log", "a", tmp_path / "missing")


def test_kinds() -> None:
    assert artifact_kind("log") == artifact_kind("ARTIFACT_KIND_LOG") == artifact_kind(3) == 3
    with pytest.raises(ValueError, match="there are: changeset_bundle, patch, log"):
        artifact_kind("unspecified")


@pytest.mark.parametrize("breaks", [(), (0,), (3,), (2, 0, 1, 4)])
def test_a_broken_download_goes_on_where_it_broke(small_server: Start, breaks: tuple[int, ...]) -> None:
    service = Artifacts(*breaks)
    with serve(small_server, service).connect() as client:
        assert b"".join(client.download_artifact(ARTIFACT)) == CONTENT
    assert len(service.offsets) == len(breaks) + 1
    assert service.offsets == sorted(service.offsets)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:], b""])
def test_content_that_is_not_what_is_on_record(small_server: Start, tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "target"
    with serve(small_server, Artifacts(content=content)).connect() as client:
        with pytest.raises(errors.ContentMismatch):
            client.save_artifact(ARTIFACT, target)
    assert list(tmp_path.iterdir()) == [], "nothing half is left"


def test_save_to_a_file(small_server: Start, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("older")
    with serve(small_server, Artifacts(1)).connect() as client:
        client.save_artifact(ARTIFACT, target)
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_artifact(small_server: Start) -> None:
    class Missing(artifact_pb2_grpc.ArtifactServiceServicer):
        def DownloadArtifact(self, request: Any, context: Any) -> Iterator[Any]:
            refuse(context, grpc.StatusCode.NOT_FOUND, "There is no artifact.", "NOT_FOUND", {"id": ARTIFACT})

    with small_server((artifact_pb2_grpc.add_ArtifactServiceServicer_to_server, Missing())).connect() as client:
        with pytest.raises(errors.NotFound):
            next(client.download_artifact(ARTIFACT))


def test_what_lies_somewhere_is_registered_with_all_that_is_said_of_it(small_server: Start) -> None:
    service = Artifacts()
    with serve(small_server, service).connect() as client:
        artifact = client.register_artifact(
            "run", "lease", "tool_trace", "s3://bucket/key", hash="0" * 64, size_bytes=0, metadata={"b": 1, "a": [2]}
        )
        assert artifact.artifact_id == ARTIFACT
        sent = service.registered
        assert sent is not None and sent.request_id
        assert (sent.run_id, sent.lease_token, sent.uri, sent.hash) == ("run", "lease", "s3://bucket/key", "0" * 64)
        assert sent.kind == artifact_pb2.ARTIFACT_KIND_TOOL_TRACE
        assert sent.HasField("size_bytes") and sent.metadata_json == '{"a":[2],"b":1}'
        client.register_artifact("run", "", "log", "artifacts/run/a.log")
        assert service.registered is not None and not service.registered.HasField("size_bytes")


def test_the_server_gets_the_time_to_read(small_server: Start) -> None:
    service = Artifacts()
    with serve(small_server, service).connect() as client:
        client.register_artifact("run", "lease", "log", "artifacts/run/a.log")
        assert service.left > 3000
        assert client.verify_artifact(ARTIFACT).verdict == artifact_pb2.ARTIFACT_VERDICT_MISSING
        assert service.left > 3000
        client.verify_artifact(ARTIFACT, timeout=50)
        assert service.left < 60
