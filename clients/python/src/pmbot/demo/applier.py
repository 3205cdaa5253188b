"""Makes the commit that an approved changeset stands for: on a branch of the run's scratch clone."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pmbot.client import Client
from pmbot.demo.git import GitError
from pmbot.demo.repository import find_repository
from pmbot.demo.scratch import Scratch, held, scratch_clone
from pmbot.langgraph import ApplyContext
from pmbot.v1 import changeset_pb2

TRAILER = "Pmbot-Changeset"
_PATCH_BYTES = 64 * 1024 * 1024
_CHANGESET_ID = re.compile(r"cs_[0-9a-f]{32}")


class ApplyError(Exception):
    """The changeset cannot be applied; the message says why. Nothing was committed."""


def branch_name(changeset_id: str) -> str:
    """The branch that a changeset becomes."""
    return f"pmbot/{changeset_id}"


def apply(changeset: changeset_pb2.Changeset, context: ApplyContext) -> str:
    """Commits the changeset and returns the commit's sha; doing it again, after a kill too, gives the same commit.

    The commit follows from the changeset alone: its tree, parent, message, identity and dates. The user's repository
    is only read. Raises ApplyError when the patch is not the one that was approved or the branch is somebody else's,
    and GitError when git refuses.
    """
    if _CHANGESET_ID.fullmatch(changeset.changeset_id) is None:
        raise ApplyError(f"{changeset.changeset_id!r} is not the id of a changeset")
    bundle = json.loads(changeset.bundle_json)
    base = bundle["base_commit"]
    repository = json.loads(context.run.agent_run_spec_json)["input"]["repository"]
    clone = scratch_clone(find_repository(Path(repository)), base, changeset.run_id)
    with held(clone, base) as scratch:
        applied = _applied(scratch, changeset.changeset_id)
        if applied is not None:
            return applied
        patch = _patch(context.client, bundle)
        scratch.apply(patch)
        commit = _commit(scratch, changeset, bundle)
        # All zeros: the branch must not exist, whoever else may have been here meanwhile.
        scratch.git("update-ref", f"refs/heads/{branch_name(changeset.changeset_id)}", commit, "0" * len(commit))
    return commit


def _applied(scratch: Scratch, changeset_id: str) -> str | None:
    branch = f"refs/heads/{branch_name(changeset_id)}"
    try:
        commit = scratch.git("rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}").decode("ascii").strip()
    except GitError:
        return None
    trailers = scratch.git("log", "-1", f"--format=%(trailers:key={TRAILER},valueonly)", commit).decode("utf-8").split()
    if changeset_id not in trailers:
        raise ApplyError(f"the branch {branch_name(changeset_id)} in {scratch.folder} is not the changeset's")
    return commit


def _patch(client: Client, bundle: dict[str, Any]) -> bytes:
    patch = bytearray()
    for piece in client.download_artifact(bundle["patch_artifact_id"]):
        patch += piece
        if len(patch) > _PATCH_BYTES:
            raise ApplyError(f"the patch has more than {_PATCH_BYTES} bytes")
    digest = hashlib.sha256(patch).hexdigest()
    if digest != bundle["patch_sha256"]:
        raise ApplyError(f"the patch has SHA-256 {digest}, and {bundle['patch_sha256']} was approved")
    return bytes(patch)


def _commit(scratch: Scratch, changeset: changeset_pb2.Changeset, bundle: dict[str, Any]) -> str:
    tree = scratch.git("write-tree").decode("ascii").strip()
    paragraphs = [bundle["title"], bundle.get("description", ""), f"{TRAILER}: {changeset.changeset_id}"]
    message = "\n\n".join(paragraph.strip() for paragraph in paragraphs if paragraph.strip()) + "\n"
    date = f"@{changeset.created_at.seconds} +0000"
    identity = {
        f"GIT_{role}_{name}": value
        for role in ("AUTHOR", "COMMITTER")
        for name, value in (("NAME", "pm-bot"), ("EMAIL", "pm-bot@localhost.invalid"), ("DATE", date))
    }
    # Made from a tree rather than by `git commit`: no hook, no signature and no editor can come in between.
    made = scratch.git("commit-tree", tree, "-p", scratch.base, stdin=message.encode("utf-8"), extra=identity)
    return made.decode("ascii").strip()
