"""Repositories of our own, where changes are tried and made while the user's one is only read.

A scratch repository borrows the source's objects and works in its own index, never through a work tree's conversions
(line endings, filters): what is staged, compared and committed are the very bytes.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pmbot.demo.git import GitError, object_reader, run
from pmbot.demo.locks import locked
from pmbot.demo.repository import Repository
from pmbot.demo.state import cache_directory

_ATTRIBUTES = ("binary", "diff", "filter", "text", "eol", "whitespace", "working-tree-encoding")
_RUN_ID = re.compile(r"run_[0-9a-f]{32}")


@dataclass(frozen=True)
class Entry:
    """One tracked file, link or submodule."""

    mode: str
    object_id: str
    size: int
    path: bytes


@dataclass(frozen=True)
class Change:
    """New content for one path."""

    path: str
    content: bytes
    mode: str = "100644"


class Scratch:
    """One git directory of ours with an index of its own, standing at a base commit."""

    def __init__(self, folder: Path, base: str, index: str = "index") -> None:
        self.folder = folder
        self.base = base
        self._index = folder / ".git" / index

    def git(self, *arguments: str, stdin: bytes = b"", extra: dict[str, str] | None = None) -> bytes:
        """Runs git here, on this index. Raises GitError."""
        return run(self.folder, *arguments, stdin=stdin, extra={"GIT_INDEX_FILE": str(self._index)} | (extra or {}))

    def reset(self) -> None:
        """Sets the index to the base commit."""
        self.git("read-tree", self.base)

    def entries(self) -> list[Entry]:
        """Everything that the base commit tracks, in git's order (by the bytes of the path)."""
        entries = []
        for record in self.git("ls-tree", "-r", "-l", "-z", "--full-tree", self.base).split(b"\0")[:-1]:
            facts, _, path = record.partition(b"\t")
            mode, _, object_id, size = facts.decode("ascii").split()
            if not size.isdigit() and size != "-":
                raise GitError(f"object {object_id} is not in the repository; a partial clone must fetch it first")
            entries.append(Entry(mode, object_id, 0 if size == "-" else int(size), path))
        return entries

    def attributes(self, paths: Sequence[bytes]) -> dict[bytes, dict[str, str]]:
        """What the `.gitattributes` files in the index say of these paths."""
        answer = self.git(
            "check-attr", "--cached", "--stdin", "-z", *_ATTRIBUTES, stdin=b"".join(path + b"\0" for path in paths)
        )
        found: dict[bytes, dict[str, str]] = {path: {} for path in paths}
        fields = answer.split(b"\0")[:-1]
        for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
            found[path][name.decode("ascii")] = value.decode("utf-8", "replace")
        return found

    def contents(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
        """Reads files one after the other."""
        with object_reader(self.folder) as reader:
            for entry in entries:
                yield entry, reader.read(entry.object_id)

    def stage(self, changes: Sequence[Change]) -> None:
        """Puts new content into the index; nothing is written outside the git directory."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            names = []
            for number, change in enumerate(changes):
                names.append(os.path.join(folder, str(number)))
                Path(names[-1]).write_bytes(change.content)
            listed = "".join(name + "\n" for name in names).encode("utf-8", "surrogateescape")
            object_ids = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed).split()
        records = [
            f"{change.mode} {object_id.decode('ascii')}\t{change.path}\0".encode()
            for change, object_id in zip(changes, object_ids, strict=True)
        ]
        self.git("update-index", "-z", "--index-info", stdin=b"".join(records))

    def apply(self, patch: bytes) -> None:
        """Applies a patch to the index, byte for byte. Raises GitError, with git's reason, when it does not fit."""
        self.git("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch)

    def show(self, tree: str) -> None:
        """Brings the clone's work tree, and the index that belongs to it, to a tree of this repository."""
        run(self.folder, "read-tree", "--reset", "-u", tree)

    def diff(self) -> bytes:
        """The index against the base commit, as a patch that `git apply` takes."""
        return self.git(
            "diff-index", "--cached", "--patch", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
            "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3",
            "--diff-algorithm=myers", self.base, "--",
        )  # fmt: skip

    def changed(self) -> list[dict[str, str]]:
        """What the index changes, as `path` and `change`; a path that is no UTF-8 has marks for its odd bytes."""
        fields = self.git("diff-index", "--cached", "--name-status", "--no-renames", "-z", self.base, "--").split(b"\0")
        kinds = {b"A": "added", b"M": "modified", b"D": "deleted", b"T": "modified"}
        return [
            {"path": path.decode("utf-8", "backslashreplace"), "change": kinds[kind]}
            for kind, path in zip(fields[:-1:2], fields[1::2], strict=True)
        ]


def _borrow(source: Repository, folder: Path) -> None:
    run(folder.parent, "init", "--quiet", "--template=", f"--object-format={source.object_format}", str(folder))
    quoted = bytearray(b'"')
    for byte in os.fsencode(source.objects):
        quoted += b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte])
    alternates = folder / ".git" / "objects" / "info" / "alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_bytes(bytes(quoted) + b'"\n')


@contextmanager
def borrowed(source: Repository, base: str) -> Iterator[Scratch]:
    """A scratch repository for as long as it takes to look and to compare; it is gone afterwards.

    Raises GitError when the source no longer has the base commit.
    """
    with tempfile.TemporaryDirectory(prefix="pmbot-demo-") as parent:
        folder = Path(parent, "scratch")
        _borrow(source, folder)
        scratch = Scratch(folder, base)
        scratch.reset()
        yield scratch


@contextmanager
def held(clone: Path, base: str) -> Iterator[Scratch]:
    """Holds a clone against other processes and lends a fresh index at its base commit.

    Waits for whoever holds it. What a killed holder left (git's lock files, its index) is removed first.
    """
    directory = clone / ".git"
    with locked(_lock_file(clone), wait=True):
        for leftover in [
            *directory.glob("pmbot-*.index*"), *directory.glob("*.lock"), *directory.glob("refs/heads/**/*.lock")
        ]:  # fmt: skip
            leftover.unlink(missing_ok=True)
        index = f"pmbot-{uuid.uuid4().hex}.index"
        scratch = Scratch(clone, base, index)
        try:
            scratch.reset()
            yield scratch
        finally:
            (directory / index).unlink(missing_ok=True)


def _lock_file(clone: Path) -> Path:
    return clone.with_name(f"{clone.name}.lock")


def clone_folder(run_id: str) -> Path:
    """Where a run's scratch clone is, or will be. Raises ValueError for what is no run's id."""
    if _RUN_ID.fullmatch(run_id) is None:
        raise ValueError(f"{run_id!r} is not the id of a run")
    return cache_directory() / "clones" / run_id


def scratch_clone(source: Repository, base: str, run_id: str) -> Path:
    """Makes a run's scratch clone, or finds it: the base commit and its files, without the history before it.

    The clone is made aside and gets its name when it is complete, so a kill leaves either none or a whole one; what an
    earlier kill left aside is removed. Raises GitError when the source no longer has the base commit.
    """
    final = clone_folder(run_id)
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(_lock_file(final), wait=True):
        if not _complete(final, base):
            _make_clone(source, base, final)
    return final


def _make_clone(source: Repository, base: str, final: Path) -> None:
    for leftover in final.parent.glob(f".{final.name}.*"):
        shutil.rmtree(leftover)
    if final.exists():
        shutil.rmtree(final)
    aside = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
    _borrow(source, aside)
    # The boundary makes it a clone of one commit: packing a long history would take minutes and serve nobody.
    (aside / ".git" / "shallow").write_text(base + "\n", encoding="ascii")
    run(aside, "update-ref", "--no-deref", "HEAD", base)
    run(aside, "repack", "-a", "-d", "-q")
    (aside / ".git" / "objects" / "info" / "alternates").unlink()
    run(aside, "read-tree", base)
    run(aside, "checkout-index", "--all", "--force", "--quiet")
    os.rename(aside, final)


def _complete(folder: Path, base: str) -> bool:
    if not (folder / ".git").is_dir():
        return False
    try:
        run(folder, "cat-file", "-e", f"{base}^{{tree}}")
    except GitError:
        return False
    return not (folder / ".git" / "objects" / "info" / "alternates").exists()
