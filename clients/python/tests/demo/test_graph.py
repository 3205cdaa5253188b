"""The graph, run by LangGraph itself, with a person's answers given by hand."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from pmbot.demo.graph import repo_change_proposer
from pmbot.demo.scratch import clone_folder
from pmbot.langgraph.interrupts import guard_of

from .kit import RUN_ID, Project, Records, git

THREAD: Any = {"configurable": {"thread_id": "thread"}}


class Conversation:
    """One thread of the graph, compiled anew for every step: as if its worker had died in between."""

    def __init__(self, project: Project, base_commit: str, checkpoints: Any) -> None:
        self.records = Records(project.root, base_commit)
        self.checkpoints = checkpoints
        self.question: dict[str, Any] | None = None
        self._interrupt_id = ""
        self.state: dict[str, Any] = {}

    def start(self) -> dict[str, Any] | None:
        """Invokes the graph with the run's input; returns what it asks."""
        return self._step(json.loads(self.records.run.agent_run_spec_json)["input"])

    def again(self) -> dict[str, Any] | None:
        """Invokes the graph with nothing, as another worker would after a crash."""
        return self._step(None)

    def answer(self, kind: str, **more: Any) -> dict[str, Any] | None:
        """Answers the open question."""
        decision = {"decisions": [{"action_id": "apply", "type": kind, **more}]}
        envelope = {"guard": guard_of(self.question), "decision": decision}
        return self._step(Command(resume={self._interrupt_id: envelope}))

    def _step(self, value: Any) -> dict[str, Any] | None:
        graph = repo_change_proposer().compile(checkpointer=self.checkpoints)
        self.state = graph.invoke(value, THREAD, context=self.records)
        found = self.state.get("__interrupt__", ())
        self.question = found[0].value if found else None
        self._interrupt_id = found[0].id if found else ""
        return self.question


@pytest.fixture(params=["memory", "sqlite"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """LangGraph's own savers."""
    if request.param == "memory":
        return InMemorySaver()
    return SqliteSaver(sqlite3.connect(tmp_path / "checkpoints.sqlite3", check_same_thread=False))


@pytest.fixture
def conversation(project: Project, checkpoints: Any) -> Conversation:
    base = project.commit({"a.txt": b"one \n", "b.txt": b"two"})
    return Conversation(project, base, checkpoints)


def test_a_yes_writes_and_proposes_and_nothing_before_it(conversation: Conversation, project: Project) -> None:
    before = project.snapshot()
    question = conversation.start()
    assert question is not None
    assert question["actions"][0]["args"]["diff"].startswith("diff --git a/FILES.md b/FILES.md\n")
    assert not clone_folder(RUN_ID).exists() and conversation.records.contents == {}
    assert conversation.answer("approve") is None
    assert conversation.state["outcome"].startswith("Proposed cs_")
    bundle = conversation.records.proposed[0]
    assert bundle["title"] == "Tidy 3 files"
    assert bundle["files"] == [
        {"path": "FILES.md", "change": "added"},
        {"path": "a.txt", "change": "modified"},
        {"path": "b.txt", "change": "modified"},
    ]
    assert conversation.records.contents["changes.patch"].decode() == question["actions"][0]["args"]["diff"]
    assert (clone_folder(RUN_ID) / "a.txt").read_bytes() == b"one\n"
    assert project.snapshot() == before


def test_a_no_ends_it_with_the_reason(conversation: Conversation) -> None:
    conversation.start()
    assert conversation.answer("reject", message="not today") is None
    assert conversation.state["outcome"] == "The diff was refused: not today"
    assert not clone_folder(RUN_ID).exists()
    assert conversation.records.contents == {} and conversation.records.proposed == []


def test_an_edit_is_what_is_written(conversation: Conversation) -> None:
    question = conversation.start()
    assert question is not None
    diff = question["actions"][0]["args"]["diff"]
    only_a = "diff --git a/a.txt" + diff.split("diff --git a/a.txt")[1].split("diff --git a/b.txt")[0]
    assert conversation.answer("edit", args={"diff": only_a.removesuffix("\n")}) is None
    assert conversation.records.proposed[0]["files"] == [{"path": "a.txt", "change": "modified"}]
    assert not (clone_folder(RUN_ID) / "FILES.md").exists()
    assert (clone_folder(RUN_ID) / "b.txt").read_bytes() == b"two"


def test_an_edit_may_delete_and_never_leaves_the_clone(conversation: Conversation, tmp_path: Path) -> None:
    conversation.start()
    outside = "diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n"
    assert conversation.answer("edit", args={"diff": outside}) is not None
    deletion = "diff --git a/b.txt b/b.txt\ndeleted file mode 100644\n--- a/b.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-two\n"
    deletion += "\\ No newline at end of file\n"
    assert conversation.answer("edit", args={"diff": deletion}) is None
    assert not (clone_folder(RUN_ID) / "b.txt").exists()
    assert conversation.records.proposed[0]["files"] == [{"path": "b.txt", "change": "deleted"}]


def test_an_edit_that_does_not_apply_is_asked_about_again(conversation: Conversation) -> None:
    first = conversation.start()
    second = conversation.answer("edit", args={"diff": "no diff at all"})
    assert first is not None and second is not None
    assert second["description"].startswith(
        "The edited diff does not apply (git apply: error: No valid patches in input"
    )
    assert second["actions"] == first["actions"]
    assert conversation.answer("approve") is None
    assert len(conversation.records.proposed[0]["files"]) == 3


def test_a_worker_that_died_asks_the_same_and_stores_the_same(conversation: Conversation) -> None:
    question = conversation.start()
    assert conversation.again() == question

    def die(bundle: dict[str, Any]) -> Any:
        raise ConnectionError("the worker died here")

    live, conversation.records.changeset = conversation.records.changeset, die  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        conversation.answer("approve")
    conversation.records.changeset = live  # type: ignore[method-assign]
    assert conversation.again() is None
    assert len(conversation.records.proposed) == 1


def test_a_write_that_was_cut_short_is_done_again(conversation: Conversation) -> None:
    conversation.start()
    clone = clone_folder(RUN_ID)
    (clone / ".git").mkdir(parents=True)
    (clone / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (clone.parent / f".{RUN_ID}.left" / ".git").mkdir(parents=True)
    assert conversation.answer("approve") is None
    assert (clone / "a.txt").read_bytes() == b"one\n"
    assert [path.name for path in clone.parent.iterdir() if path.name.endswith(".left")] == []


def test_a_tidy_repository_completes_without_a_question(project: Project, checkpoints: Any) -> None:
    conversation = Conversation(project, project.commit({"a.txt": b"a \n"}), checkpoints)
    question = conversation.start()
    assert question is not None
    git(project.root, "apply", "--index", "-", stdin=question["actions"][0]["args"]["diff"].encode())
    git(project.root, "commit", "-q", "-m", "tidied")
    head = git(project.root, "rev-parse", "HEAD").decode().strip()
    clean = Conversation(project, head, InMemorySaver())
    assert clean.start() is None
    assert clean.state["outcome"].startswith("Nothing to do")
    assert clean.records.contents == {}
