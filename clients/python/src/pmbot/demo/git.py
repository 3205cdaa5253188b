"""Runs git so that nothing a user or a repository has configured can interfere.

Hooks, signing, aliases, attributes and prompts come from configuration; all of it is switched off here, and no command
can reach a network.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    f"core.attributesFile={os.devnull}",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


class GitError(Exception):
    """git refused, is missing, or said something that cannot be used; the message says what."""


def user_environment() -> dict[str, str]:
    """The environment for finding the user's repository: their configuration counts (whom git may trust stands there),
    but no GIT_* variable does, because one that a hook or an alias left behind would name another repository.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def _isolated_environment() -> dict[str, str]:
    return user_environment() | {
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }


def _command(arguments: tuple[str, ...]) -> list[str]:
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    return ["git", "--no-pager", *settings, *arguments]


def run(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Runs one git command in a folder and returns what it printed.

    `extra` adds environment variables. `environment` replaces the isolated one, for what only the user's own
    configuration can tell. Raises GitError with git's own words when it fails.
    """
    variables = dict(environment or _isolated_environment()) | dict(extra or {})
    try:
        done = subprocess.run(
            _command(arguments),
            cwd=folder,
            env=variables,
            input=stdin,
            capture_output=True,
            check=False,
            # Ctrl-C is for the demo, which stops between two steps; git would die in the middle of one.
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        if not folder.is_dir():
            raise GitError(f"there is no folder {str(folder)!r}") from missing
        raise GitError("git is not installed, or not on the PATH") from missing
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
        raise GitError(f"git {arguments[0]}: {words}")
    return done.stdout


@contextmanager
def object_reader(folder: Path) -> Iterator[_ObjectReader]:
    """Opens one `git cat-file --batch` for reading many objects, one in memory at a time."""
    process = subprocess.Popen(
        _command(("cat-file", "--batch")),
        cwd=folder,
        env=_isolated_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _ObjectReader(process)
    finally:
        process.kill()
        process.communicate()


class _ObjectReader:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._requests = process.stdin
        self._answers = process.stdout

    def read(self, object_id: str) -> bytes:
        """Returns one object's content. Raises GitError when the object is missing or the answer is cut short."""
        try:
            self._requests.write(object_id.encode("ascii") + b"\n")
            self._requests.flush()
        except BrokenPipeError as broken:
            raise GitError(f"git cat-file ended before it read object {object_id}") from broken
        header = self._answers.readline().split()
        if len(header) != 3:
            raise GitError(f"object {object_id} is not in the repository; a partial clone must fetch it first")
        size = int(header[2])
        content = self._answers.read(size + 1)
        if len(content) != size + 1:
            raise GitError(f"git cat-file ended in the middle of object {object_id}")
        return content[:size]
