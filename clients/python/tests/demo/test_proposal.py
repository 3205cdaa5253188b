"""What is proposed for real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pmbot.demo import inventory
from pmbot.demo.git import GitError
from pmbot.demo.proposal import DIFF_BYTES, Proposal, propose
from pmbot.demo.repository import RepositoryError, find_repository
from pmbot.demo.scratch import borrowed, scratch_clone
from pmbot.demo.tidy import readable_name, tidy

from .kit import Project, git


def proposal(project: Project) -> Proposal:
    source = find_repository(project.root)
    with borrowed(source, source.head) as scratch:
        return propose(scratch)


def accept(project: Project, proposed: Proposal) -> None:
    """Applies the diff as a person would, to an index and a work tree."""
    git(project.root, "apply", "--index", "--whitespace=nowarn", "-", stdin=proposed["diff"].encode())
    git(project.root, "commit", "-q", "-m", "accepted")


def content(project: Project, path: str) -> bytes:
    return git(project.root, "cat-file", "blob", f"HEAD:{path}")


def test_untidy_files_and_the_inventory_are_proposed(project: Project) -> None:
    project.commit({"a.txt": b"one \n", "b c.txt": b"x", "mixed.txt": b"a\r\nb\nc\n", "fine.txt": b"fine\n"})
    proposed = proposal(project)
    assert proposed["summary"] == (
        "trailing white space in 1 file; missing final newline in 1 file; mixed line endings in 1 file; "
        "FILES.md written"
    )
    accept(project, proposed)
    assert content(project, "a.txt") == b"one\n"
    assert content(project, "b c.txt") == b"x\n"
    assert content(project, "mixed.txt") == b"a\nb\nc\n"
    assert "| `a.txt` | 1 | 4 |" in content(project, "FILES.md").decode()
    assert proposal(project)["diff"] == ""


def test_the_inventory_follows_the_files_and_keeps_what_a_person_wrote(project: Project) -> None:
    project.commit({"FILES.md": b"# Mine\r\n\r\nWords.\r\n", "a.txt": b"a\n"})
    accept(project, proposal(project))
    first = content(project, "FILES.md")
    assert first.startswith(b"# Mine\r\n\r\nWords.\r\n\r\n" + inventory.BEGIN.encode() + b"\r\n")
    project.commit({"FILES.md": first + b"Behind.\r\n", "b.txt": b"b\n"})
    accept(project, proposal(project))
    second = content(project, "FILES.md")
    assert second.startswith(b"# Mine\r\n\r\nWords.\r\n\r\n") and second.endswith(b"Behind.\r\n")
    assert b"`b.txt`" in second and second.count(inventory.BEGIN.encode()) == 1
    assert proposal(project)["diff"] == ""


def test_odd_names_binaries_links_and_submodules_are_left_in_peace(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    other.commit({"x": b"x \n"})
    os.symlink("dangling ", project.root / "link")
    project.commit(
        {
            "new\nline.txt": b"a \n",
            b"\xff\xfe.txt": b"a \n",
            "esc\x1b[31m.txt": b"a \n",
            "nul.bin": b"\0 \n",
            ".gitattributes": b"*.dat binary\n*.gold -text\n*.big filter=lfs\n*.u16 working-tree-encoding=UTF-16\n",
            "a.dat": b"a \n",
            "a.gold": b"a \n",
            "a.big": b"a \n",
            "pointer": b"version https://git-lfs.github.com/spec/v1\nsize 1 \n",
            'it\'s "quoted" `code` | é 漢.txt': b"a \n",
            "-n": b"a \n",
        }
    )
    git(project.root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.root), "sub")
    project.commit({})
    proposed = proposal(project)
    accept(project, proposed)
    changed = git(project.root, "diff", "--name-only", "-z", "HEAD~").decode().split("\0")[:-1]
    assert sorted(changed) == ["-n", "FILES.md", 'it\'s "quoted" `code` | é 漢.txt']
    assert proposed["notes"] == [
        "Left in peace: 5 binary files.",
        "Left in peace: 3 files with odd names.",
        "Left in peace: 1 submodules.",
        "Left in peace: 1 symbolic links.",
    ]
    assert proposal(project)["diff"] == ""


def test_attributes_say_how_git_stores_line_endings_and_where_white_space_matters(project: Project) -> None:
    # Committed first, so that git does not convert: such files are what a repository has from before.
    mixed = b"a\r\nb\r\nc\n"
    project.commit({"old.txt": mixed, "kept.x": b"a \n"})
    project.commit({".gitattributes": b"*.txt text\n*.x -whitespace\n"})
    blob = git(project.root, "hash-object", "-w", "--no-filters", "--stdin", stdin=mixed).decode().strip()
    git(project.root, "update-index", "--cacheinfo", f"100644,{blob},old.txt")
    git(project.root, "commit", "-q", "--allow-empty", "-m", "as it was")
    source = find_repository(project.root)
    with borrowed(source, source.head) as scratch:
        propose(scratch)
        assert scratch.git("cat-file", "blob", ":old.txt") == b"a\nb\nc\n"
        assert scratch.git("cat-file", "blob", ":kept.x") == b"a \n"


@pytest.mark.parametrize("stand_in", ["files.md", "FILES.md/inside"])
def test_no_inventory_where_something_else_stands_in_its_place(project: Project, stand_in: str) -> None:
    project.commit({stand_in: b"mine\n", "a.txt": b"a \n"})
    proposed = proposal(project)
    assert "FILES.md" not in proposed["diff"]
    assert proposed["notes"][0].startswith("No FILES.md is proposed")


def test_a_link_called_like_the_inventory_is_not_written_through(project: Project) -> None:
    os.symlink("target.txt", project.root / "FILES.md")
    project.commit({"target.txt": b"a \n"})
    proposed = proposal(project)
    assert "FILES.md" not in proposed["diff"]


def test_the_diff_is_bounded_and_what_is_left_comes_with_the_next_runs(project: Project) -> None:
    line = b"0123456789 " * 20
    project.commit({f"f{number:03}.txt": (line + b" \n") * 10 for number in range(150)} | {"z.txt": b"z" * 300_000})
    seen = set()
    for _ in range(10):
        proposed = proposal(project)
        if not proposed["diff"]:
            break
        assert len(proposed["diff"].encode()) <= DIFF_BYTES
        assert any("z" not in note and "left in peace: their diffs" in note for note in proposed["notes"])
        accept(project, proposed)
        changed = git(project.root, "diff", "--name-only", "HEAD~").decode().split()
        seen |= set(changed)
    else:
        pytest.fail("the runs do not come to an end")
    assert len(seen) == 151
    assert b"FILES.md" in git(project.root, "ls-files")


def test_a_repository_of_very_many_files_gets_an_inventory_by_folder() -> None:
    rows = [inventory.Row(f"folder{number % 50}/sub/file-{number:05}.txt", 1, 2) for number in range(10_000)]
    text = inventory.render(rows, {"binary files": 3})
    assert len(text.encode()) <= inventory.MAXIMUM_BYTES
    assert "| `folder7/sub/…` | 200 | 200 | 400 |" in text
    assert "- not listed: 3 binary files" in text
    flat = inventory.render([inventory.Row(f"file-{number:05}.txt", 1, 2) for number in range(10_000)], {})
    assert "| `…` | 10000 | 10000 | 20000 |" in flat


CONTENT = st.lists(
    st.sampled_from([b"word", b" ", b"\t", b"\n", b"\r\n", b"\r", b"\\", "é".encode(), b"\0", b"\xff", b"@@ -1 +1 @@"])
).map(b"".join)
NAME = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda name: name.casefold() not in (".", "..", "files.md", "git~1") and not name.casefold().startswith(".git")
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(NAME, CONTENT, min_size=1, max_size=5))
def test_the_diff_on_the_base_gives_exactly_the_tidied_tree(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    project = Project(tmp_path_factory.mktemp("any") / "project")
    project.commit(dict(files))
    source = find_repository(project.root)
    with borrowed(source, source.head) as scratch:
        proposed = propose(scratch)
        intended = scratch.git("write-tree")
        scratch.reset()
        if proposed["diff"]:
            scratch.apply(proposed["diff"].encode())
        assert scratch.git("write-tree") == intended
        for path, before in files.items():
            readable = readable_name(path.encode()) is not None
            assert scratch.git("cat-file", "blob", f":{path}") == (tidy(path, before).content if readable else before)
    if proposed["diff"]:
        accept(project, proposed)
        assert proposal(project)["diff"] == ""


def test_the_repository_is_only_read(project: Project) -> None:
    project.commit({"a.txt": b"a \n"})
    before = project.snapshot()
    proposal(project)
    assert project.snapshot() == before


def test_what_is_found(project: Project) -> None:
    head = project.commit({"deep/er/a.txt": b"a\n"})
    git(project.root, "remote", "add", "origin", "https://user:secret@host.invalid/own er/the.project.git")
    found = find_repository(project.root / "deep" / "er")
    assert (found.root, found.head, found.branch) == (project.root, head, "main")
    assert found.full_name == "own-er/the.project"


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("git@host.invalid:owner/repo.git", "owner/repo"),
        ("ssh://git@host.invalid:22/owner/repo", "owner/repo"),
        ("https://user:secret@host.invalid/repo", "local/project"),
        ("../sibling/repo.git", "sibling/repo"),
        ("", "local/project"),
    ],
)
def test_the_name_of_the_repository_never_holds_a_host_or_a_secret(project: Project, remote: str, name: str) -> None:
    project.commit({"a": b"a\n"})
    if remote:
        git(project.root, "remote", "add", "origin", remote)
    assert find_repository(project.root).full_name == name


def test_a_linked_work_tree_is_a_repository_too(project: Project, tmp_path: Path) -> None:
    project.commit({"a.txt": b"a \n"})
    git(project.root, "worktree", "add", "-q", "--detach", str(tmp_path / "linked\nhere"))
    source = find_repository(tmp_path / "linked\nhere")
    assert source.branch == "main"
    with borrowed(source, source.head) as scratch:
        assert propose(scratch)["diff"]


def test_a_repository_with_the_other_kind_of_hashes(tmp_path: Path) -> None:
    root = tmp_path / "sha256"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(root)], check=True)
    project = Project.__new__(Project)
    project.root = root
    project.commit({"a.txt": b"a \n"})
    assert proposal(project)["summary"].startswith("trailing white space in 1 file")


def test_a_partial_clone_is_said_and_nothing_is_fetched(project: Project, tmp_path: Path) -> None:
    project.commit({"a.txt": b"a \n"})
    git(project.root, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{project.root}", "partial")
    source = find_repository(tmp_path / "partial")
    with borrowed(source, source.head) as scratch, pytest.raises(GitError):
        propose(scratch)
    missing = git(tmp_path / "partial", "rev-list", "--objects", "--missing=print", "HEAD").splitlines()
    assert any(line.startswith(b"?") for line in missing)


def test_what_is_no_repository_is_said(tmp_path: Path, project: Project) -> None:
    with pytest.raises(RepositoryError, match="is not inside a git work tree"):
        find_repository(tmp_path)
    with pytest.raises(RepositoryError, match="is not a folder"):
        find_repository(tmp_path / "missing")
    with pytest.raises(RepositoryError, match="has no commit yet"):
        find_repository(project.root)
    with pytest.raises(RepositoryError, match="is not inside a git work tree"):
        find_repository(project.root / ".git")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_repository_of_somebody_else_is_used_when_the_user_trusts_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.commit({"a.txt": b"a \n"})
    for folder, _, _ in os.walk(project.root):
        os.chown(folder, 12345, 12345)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RepositoryError, match="safe.directory"):
        find_repository(project.root)
    (tmp_path / ".gitconfig").write_text(f"[safe]\n directory = {project.root}\n")
    source = find_repository(project.root)
    assert scratch_clone(source, source.head, "run_" + "0" * 32).is_dir()


def test_variables_that_name_another_repository_are_ignored(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.commit({"a.txt": b"a \n"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere.index"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    source = find_repository(project.root)
    with borrowed(source, source.head) as scratch:
        assert "a.txt" in propose(scratch)["diff"]
