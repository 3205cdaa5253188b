"""The terminal: showing what is asked so that nothing hides in it, and taking an answer that was meant for it."""

from __future__ import annotations

import codecs
import os
import select
import sys
import unicodedata
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """The text with every character that a terminal would obey, hide or turn round written as an escape."""
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) not in _INVISIBLE else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def print_diff(console: Console, diff: str) -> None:
    """Prints a diff in full and in colours; white space at the end of a removed line is marked."""
    in_hunk = False
    for line in diff.removesuffix("\n").split("\n"):
        # What begins a line in a hunk is a sign, so only this can be a header; `--- ` may be a removed `-- `.
        if line.startswith("diff --git "):
            in_hunk = False
        style = "" if in_hunk else "bold"
        if line.startswith("@@"):
            in_hunk, style = True, "cyan"
        elif in_hunk:
            style = {"+": "green", "-": "red"}.get(line[:1], "")
        shown = visible(line)
        text = Text(shown, style=style)
        if in_hunk and line.startswith("-"):
            text.stylize("reverse", start=max(1, len(shown.rstrip(" \t"))))
        console.print(text, soft_wrap=True)


def is_interactive() -> bool:
    """Whether somebody can be asked: standard input and output are a terminal on a system that can wait for both."""
    return os.name == "posix" and sys.stdin.isatty() and sys.stdout.isatty()


class EndOfInput(Exception):
    """The person closed the terminal's input (Ctrl-D), or the terminal is gone: nobody can be asked here any more."""


def read_line(console: Console, prompt: str, still_wanted: Callable[[], bool]) -> str | None:
    """Asks for one line, and returns None as soon as `still_wanted` says that nobody needs it any more.

    What was typed before the prompt stood there is thrown away: it was meant for something else. Raises EndOfInput.
    """
    import termios

    descriptor = sys.stdin.fileno()
    try:
        termios.tcflush(descriptor, termios.TCIFLUSH)
    except termios.error as gone:
        raise EndOfInput from gone
    console.print(Text(prompt, style="bold"), end="")
    console.file.flush()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    typed = ""
    while "\n" not in typed:
        if not still_wanted():
            console.print()
            return None
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                piece = os.read(descriptor, 4096)
            except OSError as gone:
                raise EndOfInput from gone
            if not piece:
                console.print()
                raise EndOfInput
            typed += decoder.decode(piece)
    return typed.split("\n")[0].strip()
