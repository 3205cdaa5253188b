"""What tidying changes, and above all what it does not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pmbot.demo.tidy import Reason, count_lines, is_text, readable_name, tidy

LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "word", "two words", "\ttabbed", "back\\", "é", "\f", "\r"]),
        st.sampled_from(["", " ", "  ", "\t", " \t "]),
        st.sampled_from(["\n", "\r\n", "\r", ""]),
    ),
    max_size=8,
).map(lambda lines: "".join(part for line in lines for part in line).encode())
NAMES = st.sampled_from(["a.txt", "read.md", "x.patch", "Makefile", "deep/er.py", "t.TSV"])


@given(NAMES, LINES, st.booleans(), st.booleans())
@example("a.txt", b"a\r\r\nb\n", False, False)
@example("a.txt", b"a \\ \n", False, False)
def test_tidying_twice_changes_nothing_more(path: str, content: bytes, keep: bool, converts: bool) -> None:
    once = tidy(path, content, keep_trailing=keep, git_converts=converts)
    again = tidy(path, once.content, keep_trailing=keep, git_converts=converts)
    assert again.content == once.content
    assert again.reasons == ()
    assert (once.content != content) == bool(once.reasons)


@given(NAMES, LINES)
def test_only_white_space_at_line_ends_and_endings_ever_change(path: str, content: bytes) -> None:
    def essence(data: bytes) -> list[bytes]:
        return [line.rstrip(b" \t\r") for line in data.rstrip(b" \t\r\n").split(b"\n")]

    assert essence(tidy(path, content).content) == essence(content)


@given(st.binary(max_size=200))
def test_what_is_no_text_keeps_every_byte(content: bytes) -> None:
    if not is_text(content):
        assert tidy("a.txt", content).content == content


@given(LINES)
def test_a_tidied_file_has_one_kind_of_line_ending_and_a_final_newline(content: bytes) -> None:
    tidied = tidy("a.txt", content).content
    if b"\r" in tidied.replace(b"\r\n", b"\n") or not tidied:
        return
    assert tidied.endswith(b"\n")
    assert tidied.count(b"\r\n") in (0, tidied.count(b"\n"))


@pytest.mark.parametrize(
    ("path", "content", "expected", "reasons"),
    [
        ("a.txt", b"one \ntwo\t\n", b"one\ntwo\n", (Reason.TRAILING_SPACE,)),
        ("a.txt", b"one", b"one\n", (Reason.FINAL_NEWLINE,)),
        ("a.txt", b"a\r\nb\r\nc\n", b"a\r\nb\r\nc\r\n", (Reason.LINE_ENDINGS,)),
        ("a.txt", b"a\r\nb\nc", b"a\nb\nc\n", (Reason.FINAL_NEWLINE, Reason.LINE_ENDINGS)),
        ("a.txt", b"a\r\nb", b"a\r\nb\r\n", (Reason.FINAL_NEWLINE,)),
        ("a.txt", b"   ", b"", (Reason.TRAILING_SPACE,)),
        ("a.txt", b"", b"", ()),
        ("a.md", b"a break  \nhere", b"a break  \nhere\n", (Reason.FINAL_NEWLINE,)),
        ("a.DIFF", b" \n", b" \n", ()),
        ("a.tsv", b"a\t\t\n", b"a\t\t\n", ()),
        ("a.sh", b"echo \\ \n", b"echo \\ \n", ()),
        ("a.txt", b"old\rmac \r", b"old\rmac \r", ()),
        ("a.txt", b"nul\0 \n", b"nul\0 \n", ()),
        ("a.txt", "Latin-1 é \n".encode("latin-1"), "Latin-1 é \n".encode("latin-1"), ()),
        (
            "big.bin",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0 \n",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0 \n",
            (),
        ),
    ],
)
def test_examples(path: str, content: bytes, expected: bytes, reasons: tuple[Reason, ...]) -> None:
    tidied = tidy(path, content)
    assert tidied.content == expected
    assert tidied.reasons == reasons


def test_what_git_would_convert_becomes_newlines() -> None:
    assert tidy("a.txt", b"a\r\nb\r\nc\n", git_converts=True).content == b"a\nb\nc\n"


def test_trailing_white_space_stays_where_the_repository_says_so() -> None:
    assert tidy("a.txt", b"a \n", keep_trailing=True).reasons == ()


@pytest.mark.parametrize("path", ["a b.txt", 'quo"te', "it's", "é.txt", "漢字/x", "-rf", "back\\slash"])
def test_names_that_a_person_can_read(path: str) -> None:
    assert readable_name(path.encode()) == path


@pytest.mark.parametrize(
    "path", [b"new\nline", b"tab\t", b"esc\x1b[2J", b"\xff", "\u202egpj.exe".encode(), b"\xc2\x85"]
)
def test_names_that_could_fool_a_person(path: bytes) -> None:
    assert readable_name(path) is None


@pytest.mark.parametrize(("content", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_lines_are_counted_as_people_do(content: bytes, lines: int) -> None:
    assert count_lines(content) == lines
