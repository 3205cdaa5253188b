"""Finds what there is to do in a repository, and bounds it to what a person can read before saying yes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from pmbot.demo import inventory
from pmbot.demo.scratch import Change, Entry, Scratch
from pmbot.demo.tidy import Reason, Tidied, count_lines, is_text, readable_name, tidy

DIFF_BYTES = 256 * 1024
"""The largest diff that is shown."""
# A question is JSON of at most 1 MiB and may hold its arguments twice.
_ENCODED_BYTES = 400 * 1024
# These bound memory. No file's diff has less than about 140 bytes, so more files can never be shown at once.
_READ_BYTES = 16 * 1024 * 1024
_STAGED_BYTES = 16 * 1024 * 1024
_STAGED_FILES = 2000

_LINKS, _SUBMODULES = "symbolic links", "submodules"
_ODD_NAMES, _BINARY, _LARGE = "files with odd names", "binary files", "files above 16 MiB"


class Proposal(TypedDict):
    """What a run proposes; small, and JSON."""

    diff: str
    """Never cut, at most DIFF_BYTES; empty when there is nothing to do."""
    summary: str
    """What it does, in a line."""
    notes: list[str]
    """What the person should know beside the diff: what is left, and for what reason."""


@dataclass
class _Found:
    changes: list[Change] = field(default_factory=list)
    reasons: dict[str, tuple[Reason, ...]] = field(default_factory=dict)
    rows: dict[str, inventory.Row] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    more: int = 0
    existing_inventory: Tidied | None = None
    inventory_mode: str = "100644"


def propose(scratch: Scratch) -> Proposal:
    """Reads the base commit's text files and proposes their tidying and an up-to-date inventory.

    Depends on the commit alone, so that doing it again proposes the same. Leaves the index with what is proposed.
    Raises GitError when an object is missing.
    """
    entries = scratch.entries()
    found = _read(scratch, entries)
    obstacle = _inventory_obstacle(entries, found)
    chosen, too_large = _chosen(scratch, found, with_inventory=obstacle is None)
    notes = [] if obstacle is None else [obstacle]
    diff = _staged(scratch, found, chosen, with_inventory=obstacle is None)
    while chosen and not _fits(diff):
        chosen.pop()
        diff = _staged(scratch, found, chosen, with_inventory=obstacle is None)
    with_inventory = obstacle is None and _inventory_change(found, chosen) is not None
    if with_inventory and not _fits(diff):
        diff, with_inventory = _staged(scratch, found, chosen, with_inventory=False), False
        notes.append(f"{inventory.PATH} is not brought up to date: its diff alone would be too large to show.")
    left = len(found.changes) - len(chosen) - len(too_large) + found.more
    if left:
        notes.append(f"{left} more {_files(left)} left for another run: the diff would be too large to read.")
    if too_large:
        number = len(too_large)
        notes.append(f"{number} {_files(number)} left in peace: their diffs alone would be too large to show.")
    for kind, number in sorted(found.left_out.items()):
        notes.append(f"Left in peace: {number} {kind}.")
    return Proposal(diff=_text(diff), summary=_summary(found, chosen, with_inventory), notes=notes)


def _read(scratch: Scratch, entries: Sequence[Entry]) -> _Found:
    found = _Found()
    readable: list[Entry] = []
    for entry in entries:
        kind = _unreadable(entry)
        if kind is None:
            readable.append(entry)
        else:
            found.left_out[kind] += 1
    attributes = scratch.attributes([entry.path for entry in readable])
    text_entries = []
    for entry in readable:
        if _says_binary(attributes[entry.path]):
            found.left_out[_BINARY] += 1
        else:
            text_entries.append(entry)
    staged_bytes = 0
    for entry, content in scratch.contents(text_entries):
        if not is_text(content):
            found.left_out[_BINARY] += 1
            continue
        path = entry.path.decode("utf-8")
        rules = attributes[entry.path]
        tidied = tidy(
            path,
            content,
            keep_trailing=rules.get("whitespace") == "unset",
            git_converts=rules.get("text") in ("set", "auto") or rules.get("eol") in ("lf", "crlf"),
        )
        if path == inventory.PATH:
            found.existing_inventory, found.inventory_mode = tidied, entry.mode
            continue
        found.rows[path] = inventory.Row(path, count_lines(content), len(content))
        if not tidied.reasons:
            continue
        if len(found.changes) >= _STAGED_FILES or staged_bytes + len(content) > _STAGED_BYTES:
            found.more += 1
            continue
        staged_bytes += len(content)
        found.changes.append(Change(path, tidied.content, entry.mode))
        found.reasons[path] = tidied.reasons
    return found


def _unreadable(entry: Entry) -> str | None:
    if entry.mode == "160000":
        return _SUBMODULES
    if entry.mode == "120000":
        return _LINKS
    if readable_name(entry.path) is None:
        return _ODD_NAMES
    return _LARGE if entry.size > _READ_BYTES else None


def _says_binary(attributes: dict[str, str]) -> bool:
    # `-text` says that a file's very bytes matter; a filter or an encoding, that they are not what its author sees.
    if attributes.get("binary") == "set" or "unset" in (attributes.get("text"), attributes.get("diff")):
        return True
    elsewhere = (attributes.get("filter"), attributes.get("working-tree-encoding"))
    return any(value not in (None, "unspecified", "unset") for value in elsewhere)


def _inventory_obstacle(entries: Sequence[Entry], found: _Found) -> str | None:
    wanted = inventory.PATH.casefold()
    for entry in entries:
        path = entry.path.decode("utf-8", "replace")
        first = path.split("/")[0]
        if first.casefold() == wanted and path != inventory.PATH:
            return f"No {inventory.PATH} is proposed: {first!r} stands in its place."
        if path == inventory.PATH and found.existing_inventory is None:
            return f"No {inventory.PATH} is proposed: the tracked one is no ordinary text file."
    if found.existing_inventory is not None and b"\r" in found.existing_inventory.content.replace(b"\r\n", b""):
        return f"No {inventory.PATH} is proposed: the tracked one has carriage returns that end no line."
    return None


def _inventory_change(found: _Found, chosen: Sequence[Change]) -> Change | None:
    rows = dict(found.rows)
    for change in chosen:
        rows[change.path] = inventory.Row(change.path, count_lines(change.content), len(change.content))
    existing = found.existing_inventory
    content = inventory.placed(
        existing.content if existing else None, inventory.render(list(rows.values()), found.left_out)
    )
    if existing is not None and content == existing.content and not existing.reasons:
        return None
    return Change(inventory.PATH, content, found.inventory_mode)


def _chosen(scratch: Scratch, found: _Found, *, with_inventory: bool) -> tuple[list[Change], set[str]]:
    inventory_diff = _staged(scratch, found, (), with_inventory=with_inventory)
    budget = DIFF_BYTES - (len(inventory_diff) if _fits(inventory_diff) else 0)
    scratch.reset()
    scratch.stage(found.changes)
    # A line of a hunk begins with a space, a sign or a backslash, so this splits at headers only; git's order is ours.
    parts = [part for part in re.split(rb"(?m)^(?=diff --git )", scratch.diff()) if part]
    chosen: list[Change] = []
    too_large: set[str] = set()
    for change, part in zip(found.changes, parts, strict=True):
        if not _fits(part):
            too_large.add(change.path)
        elif budget >= len(part):
            budget -= len(part)
            chosen.append(change)
        else:
            budget = 0
    return chosen, too_large


def _staged(scratch: Scratch, found: _Found, chosen: Sequence[Change], *, with_inventory: bool) -> bytes:
    change = _inventory_change(found, chosen) if with_inventory else None
    scratch.reset()
    scratch.stage([*chosen, *([change] if change else [])])
    return scratch.diff()


def _fits(diff: bytes) -> bool:
    return len(diff) <= DIFF_BYTES and len(json.dumps(_text(diff), ensure_ascii=False).encode()) <= _ENCODED_BYTES


def _text(diff: bytes) -> str:
    try:
        return diff.decode("utf-8")
    except UnicodeDecodeError:
        # git cuts the line that it shows behind a hunk's second @@ after 80 bytes, be it inside a character.
        return re.sub(rb"(?m)^(@@ [-+,0-9 ]+ @@).*$", rb"\1", diff).decode("utf-8")


def _summary(found: _Found, chosen: Sequence[Change], with_inventory: bool) -> str:
    counts = Counter(reason for change in chosen for reason in found.reasons[change.path])
    parts = [f"{reason.value} in {counts[reason]} {_files(counts[reason])}" for reason in Reason if counts[reason]]
    if with_inventory:
        parts.append(f"{inventory.PATH} {'brought up to date' if found.existing_inventory else 'written'}")
    return "; ".join(parts)


def _files(number: int) -> str:
    return "file" if number == 1 else "files"
