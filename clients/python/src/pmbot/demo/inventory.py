"""`FILES.md`: what a repository holds, in a table that the same tree always gives the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pmbot.demo.tidy import line_ending

PATH = "FILES.md"
BEGIN = "<!-- pm-bot inventory: begin -->"
END = "<!-- pm-bot inventory: end -->"
MAXIMUM_BYTES = 96 * 1024
"""A table above this is summed up by folder, so that a person can still read its diff."""

# At the beginning of a line only: a row that names an odd file begins with a bar.
_MARKED = re.compile(rb"^" + re.escape(BEGIN.encode()) + rb".*?^" + re.escape(END.encode()) + rb"\r?$\n?", re.M | re.S)


@dataclass(frozen=True)
class Row:
    """One text file."""

    path: str
    lines: int
    size: int


def render(rows: Sequence[Row], left_out: Mapping[str, int]) -> str:
    """The inventory with its marks: one line for each file, sorted by path, then how much was left out and why.

    When that is more than MAXIMUM_BYTES, folders stand for their files, as deep down as fits.
    """
    ordered = sorted(rows, key=lambda row: row.path.encode("utf-8"))
    text = _table([(_code(row.path), 1, row.lines, row.size) for row in ordered], ordered, left_out, by_folder=False)
    for depth in range(8, -1, -1):
        if len(text.encode("utf-8")) <= MAXIMUM_BYTES:
            break
        text = _table(_by_folder(ordered, depth), ordered, left_out, by_folder=True)
    return text


def placed(existing: bytes | None, inventory: str) -> bytes:
    """The file with the inventory in it: between its marks if they are there, else behind what a person wrote.

    The rest of the file is kept; its own line ending is used.
    """
    if not existing:
        return inventory.encode("utf-8")
    ending = line_ending(existing)
    block = inventory.encode("utf-8").replace(b"\n", ending)
    marked = _MARKED.search(existing)
    if marked is not None:
        return existing[: marked.start()] + block + existing[marked.end() :]
    separator = b"" if existing.endswith(b"\n") else ending
    return existing + separator + ending + block


def _table(
    lines: Sequence[tuple[str, int, int, int]], rows: Sequence[Row], left_out: Mapping[str, int], *, by_folder: bool
) -> str:
    total = f"{_count(len(rows), 'text file')}, {_count(sum(row.lines for row in rows), 'line')}, " + _count(
        sum(row.size for row in rows), "byte"
    )
    text = [BEGIN, "# Files", "", total + ".", ""]
    if by_folder and lines:
        text += ["| Path | Files | Lines | Bytes |", "|---|---:|---:|---:|"]
        text += [f"| {name} | {files} | {count} | {size} |" for name, files, count, size in lines]
        text.append("")
    elif lines:
        text += ["| Path | Lines | Bytes |", "|---|---:|---:|"]
        text += [f"| {name} | {count} | {size} |" for name, _, count, size in lines]
        text.append("")
    for reason in sorted(left_out):
        if left_out[reason]:
            text.append(f"- not listed: {left_out[reason]} {reason}")
    if text[-1].startswith("- "):
        text.append("")
    return "\n".join([*text, END, ""])


def _by_folder(rows: Sequence[Row], depth: int) -> list[tuple[str, int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        parts = row.path.split("/")
        name = row.path if len(parts) <= depth else "/".join([*parts[:depth], "…"])
        files, lines, size = sums.get(name, (0, 0, 0))
        sums[name] = (files + 1, lines + row.lines, size + row.size)
    return [(_code(name), *sums[name]) for name in sorted(sums, key=lambda name: name.encode("utf-8"))]


def _code(path: str) -> str:
    # A code span must be fenced by more backticks than it holds; a bar would end the table's cell even inside one.
    longest = max((len(found) for found in re.findall(r"`+", path)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if path.startswith(("`", " ")) or path.endswith(("`", " ")) else ""
    return fence + padding + path.replace("|", "\\|") + padding + fence


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
