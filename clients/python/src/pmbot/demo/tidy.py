"""What is text, and what is untidy about it. Pure functions over bytes: no git, no files.

A file is left in peace unless it is certain that nobody minds: what is not UTF-8, what holds a NUL, and what holds a
carriage return that ends no line keeps every byte.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

_TRAILING = re.compile(rb"(?<!\\)(?<![ \t])[ \t]+(?=\r?\n|\Z)")
_LONE_CARRIAGE_RETURN = re.compile(rb"\r(?!\n)")
_ODD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# White space at a line's end says something there: a break in Markdown, a context line in a patch, an empty field in a
# table, the expected output in a recorded test.
_MEANINGFUL_TRAILING = frozenset(
    ("md", "mdown", "markdown", "mdx", "mkd", "qmd", "rmd", "diff", "patch", "rej", "csv", "tsv", "tab")
    + ("snap", "golden", "expected", "approved")
)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class Reason(str, Enum):
    """What was untidy."""

    TRAILING_SPACE = "trailing white space"
    FINAL_NEWLINE = "missing final newline"
    LINE_ENDINGS = "mixed line endings"
    INVENTORY = "inventory"


@dataclass(frozen=True)
class Tidied:
    """A file's content as it should be, and why it differs; no reasons mean that it does not."""

    content: bytes
    reasons: tuple[Reason, ...]


def readable_name(path: bytes) -> str | None:
    """The path as text, or None when it is not valid UTF-8 or holds control, formatting or line-breaking characters,
    which a person could not see in what they are asked to approve.
    """
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(unicodedata.category(character) in _ODD_CATEGORIES for character in text):
        return None
    return text


def is_text(content: bytes) -> bool:
    """Whether the content is UTF-8 without NUL, and no pointer to a large file kept elsewhere."""
    if b"\0" in content or content.startswith(_LFS_POINTER):
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def count_lines(content: bytes) -> int:
    """How many lines there are; a last one without a newline counts."""
    return content.count(b"\n") + (1 if content and not content.endswith(b"\n") else 0)


def line_ending(content: bytes) -> bytes:
    """The line ending that most lines have; a newline alone when none or as many have the other."""
    windows = content.count(b"\r\n")
    return b"\r\n" if windows > content.count(b"\n") - windows else b"\n"


def tidy(path: str, content: bytes, *, keep_trailing: bool = False, git_converts: bool = False) -> Tidied:
    """Tidies one file; doing it again changes nothing.

    `keep_trailing` leaves white space at the ends of lines, as some kinds of file (by the path's extension) always do.
    `git_converts` says that git stores this file with newlines alone, whatever the work tree has, so that mixed
    endings become those. White space after a backslash stays: it is escaped, or the backslash would join the lines.
    """
    if not is_text(content) or _LONE_CARRIAGE_RETURN.search(content):
        return Tidied(content, ())
    reasons: list[Reason] = []
    result = content
    if not keep_trailing and not _trailing_means_something(path):
        stripped = _TRAILING.sub(b"", result)
        if stripped != result:
            reasons.append(Reason.TRAILING_SPACE)
            result = stripped
    windows = result.count(b"\r\n")
    mixed = 0 < windows < result.count(b"\n")
    ending = b"\n" if git_converts and mixed else line_ending(result)
    if result and not result.endswith(b"\n"):
        reasons.append(Reason.FINAL_NEWLINE)
        result += ending
    if mixed:
        reasons.append(Reason.LINE_ENDINGS)
        result = result.replace(b"\r\n", b"\n").replace(b"\n", ending)
    return Tidied(result, tuple(reasons))


def _trailing_means_something(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() in _MEANINGFUL_TRAILING
