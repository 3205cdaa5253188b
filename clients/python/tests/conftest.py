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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

import pmbot
from pmbot.discovery import Role

JAVA = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms24m", "-Xmx512m")
"""Java as a server of a few calls wants it: it starts in half the time."""
START_SECONDS = 60
STOP_SECONDS = 30


class Server:
    """A server of the jar, with a data directory below `folder`."""

    def __init__(self, jar: str, folder: Path) -> None:
        self.data = folder / "data"
        self.address = "127.0.0.1:0"
        self._jar = jar
        self._folder = folder
        self._log = folder / "server.log"

    def connect(self, role: Role = "operator", **options: Any) -> pmbot.Client:
        """A client with that role's token; the caller closes it."""
        return pmbot.connect(self.address, role=role, data_dir=self.data, **options)

    def start(self, *options: str) -> None:
        """Starts it, on the port that it had before if it had one, and waits until it has said where it is.

        `options` are Java's.
        """
        discovery = self.data / "server.json"
        discovery.unlink(missing_ok=True)  # a killed server leaves its own
        port = self.address.rpartition(":")[2]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*JAVA, *options, "-jar", self._jar, "serve", f"--data={self.data}", f"--port={port}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "XDG_RUNTIME_DIR": str(self._folder)},
            )

        def address() -> str | None:
            if self._process.poll() is not None:
                pytest.fail(f"the server ended with {self._process.returncode}:\n{self._log.read_text()}")
            try:
                return str(json.loads(discovery.read_text())["address"])
            except (FileNotFoundError, ValueError):
                return None

        try:
            self.address = eventually(address, START_SECONDS)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def log(self) -> str:
        """What it has printed so far, in all its lives."""
        return self._log.read_text()

    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, and waits until it has ended."""
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            pytest.fail(f"the server did not stop within {STOP_SECONDS} s of SIGTERM:\n{self._log.read_text()}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The server of `PMBOT_JAR` on a fresh data directory. Without the jar the test fails: it has not been run."""
    with running_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As `server`, but one for all tests that can live with each other's workspaces: a start takes seconds."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@contextmanager
def running_server(folder: Path, *options: str) -> Iterator[Server]:
    """A server that is stopped with SIGTERM at the end. `options` are Java's."""
    jar = os.environ.get("PMBOT_JAR")
    if not jar:
        pytest.fail("PMBOT_JAR is not set; this test needs the server's jar")
    server = Server(jar, folder)
    server.start(*options)
    try:
        yield server
    finally:
        server.stop()


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
