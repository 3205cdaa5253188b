"""A person and the demo: at its terminal, from elsewhere, and over what is killed and restarted meanwhile."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Server, eventually

from pmbot.demo.items import Answer, resolve
from pmbot.demo.scratch import clone_folder
from pmbot.v1 import changeset_pb2, run_pb2

from .kit import demo_command
from .whole import SECONDS, Demo

START = "Start the run? [y/n] "
DIFF = "Apply this diff to a scratch clone? [y/n] "
APPLY = "Apply the changeset? [y/n] "


class Terminal:
    """A pseudo-terminal with a demo in it."""

    def __init__(self, demo: Demo) -> None:
        self._person, program = pty.openpty()
        self.process = subprocess.Popen(
            demo_command(),
            cwd=demo.project.root,
            env={**os.environ, "COLUMNS": "200", "TERM": "xterm", **demo.environment},
            stdin=program,
            stdout=program,
            stderr=program,
            start_new_session=True,
        )
        os.close(program)
        self.shown = ""
        """Everything since the last answer."""

    def sees(self, text: str) -> str:
        """Reads until a text is on the screen; answers all since the last answer."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was never shown:\n{self.shown}"
            if not self._read(0.2) and self.process.poll() is not None:
                pytest.fail(f"the demo ended with {self.process.returncode}:\n{self.shown}")
        return self.shown

    def types(self, line: str) -> None:
        """Types a line."""
        self.shown = ""
        os.write(self._person, line.encode() + b"\n")

    def ends(self, code: int = 0) -> str:
        """Reads until the demo has ended; answers what it showed."""
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"the demo did not end:\n{self.shown}"
            self._read(0.2)
        while self._read(0):
            pass
        assert self.process.returncode == code, self.shown
        return self.shown

    def _read(self, seconds: float) -> bool:
        if not select.select([self._person], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._person, 65536)
        except OSError:  # the demo has closed its end
            return False
        self.shown += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)

    def kill(self) -> None:
        """Ends the demo as a power cut would, and closes the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._person)


@contextmanager
def terminal(demo: Demo) -> Iterator[Terminal]:
    """A demo at a terminal, which is closed at the end."""
    opened = Terminal(demo)
    try:
        yield opened
    finally:
        opened.kill()


def applied(demo: Demo) -> bool:
    (run,) = demo.runs()
    (changeset,) = demo.changesets(run.run_id)
    return changeset.status == changeset_pb2.CHANGESET_STATUS_APPLIED and run.status == run_pb2.RUN_STATUS_COMPLETED


def test_a_person_sees_what_is_asked_and_says_yes_to_each(demo: Demo) -> None:
    with terminal(demo) as screen:
        assert "Tidy the text files of" in screen.sees(START)
        screen.types("y")
        shown = screen.sees(DIFF)
        assert "-one" in shown and "+two" in shown and "FILES.md" in shown
        screen.types("perhaps")
        screen.sees(DIFF)
        screen.types("yes")
        shown = screen.sees(APPLY)
        assert "modified a.txt" in shown and "added FILES.md" in shown and "-one" in shown and "+two" in shown
        screen.types("y")
        assert "Chain verified" in screen.ends()
    assert applied(demo)


@pytest.mark.parametrize("yeses", [0, 1, 2])
def test_a_no_at_the_terminal_ends_it_well_with_the_reason_on_the_record(demo: Demo, yeses: int) -> None:
    with terminal(demo) as screen:
        for question in (START, DIFF, APPLY)[:yeses]:
            screen.sees(question)
            screen.types("y")
        screen.sees((START, DIFF, APPLY)[yeses])
        screen.types("n")
        screen.sees("Why not?")
        screen.types("not today")
        assert "refused" in screen.ends()
    assert any("not today" in event.payload_json for event in demo.events())
    (run,) = demo.runs()
    assert clone_folder(run.run_id).exists() == (yeses == 2)
    assert all(not changeset.applied_commit_sha for changeset in demo.changesets(run.run_id))


def test_what_is_answered_elsewhere_leaves_the_terminal(demo: Demo) -> None:
    with terminal(demo) as screen:
        for question in (START, DIFF, APPLY):
            screen.sees(question)
            resolve(demo.client, demo.next_item(), Answer(True), "")
            screen.sees("No longer waiting for an answer here.")
        screen.ends()
    assert applied(demo)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_server_loses_no_question_and_no_answer(
    demo: Demo,
    server: Server,
    how: signal.Signals,
) -> None:
    with terminal(demo) as screen:
        for question in (START, DIFF, APPLY):
            screen.sees(question)
            server.stop(how)
            # The person answers while nobody is there to hear it.
            screen.types("y")
            server.start()
            screen.sees("You said yes.")
        screen.ends()
    assert applied(demo)


def test_a_demo_that_is_killed_at_its_question_asks_it_again(demo: Demo) -> None:
    for question in (START, DIFF, APPLY):
        with terminal(demo) as screen:
            screen.sees(question)
        with terminal(demo) as screen:
            screen.sees(question)
            screen.types("y")
            screen.sees("You said yes.")
    with terminal(demo) as screen:
        screen.ends()
    assert applied(demo)


def test_the_printed_lines_answer_from_another_client(demo: Demo, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "grpcurl"
    program.parent.mkdir()
    script = Path(__file__).with_name("grpcurl.py")
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n')
    program.chmod(0o700)
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    output = tmp_path / "out.txt"
    with output.open("wb") as out:
        process = subprocess.Popen(
            demo_command(),
            cwd=demo.project.root,
            env={**os.environ, "COLUMNS": "200", **demo.environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )

        def lines() -> list[str]:
            return [line for line in output.read_text().splitlines() if line.startswith("grpcurl ")]

        for number in range(3):
            # A line for yes and a line for no, each time.
            eventually(lambda: len(lines()) == 2 * number + 2 or process.poll() is not None, SECONDS)
            assert process.poll() is None, output.read_text()
            yes, no = lines()[-2:]
            done = subprocess.run(["sh", "-c", yes], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            done = subprocess.run(["sh", "-c", no], env=environment, capture_output=True, text=True, check=False)
            assert (done.returncode, "FAILED_PRECONDITION" in done.stderr) == (1, True), done
        assert process.wait(SECONDS) == 0, output.read_text()
    assert applied(demo)
