"""The kill matrix: the demo is killed at every one of its calls, and the server at every commit and rename.

A worker's point is one repository and one run on a server that lives on: `pmbot demo --yes` dies before or after its
k-th call, and is started again. A server's point has a data directory of its own: the server is halted before or after
its k-th commit or rename, and started again, as is the demo where it gave up. Points are tried for k = 1, 2, 3, … until
a run meets no kill any more. Whatever was killed, the same run comes to its end and everything is there once.

By default every third point is tried. `PMBOT_KILL_MATRIX=full` tries all of them, which takes some minutes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Server, eventually

from .kit import Project
from .mortal import KILLED, Death, live
from .outcome import Outcome, examine

FULL = os.environ.get("PMBOT_KILL_MATRIX") == "full"
STEP = 1 if FULL else 3
POINTS = 40
"""So many there must be at least, or the matrix does not try what it is for."""
LANES = 5
"""How many points are tried at a time: most of the time passes in waiting for a lost lease."""
SECONDS = 90
LIVES = 5
STOPPED = 143
"""Java's exit code after SIGTERM."""


class Scan:
    """The points of one kind: numbers are handed out until a run has met no kill at its number."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._ended = False
        self._lock = threading.Lock()
        self.points = 0
        self.outcome = Outcome()

    def numbers(self) -> Iterator[int]:
        """What is left to try; shared by all who ask."""
        while True:
            with self._lock:
                if self._ended:
                    return
                number = self._next
                self._next += STEP
            yield number

    def met(self, killed: bool, outcome: Outcome) -> None:
        """Notes what came of a number."""
        with self._lock:
            self.points += killed
            self._ended = self._ended or not killed
            self.outcome.add(outcome)

    def end(self) -> None:
        """Hands out nothing more."""
        with self._lock:
            self._ended = True


class Place:
    """Where one lane works: its folder, and how a server and a demo are started there."""

    def __init__(self, folder: Path, java: tuple[str, ...]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.java = java
        self.server = Server(os.environ["PMBOT_JAR"], folder)

    def project(self, name: str) -> tuple[Project, str]:
        """A small repository in which there is something to tidy, and its commit."""
        project = Project(self.folder / name)
        return project, project.commit({"a.txt": b"one \n"})

    def environment(self) -> dict[str, str]:
        """What the demo needs to find the server, and to leave nothing elsewhere."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        tokens = self.server.data / "tokens"
        return {
            "COLUMNS": "200",
            "PMBOT_ADDRESS": self.server.address,
            "PMBOT_TOKEN_FILE": str(tokens / "operator.token"),
            "PMBOT_WORKER_TOKEN_FILE": str(tokens / "worker.token"),
            "TMPDIR": str(temporary),
            "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
        }

    def examine(self, label: str, project: Project, base: str) -> Outcome:
        """What the run has left behind."""
        with self.server.connect() as client:
            outcome = examine(client, self.server.data, project, base)
        outcome.wrong = [f"{label}: {one}" for one in outcome.wrong]
        return outcome


def kill_workers(place: Place, before: Scan, after: Scan) -> None:
    """One lane of workers' points, on one server."""
    place.server.start(*place.java)
    try:
        for scan, is_after in ((before, False), (after, True)):
            for number in scan.numbers():
                kill_worker(place, scan, Death(number, is_after))
    except BaseException:
        before.end()
        after.end()
        raise
    finally:
        place.server.stop()
    assert place.server.ended() == STOPPED, place.server.log()


def kill_worker(place: Place, scan: Scan, death: Death) -> None:
    label = f"{'after' if death.after else 'before'}-call-{death.call}"
    project, base = place.project(label)
    untouched = project.snapshot()
    output = place.folder / f"{label}.txt"
    process = live(project.root, place.environment(), output, death)
    process.join(SECONDS)
    killed = process.exitcode == KILLED
    if killed:
        process = live(project.root, place.environment(), output)
        process.join(SECONDS)
    assert process.exitcode == 0, f"{label}: exit code {process.exitcode}\n{output.read_text()}"
    assert project.snapshot() == untouched
    scan.met(killed, place.examine(label, project, base))


def halt_servers(places: Callable[[int], Place], scan: Scan) -> None:
    """One lane of servers' points."""
    try:
        for number in scan.numbers():
            halt_server(places(number), scan, number)
    except BaseException:
        scan.end()
        raise


def halt_server(place: Place, scan: Scan, number: int) -> None:
    label = f"halt-{number}"
    project, base = place.project("project")
    untouched = project.snapshot()
    output = place.folder / "demo.txt"
    halted = False
    try:
        place.server.start(*place.java, f"-Dpmbot.halt.at={number}")
    except pytest.fail.Exception:
        if place.server.ended() != KILLED:
            raise
    lives = 0
    process = None

    def finished() -> bool:
        nonlocal halted, lives, process
        code = place.server.ended()
        if code is not None:
            assert (code, halted) == (KILLED, False), f"{label}: the server ended with {code}\n{place.server.log()}"
            halted = True
            place.server.start(*place.java)
        if process is not None:
            if process.exitcode is None:
                return False
            if process.exitcode == 0:
                return True
            assert halted and process.exitcode == 1, f"{label}: {process.exitcode}\n{output.read_text()}"
        assert lives < LIVES, f"{label}: the demo gave up again and again\n{output.read_text()}"
        lives += 1
        process = live(project.root, place.environment(), output)
        return False

    try:
        eventually(finished, SECONDS)
        outcome = place.examine(label, project, base)
        place.server.stop()
        if not halted and place.server.ended() == KILLED:
            halted = True
            place.server.start(*place.java)
            outcome = place.examine(label, project, base)
            place.server.stop()
    except BaseException:
        place.server.stop()
        raise
    assert place.server.ended() == STOPPED, place.server.log()
    assert project.snapshot() == untouched
    scan.met(halted, outcome)


@contextmanager
def lanes() -> Iterator[Callable[..., None]]:
    """Runs what it is given in so many threads at once, and raises what one of them raised."""
    with ThreadPoolExecutor(LANES) as pool:
        futures: list[Future[None]] = []
        yield lambda work, *arguments: futures.append(pool.submit(work, *arguments))
    for future in futures:
        future.result()


def class_archive(folder: Path) -> tuple[str, ...]:
    """Java's options for a server that starts in half the time, with the classes that another one has loaded."""
    place = Place(folder, ())
    archive = folder / "classes.jsa"
    place.server.start(f"-XX:ArchiveClassesAtExit={archive}")
    place.server.stop()
    return (f"-XX:SharedArchiveFile={archive}",)


@pytest.mark.timeout(1800)
def test_whatever_is_killed_the_run_finishes_and_everything_is_there_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert os.environ.get("PMBOT_JAR"), "PMBOT_JAR is not set; this test needs the server's jar"
    java = class_archive(tmp_path / "archive")
    # Not the same numbers before and after, so that where not all are tried more of the calls are met.
    before, after, halts = Scan(1), Scan(min(2, STEP)), Scan(1)
    with lanes() as run:
        for lane in range(LANES):
            run(kill_workers, Place(tmp_path / f"lane-{lane}", java), before, after)
    with lanes() as run:
        for _ in range(LANES):
            run(halt_servers, lambda number: Place(tmp_path / f"halt-{number}", java), halts)

    points = before.points + after.points + halts.points
    total = Outcome()
    for scan in (before, after, halts):
        total.add(scan.outcome)
    with capsys.disabled():
        print(
            f"\nkill matrix: {points} points ({before.points} before and {after.points} after a call of the worker, "
            f"{halts.points} at a commit or rename of the server), {total.finished} runs finished, "
            f"{total.asked_twice} questions asked twice, {total.artifacts_twice} artifacts twice, "
            f"{total.commits_twice} commits twice"
        )
    assert total.wrong == []
    assert points >= POINTS
    # Every run that met no kill has finished as well.
    assert total.finished >= points
    assert (total.asked_twice, total.artifacts_twice, total.commits_twice) == (0, 0, 0)
