"""What a demo must remember to go on after a kill: on disk before the control plane hears of it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pmbot.demo.locks import Locked, locked


class AlreadyRunning(Exception):
    """Another demo of the same repository and server is running."""


@dataclass
class State:
    """One demo. Request ids are fixed when it begins, so that a call whose answer was lost is repeated, not made twice.

    Ids that the server made are empty until it answered.
    """

    repository: str
    base_commit: str
    state_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    workspace_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    repo_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    run_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    workspace_id: str = ""
    repo_id: str = ""
    run_id: str = ""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By item id: `yes`, `reason` and the `payload_hash` that was shown."""
    finished: bool = False
    outcome: str = ""
    """What the graph said at the end."""

    @property
    def short_id(self) -> str:
        """Eight characters for names."""
        return self.state_id.replace("-", "")[:8]

    @property
    def worker_id(self) -> str:
        """How the demo's worker is called in the audit log."""
        return f"demo-{self.short_id}"

    def decision_request_id(self, item_id: str) -> str:
        """The request id under which an item is decided, the same in every life of this demo."""
        return str(uuid.uuid5(uuid.UUID(self.state_id), item_id))


def cache_directory() -> Path:
    """The user's cache directory for pm-bot: below XDG_CACHE_HOME, else below ~/.cache."""
    # The XDG specification: a relative path is to be ignored.
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if os.path.isabs(configured) else Path.home() / ".cache"
    return base / "pmbot"


class StateFolder:
    """Where the demos of one repository on one server are remembered."""

    def __init__(self, repository: Path, server: str) -> None:
        servers = cache_directory() / "demo" / _digest(server)
        self.folder = servers / _digest(str(repository))
        self._file = self.folder / "state.json"
        self.checkpoints = servers / "checkpoints.sqlite3"
        """LangGraph's checkpoints of all demos on this server: any demo's worker may be handed any demo's run, and must
        find its thread."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder while a demo runs. Raises AlreadyRunning when another process does; a kill lets go of it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with locked(self.folder / "lock", wait=False):
                yield
        except Locked as held:
            raise AlreadyRunning(str(self.folder)) from held

    def load(self) -> State | None:
        """The demo that was begun last, or None. Raises ValueError when the file is not one that `save` wrote."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            known = {name.name for name in fields(State)}
            return State(**{name: value for name, value in json.loads(text).items() if name in known})
        except (ValueError, TypeError, AttributeError) as damaged:
            raise ValueError(f"{self._file} is damaged ({damaged}); begin another demo with --new") from damaged

    def save(self, state: State) -> None:
        """Writes the state so that a kill at any moment leaves the old one or the new one, whole."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = self._file.with_suffix(".aside")
        with open(aside, "w", encoding="utf-8") as handle:
            json.dump(asdict(state), handle, indent=2, sort_keys=True)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(aside, self._file)
        _sync_folder(self.folder)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
