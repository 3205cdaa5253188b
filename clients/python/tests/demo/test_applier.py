"""From a person's yes to exactly one commit."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import stat
from pathlib import Path

import pytest

from pmbot.demo.applier import ApplyError, apply, branch_name
from pmbot.demo.proposal import propose
from pmbot.demo.repository import find_repository
from pmbot.demo.scratch import borrowed, clone_folder

from .kit import CHANGESET_ID, RUN_ID, Project, Records, git

BRANCH = branch_name(CHANGESET_ID)


@pytest.fixture
def records(project: Project) -> Records:
    """A run whose changeset was approved."""
    base = project.commit(
        {"a.txt": b"one \n", "crlf.txt": b"a\r\nb\r\n \r\n", ".gitattributes": b"*.lf text eol=crlf\n"}
    )
    return proposed(project, base)


def proposed(project: Project, base: str) -> Records:
    records = Records(project.root, base)
    source = find_repository(project.root)
    with borrowed(source, base) as scratch:
        patch = propose(scratch)["diff"].encode()
        files = scratch.changed()
    records.artifact("changes.patch", patch, 2)
    records.changeset(
        {
            "base_commit": base,
            "title": "Tidy",
            "description": "What was found.\n\nSigned-off-by: nobody",
            "files": files,
            "patch_artifact_id": "changes.patch",
            "patch_sha256": hashlib.sha256(patch).hexdigest(),
        }
    )
    return records


def commits(clone: Path) -> list[str]:
    return git(clone, "for-each-ref", "--format=%(objectname)", "refs/heads/").decode().split()


def test_the_commit_is_the_tidied_tree_by_pm_bot_and_can_be_fetched(records: Records, project: Project) -> None:
    before = project.snapshot()
    sha = apply(records.approved_changeset(), records)
    assert project.snapshot() == before
    clone = clone_folder(RUN_ID)
    facts = git(clone, "log", "-1", "--format=%an <%ae>%n%cn <%ce>%n%at %ct%n%G?%n%P", sha).decode().split("\n")
    assert facts[:2] == ["pm-bot <pm-bot@localhost.invalid>"] * 2
    assert facts[2:4] == ["1750000000 1750000000", "N"]
    assert facts[4] == find_repository(project.root).head
    git(project.root, "fetch", "-q", str(clone), f"{BRANCH}:{BRANCH}")
    assert git(project.root, "cat-file", "blob", f"{BRANCH}:crlf.txt") == b"a\r\nb\r\n\r\n"
    assert git(
        project.root, "log", "--format=%(trailers:key=Pmbot-Changeset,valueonly)", "-1", BRANCH
    ).decode().strip() == (CHANGESET_ID)
    git(project.root, "fsck", "--strict")


def test_applying_again_is_the_same_commit(records: Records) -> None:
    first = apply(records.approved_changeset(), records)
    assert apply(records.approved_changeset(), records) == first
    shutil.rmtree(clone_folder(RUN_ID))
    assert apply(records.approved_changeset(), records) == first
    assert commits(clone_folder(RUN_ID)) == [first]


def test_what_a_killed_applier_left_is_no_obstacle(records: Records) -> None:
    first = apply(records.approved_changeset(), records)
    clone = clone_folder(RUN_ID)
    git(clone, "update-ref", "-d", f"refs/heads/{BRANCH}")
    (clone / ".git" / "refs" / "heads" / "pmbot").mkdir(exist_ok=True)
    (clone / ".git" / "refs" / "heads" / f"{BRANCH}.lock").write_bytes(b"")
    (clone / ".git" / "index.lock").write_bytes(b"")
    (clone / ".git" / "pmbot-0.index.lock").write_bytes(b"")
    assert apply(records.approved_changeset(), records) == first
    assert not list((clone / ".git").rglob("*.index*"))


def test_half_a_clone_is_made_anew(records: Records) -> None:
    clone = clone_folder(RUN_ID)
    git(Path("/"), "init", "-q", str(clone))
    (clone / ".git" / "objects" / "info" / "alternates").write_bytes(b"/nowhere\n")
    sha = apply(records.approved_changeset(), records)
    assert commits(clone) == [sha]


def _apply_and_die(records: Records, dies_after: int) -> None:
    pieces = 0
    download = records.download_artifact

    def dying(artifact_id: str):  # type: ignore[no-untyped-def]
        nonlocal pieces
        for piece in download(artifact_id):
            if pieces == dies_after:
                os._exit(9)
            pieces += 1
            yield piece
        os._exit(9)

    records.download_artifact = dying  # type: ignore[method-assign]
    apply(records.approved_changeset(), records)


def test_an_applier_that_dies_while_it_holds_the_clone_lets_go_of_it(records: Records) -> None:
    process = multiprocessing.get_context("fork").Process(target=_apply_and_die, args=(records, 0))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert commits(clone_folder(RUN_ID)) == []
    sha = apply(records.approved_changeset(), records)
    assert commits(clone_folder(RUN_ID)) == [sha]


def test_several_appliers_at_once_make_one_commit(records: Records) -> None:
    processes = [
        multiprocessing.get_context("fork").Process(target=apply, args=(records.approved_changeset(), records))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert commits(clone_folder(RUN_ID)) == [apply(records.approved_changeset(), records)]


def test_a_patch_that_was_not_approved_is_refused(records: Records) -> None:
    records.contents["changes.patch"] += b"\n"
    with pytest.raises(ApplyError, match="was approved"):
        apply(records.approved_changeset(), records)
    assert commits(clone_folder(RUN_ID)) == []


def test_a_branch_of_that_name_that_is_somebody_elses_is_refused(records: Records) -> None:
    first = apply(records.approved_changeset(), records)
    clone = clone_folder(RUN_ID)
    git(clone, "update-ref", f"refs/heads/{BRANCH}", f"{first}~")
    with pytest.raises(ApplyError, match="is not the changeset's"):
        apply(records.approved_changeset(), records)


def test_hooks_filters_signing_and_settings_of_user_and_repository_do_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    witness = tmp_path / "it ran"
    trap.write_text(f"#!/bin/sh\ntouch '{witness}'\nexit 1\n")
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    base = project.commit(
        {".gitattributes": b"*.txt diff=trap ident\n*.f filter=trap\n", "a.txt": b"$Id$ \n", "b.f": b"b\n"}
    )
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in (
        "pre-commit",
        "commit-msg",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "post-commit",
    ):
        shutil.copy(trap, hooks / name)
        shutil.copy(trap, project.root / ".git" / "hooks" / name)
    configuration = tmp_path / "home" / ".gitconfig"
    configuration.parent.mkdir()
    configuration.write_text(
        f"[commit]\n gpgSign = true\n[gpg]\n program = {trap}\n[core]\n hooksPath = {hooks}\n fsmonitor = {trap}\n"
        f" editor = {trap}\n autocrlf = true\n pager = {trap}\n[diff]\n external = {trap}\n noprefix = true\n"
        f'[diff "trap"]\n textconv = {trap}\n command = {trap}\n[filter "trap"]\n smudge = {trap}\n clean = {trap}\n'
        f" required = true\n[apply]\n whitespace = error\n[init]\n templateDir = {hooks}\n[alias]\n apply = !{trap}\n"
        "[color]\n ui = always\n[user]\n name = Trap\n email = trap@localhost.invalid\n"
    )
    with open(project.root / ".git" / "config", "a", encoding="utf-8") as local:
        local.write(configuration.read_text())
    monkeypatch.setenv("HOME", str(configuration.parent))
    records = proposed(project, base)
    sha = apply(records.approved_changeset(), records)
    assert not witness.exists()
    clone = clone_folder(RUN_ID)
    assert git(clone, "cat-file", "blob", f"{sha}:a.txt") == b"$Id$\n"
    assert b"gpgsig" not in git(clone, "cat-file", "commit", sha)
    assert not witness.exists()


def test_a_source_that_is_shallow_and_knows_no_branch_is_good_enough(project: Project, tmp_path: Path) -> None:
    project.commit({"a.txt": b"a\n"})
    base = project.commit({"a.txt": b"b \n"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{project.root}", "shallow")
    shallow = Project.__new__(Project)
    shallow.root = tmp_path / "shallow"
    git(shallow.root, "checkout", "-q", "--detach")
    records = proposed(shallow, base)
    sha = apply(records.approved_changeset(), records)
    assert commits(clone_folder(RUN_ID)) == [sha]
    git(clone_folder(RUN_ID), "fsck", "--strict")
