"""Finds the user's repository, and what the control plane needs to know of it. Nothing here writes to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pmbot.demo.git import GitError, run, user_environment


class RepositoryError(Exception):
    """There is no repository, or none that the demo can use; the message says which and what would help."""


@dataclass(frozen=True)
class Repository:
    """A git work tree with at least one commit."""

    root: Path
    """The top of the work tree, absolute."""
    objects: Path
    """Where its objects are, absolute; a linked work tree shares those of its main one."""
    object_format: str
    """`sha1` or `sha256`."""
    head: str
    """The commit that HEAD names."""
    branch: str
    """The branch that is checked out; `main` when HEAD is detached."""
    full_name: str
    """`owner/repo` of the remote `origin`, or `local/<folder>`."""


def find_repository(start: Path) -> Repository:
    """Looks at the work tree around a folder.

    Raises RepositoryError when the folder does not exist or is in no work tree, when the repository is bare or has no
    commit, and when its path cannot be written down (no valid UTF-8).
    """
    if not start.is_dir():
        raise RepositoryError(f"{str(start)!r} is not a folder.")
    try:
        root = Path(_line(start, "rev-parse", "--show-toplevel")).absolute()
    except GitError as refusal:
        raise RepositoryError(
            f"{str(start.absolute())!r} is not inside a git work tree: {refusal}. "
            "Go to one, or name it with --repo PATH."
        ) from refusal
    try:
        str(root).encode("utf-8")
    except UnicodeEncodeError as odd:
        raise RepositoryError(f"The path {str(root)!r} is not valid UTF-8; pm-bot cannot record it.") from odd
    try:
        head = _line(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except GitError as unborn:
        raise RepositoryError(f"{str(root)!r} has no commit yet. Commit something, then try again.") from unborn
    try:
        objects = root / _line(root, "rev-parse", "--git-path", "objects")
        object_format = _line(root, "rev-parse", "--show-object-format")
    except GitError as refusal:
        raise RepositoryError(f"{str(root)!r} cannot be read: {refusal}.") from refusal
    return Repository(
        root=root,
        objects=objects,
        object_format=object_format,
        head=head,
        branch=_branch(root),
        full_name=_full_name(root),
    )


def _line(folder: Path, *arguments: str) -> str:
    # One newline is git's own; any other belongs to a path that ends in one.
    return _decoded(run(folder, *arguments, environment=user_environment()).removesuffix(b"\n"))


def _decoded(answer: bytes) -> str:
    return answer.decode("utf-8", "surrogateescape")


def _branch(root: Path) -> str:
    try:
        name = _line(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    except GitError:
        return "main"
    return name.encode("utf-8", "replace").decode("utf-8")[:200]


def _full_name(root: Path) -> str:
    try:
        remote = _line(root, "config", "--get", "remote.origin.url")
    except GitError:
        remote = ""
    # Host and user go first: what stands there may be somebody's password.
    path = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://[^/]*|[^/]*:)", "", remote.removesuffix(".git"))
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 2:
        return f"{_name(parts[-2])}/{_name(parts[-1])}"
    return f"local/{_name(root.name)}"


def _name(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-")[:90]
    return cleaned or "repository"
