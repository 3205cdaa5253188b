"""`pmbot demo`: from a repository to a commit, with a person's yes at each step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pmbot.client import Client, connect
from pmbot.demo.applier import branch_name
from pmbot.demo.progress import Progress, look
from pmbot.demo.questions import Questions
from pmbot.demo.registration import register
from pmbot.demo.report import print_chain, print_timeline
from pmbot.demo.repository import Repository, RepositoryError, find_repository
from pmbot.demo.scratch import clone_folder
from pmbot.demo.state import AlreadyRunning, State, StateFolder
from pmbot.demo.terminal import is_interactive, visible
from pmbot.demo.watch import Watch
from pmbot.demo.worker import DemoWorker
from pmbot.errors import PmbotError, Unavailable
from pmbot.v1 import changeset_pb2, run_pb2, server_pb2

FAILED, USAGE, INTERRUPTED = 1, 2, 130
LOOK_SECONDS = 1.0
FAILURES = 3
"""After so many failed attempts a demo gives up, long before the run does: the person is sitting there."""


def demo(
    repo: Annotated[
        Path | None, typer.Option("--repo", help="A folder in a git work tree; default the current one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Say yes to everything that is asked.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Begin another demo, whatever an earlier one left.")] = False,
) -> None:
    """Propose a real change to a git repository, ask you at each step, and commit it in a scratch clone.

    The repository itself is only read. A demo that was stopped goes on where it was.
    """
    raise typer.Exit(run_demo(repo if repo is not None else Path.cwd(), always_yes=yes, new=new))


def run_demo(repo: Path, *, always_yes: bool, new: bool, connect: Callable[..., Client] = connect) -> int:
    """Shows the demo of a folder's repository and answers the exit code.

    Every connection to the server is made by `connect`. Raises PmbotError.
    """
    out = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    try:
        repository = find_repository(repo)
    except RepositoryError as unusable:
        errors.print(Text(visible(str(unusable))), soft_wrap=True)
        return USAGE
    # A server that is not there should be said at once, not after half a minute of trying.
    with connect(role="operator", retry_seconds=2) as probe:
        server = probe.server.GetServerInfo(server_pb2.GetServerInfoRequest())
    folder = StateFolder(repository.root, server.incarnation)
    try:
        with folder.lock(), _Stop() as stop, connect(role="operator") as operator:
            return _demo(out, operator, connect, folder, repository, server, stop, always_yes=always_yes, new=new)
    except AlreadyRunning:
        errors.print("A demo of this repository is running already. Answer it there, or stop it first.")
    except ValueError as damaged:
        errors.print(Text(visible(str(damaged))), soft_wrap=True)
    return FAILED


def _demo(
    out: Console,
    operator: Client,
    connect: Callable[..., Client],
    folder: StateFolder,
    repository: Repository,
    server: server_pb2.GetServerInfoResponse,
    stop: _Stop,
    *,
    always_yes: bool,
    new: bool,
) -> int:
    state = None if new else folder.load()
    if state is None:
        state = State(repository=str(repository.root), base_commit=repository.head)
    if state.finished:
        out.print("This demo is finished. Begin another one with: pmbot demo --new")
        return _report(out, operator, look(operator, state.run_id), state.outcome)
    register(operator, folder, state, repository)
    out.print(Text(visible(f"Run {state.run_id} on {repository.root} at {state.base_commit[:12]}.")), soft_wrap=True)
    questions = Questions(
        out,
        operator,
        folder,
        state,
        data_directory=server.data_directory,
        always_yes=always_yes,
        interactive=is_interactive(),
    )
    with (
        connect(role="worker", worker_id=state.worker_id) as client,
        Watch(operator, state.workspace_id, state.run_id) as watch,
        DemoWorker(client, folder, state.run_id, watch.wake) as worker,
    ):
        stop.wake = watch.wake
        progress = _carry_on(out, operator, state, watch, questions, worker, stop)
        if progress is None:
            out.print("Stopped. Start it again in the same repository, and it goes on here.")
            return INTERRUPTED
        state.outcome = worker.outcome(progress.run.thread_id)
    state.finished = True
    folder.save(state)
    return _report(out, operator, progress, state.outcome)


class _Stop:
    """Turns SIGINT and SIGTERM into a flag while it is entered; a second one ends the program at once."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self.asked = False
        self.wake: Callable[[], None] = lambda: None
        """Called when it is asked, in the signal handler."""

    def __enter__(self) -> _Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: object) -> None:
        if self.asked:
            os._exit(INTERRUPTED)
        self.asked = True
        self.wake()


def _carry_on(
    out: Console,
    operator: Client,
    state: State,
    watch: Watch,
    questions: Questions,
    worker: DemoWorker,
    stop: _Stop,
) -> Progress | None:
    """Answers what is asked until nothing is left to wait for; None when it was told to stop."""
    failures: set[str] = set()
    while not stop.asked:
        if worker.failure is not None:
            raise PmbotError(f"The worker failed: {worker.failure}", hint="Mend it and start the demo again.")
        try:
            progress = look(operator, state.run_id)
            if progress.finished:
                return progress
            if progress.trouble and progress.trouble not in failures:
                failures.add(progress.trouble)
                out.print(Text(visible(f"Trying again after {progress.trouble}"), style="yellow"), soft_wrap=True)
            if len(failures) == FAILURES:
                raise PmbotError(
                    f"The run failed {FAILURES} times, at last with {progress.run.status_reason}",
                    hint="Mend that and start the demo again: it goes on where it was.",
                )
            watch.poll(LOOK_SECONDS)
            for item in list(watch.waiting.values()):
                questions.deal_with(item, partial(_wanted, watch, stop, item.item_id))
        except Unavailable as away:
            out.print(Text(visible(f"The server is away, trying on: {away}"), style="yellow"), soft_wrap=True)
    return None


def _wanted(watch: Watch, stop: _Stop, item_id: str) -> bool:
    watch.poll(0)
    return item_id in watch.waiting and not stop.asked


def _report(out: Console, operator: Client, progress: Progress, outcome: str) -> int:
    run, changeset = progress.run, progress.changeset
    out.rule()
    print_timeline(out, operator, run.run_id)
    whole = print_chain(out, operator, run.workspace_id)
    for line in _result(run, changeset, outcome):
        out.print(Text(visible(line)), soft_wrap=True)
    return FAILED if progress.failed or not whole else 0


def _result(run: run_pb2.Run, changeset: changeset_pb2.Changeset | None, outcome: str) -> Iterator[str]:
    reason = f": {run.status_reason}" if run.status_reason else "."
    if run.status == run_pb2.RUN_STATUS_FAILED:
        yield f"The run failed{reason}"
    elif run.status == run_pb2.RUN_STATUS_CANCELLED:
        yield f"The run was cancelled{reason}"
    elif run.status == run_pb2.RUN_STATUS_REJECTED:
        yield f"The run was refused before it began{reason}"
    elif changeset is None:
        yield outcome or "The run proposed nothing."
    if changeset is None:
        return
    if changeset.status == changeset_pb2.CHANGESET_STATUS_REJECTED:
        yield f"The changeset {changeset.changeset_id} was refused; nothing was committed."
    if changeset.status == changeset_pb2.CHANGESET_STATUS_APPLIED:
        clone, branch = clone_folder(run.run_id), branch_name(changeset.changeset_id)
        yield f"branch  {branch}"
        yield f"commit  {changeset.applied_commit_sha}"
        yield f"clone   {clone}"
        yield f"To have it: git fetch {clone} {branch}:{branch}"
