"""What tests share: a real server from the jar, clients of it, and small real gRPC servers for tests of the client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

import pmbot
from pmbot.discovery import Role

START_SECONDS = 60
STOP_SECONDS = 30


@dataclass
class Server:
    """A running server and its data directory."""

    data: Path
    address: str

    def connect(self, role: Role = "operator", **options: Any) -> pmbot.Client:
        """A client with that role's token; the caller closes it."""
        return pmbot.connect(self.address, role=role, data_dir=self.data, **options)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The server of `PMBOT_JAR` on a fresh data directory. Without the jar the test fails: it has not been run."""
    jar = os.environ.get("PMBOT_JAR")
    if not jar:
        pytest.fail("PMBOT_JAR is not set; this test needs the server's jar")
    data = tmp_path / "data"
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["java", "-jar", jar, "serve", f"--data={data}", "--port=0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )
    try:
        yield Server(data, _address_of(process, data / "server.json", log))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not stop within {STOP_SECONDS} s of SIGTERM:\n{log.read_text()}")


def _address_of(process: subprocess.Popen[bytes], discovery: Path, log: Path) -> str:
    """The address in the discovery file, once the server has written it."""

    def address() -> str | None:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode} before it was ready:\n{log.read_text()}")
        try:
            return str(json.loads(discovery.read_text())["address"])
        except (FileNotFoundError, ValueError):
            return None

    return eventually(address, START_SECONDS)


def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Asks until the answer is true, and answers it; fails when it is not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.02)
    return answer


@dataclass
class SmallServer:
    """A gRPC server with services of the test's own, on a port that stays the same over restarts."""

    services: list[tuple[Callable[[Any, grpc.Server], None], Any]]
    port: int = 0

    def start(self) -> None:
        """Listens."""
        self._grpc = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        for add, service in self.services:
            add(service, self._grpc)
        self.port = self._grpc.add_insecure_port(f"127.0.0.1:{self.port}")
        assert self.port, "the port is taken"
        self._grpc.start()

    def stop(self) -> None:
        """Ends all calls at once."""
        stopped: threading.Event = self._grpc.stop(None)
        stopped.wait()

    def connect(self, **options: Any) -> pmbot.Client:
        """A client; the caller closes it."""
        return pmbot.connect(f"127.0.0.1:{self.port}", token="a-token", **options)


@pytest.fixture
def small_server() -> Iterator[Callable[..., SmallServer]]:
    """Starts a server: `small_server((run_pb2_grpc.add_RunServiceServicer_to_server, MyServicer()))`."""
    started: list[SmallServer] = []

    def start(*services: tuple[Callable[[Any, grpc.Server], None], Any]) -> SmallServer:
        server = SmallServer(list(services))
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
