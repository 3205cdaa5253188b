"""The demo against a real server: to its end, refused, stopped, and killed again and again."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from conftest import eventually

from pmbot.demo.applier import branch_name
from pmbot.demo.items import Answer, resolve
from pmbot.demo.scratch import clone_folder
from pmbot.v1 import approval_pb2, changeset_pb2, interrupt_pb2, run_pb2

from .kit import git
from .whole import SECONDS, Demo


def branches(clone: Path) -> dict[str, str]:
    """The clone's branches and what they name."""
    lines = git(clone, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/").decode().splitlines()
    return dict(line.split() for line in lines)


def test_a_yes_to_everything_ends_with_one_commit_and_the_record_of_it(demo: Demo) -> None:
    before = demo.project.snapshot()
    out = demo.finish(demo.start("--yes"))
    assert demo.project.snapshot() == before
    (run,) = demo.runs()
    (changeset,) = demo.changesets(run.run_id)
    assert run.status == run_pb2.RUN_STATUS_COMPLETED
    assert json.loads(run.agent_run_spec_json)["execution"] == {"lease_seconds": 5, "max_attempts": 100}
    assert changeset.status == changeset_pb2.CHANGESET_STATUS_APPLIED
    clone, branch = clone_folder(run.run_id), branch_name(changeset.changeset_id)
    assert branches(clone) == {branch: changeset.applied_commit_sha}
    git(demo.project.root, "fetch", "-q", str(clone), f"{branch}:{branch}")
    assert git(demo.project.root, "cat-file", "blob", f"{branch}:b c.txt") == b"two\n"
    assert "Chain verified" in out and changeset.applied_commit_sha in out and str(clone) in out
    types = [event.type for event in reversed(demo.events())]
    assert types[:2] == ["run.created", "approval.requested"] and "changeset.applied" in types
    assert all(type in out for type in types)

    again = demo.finish(demo.start())
    assert "finished" in again and "--new" in again and changeset.applied_commit_sha in again
    assert len(demo.runs()) == 1
    demo.finish(demo.start("--new", "--yes"))
    assert len(demo.runs()) == 2


@pytest.mark.parametrize("yeses", [0, 1, 2])
def test_a_no_given_elsewhere_ends_it_well(demo: Demo, yeses: int) -> None:
    process = demo.start()
    for number in range(yeses + 1):
        item = demo.next_item()
        resolve(demo.client, item, Answer(number < yeses, "" if number < yeses else "not today"), "")
    out = demo.finish(process)
    assert "refused" in out
    (run,) = demo.runs()
    assert clone_folder(run.run_id).exists() == (yeses == 2)
    assert all(not changeset.applied_commit_sha for changeset in demo.changesets(run.run_id))


def test_a_stop_gives_the_run_back_and_the_next_start_goes_on(demo: Demo) -> None:
    process = demo.start()
    resolve(demo.client, demo.next_item(), Answer(True), "")
    eventually(lambda: any(run.status == run_pb2.RUN_STATUS_BLOCKED for run in demo.runs()))
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, "")
    assert "goes on here" in out
    (run,) = demo.runs()
    assert run.lease_owner == ""
    demo.finish(demo.start("--yes"))
    assert len(demo.runs()) == 1


def test_a_run_that_cannot_succeed_is_not_tried_for_ever(demo: Demo, tmp_path: Path) -> None:
    process = demo.start()
    item = demo.next_item()
    demo.project.root.rename(tmp_path / "moved")
    resolve(demo.client, item, Answer(True), "")
    out, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "Trying again after attempt " in out and "is not a folder" in errors
    (tmp_path / "moved").rename(demo.project.root)
    demo.finish(demo.start("--yes"))


@pytest.mark.timeout(400)
def test_a_demo_that_is_killed_again_and_again_asks_once_and_commits_once(demo: Demo) -> None:
    for _ in range(4):
        process = demo.start("--yes")
        enough = len(demo.events()) + 3
        eventually(partial(demo.ended_or_at, process, enough), SECONDS)
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
    out = demo.finish(demo.start("--yes"))
    (run,) = demo.runs()
    assert run.status == run_pb2.RUN_STATUS_COMPLETED, out
    assert len(demo.changesets(run.run_id)) == 1, out
    (changeset,) = demo.changesets(run.run_id)
    assert branches(clone_folder(run.run_id)) == {branch_name(changeset.changeset_id): changeset.applied_commit_sha}
    interrupts = interrupt_pb2.ListInterruptsRequest(filter=interrupt_pb2.InterruptFilter(run_id=run.run_id))
    assert len(list(demo.client.paged(demo.client.interrupts.ListInterrupts, interrupts))) == 1
    approvals = approval_pb2.ListApprovalsRequest(filter=approval_pb2.ApprovalFilter(run_id=run.run_id))
    kinds = [approval.kind for approval in demo.client.paged(demo.client.approvals.ListApprovals, approvals)]
    assert sorted(kinds) == [
        approval_pb2.APPROVAL_KIND_RUN_START,
        approval_pb2.APPROVAL_KIND_TOOL_CALL,
        approval_pb2.APPROVAL_KIND_CHANGESET_APPLY,
    ]
