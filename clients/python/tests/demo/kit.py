"""Real repositories, a demo in a process of its own, and what stands in where no control plane runs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pmbot.v1 import artifact_pb2, changeset_pb2, run_pb2

RUN_ID = "run_" + "0" * 31 + "1"
CHANGESET_ID = "cs_" + "0" * 31 + "2"


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """git as a user has it, but for an identity and without this machine's configuration."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Somebody",
        "GIT_AUTHOR_EMAIL": "somebody@localhost.invalid",
        "GIT_COMMITTER_NAME": "Somebody",
        "GIT_COMMITTER_EMAIL": "somebody@localhost.invalid",
    }
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=stdin, check=True, capture_output=True
    ).stdout


def demo_command(*arguments: str) -> list[str]:
    """What starts `pmbot demo`."""
    return [sys.executable, "-c", "from pmbot.cli import main; main()", "demo", *arguments]


def start_demo(folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Starts `pmbot demo` in a folder, with nobody at its terminal."""
    return subprocess.Popen(
        demo_command(*arguments),
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Project:
    """A user's repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        git(root, "init", "-q", "-b", "main")

    def commit(self, files: dict[str | bytes, bytes]) -> str:
        """Commits exactly these bytes beside what there is."""
        for name, content in files.items():
            path = os.path.join(os.fsencode(self.root), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as handle:
                handle.write(content)
        git(self.root, "-c", "core.autocrlf=false", "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", "change")
        return git(self.root, "rev-parse", "HEAD").decode().strip()

    def snapshot(self) -> dict[str, tuple[int, str]]:
        """Every file below the root, git's own included: whatever changes here was written by somebody."""
        return {
            os.path.relpath(os.path.join(folder, name), self.root): _facts(os.path.join(folder, name))
            for folder, _, names in os.walk(self.root)
            for name in names
        }


def _facts(path: str) -> tuple[int, str]:
    if os.path.islink(path):
        return 0, os.readlink(path)
    return os.stat(path).st_mtime_ns, hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Records:
    """Keeps what a run stores, as the control plane does: the same name with the same content is the same artifact."""

    def __init__(self, repository: Path, base_commit: str) -> None:
        spec = {"input": {"repository": str(repository), "base_commit": base_commit}}
        self.run = run_pb2.Run(run_id=RUN_ID, goal="Tidy", agent_run_spec_json=json.dumps(spec))
        self.contents: dict[str, bytes] = {}
        self.proposed: list[dict[str, Any]] = []
        self.client = self

    def artifact(self, name: str, data: bytes, kind: Any, content_type: str = "", title: str = "") -> Any:
        assert self.contents.setdefault(name, data) == data, f"{name} was stored with other content before"
        return artifact_pb2.Artifact(artifact_id=name, run_id=RUN_ID, kind=kind, title=title)

    def changeset(self, bundle: dict[str, Any]) -> changeset_pb2.Changeset:
        self.proposed.append(bundle)
        return self.approved_changeset()

    def approved_changeset(self) -> changeset_pb2.Changeset:
        changeset = changeset_pb2.Changeset(
            changeset_id=CHANGESET_ID, run_id=RUN_ID, bundle_json=json.dumps(self.proposed[-1])
        )
        changeset.created_at.FromSeconds(1_750_000_000)
        return changeset

    def download_artifact(self, artifact_id: str) -> Iterator[bytes]:
        content = self.contents[artifact_id]
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]
