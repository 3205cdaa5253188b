"""What a demo remembers, how it shows and takes answers, and what it says when it cannot begin."""

from __future__ import annotations

import io
import json
import os
import pty
import shlex
import socket
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from rich.console import Console

from pmbot import connect
from pmbot.demo.items import Answer, item_of
from pmbot.demo.registration import register
from pmbot.demo.report import facts
from pmbot.demo.repository import find_repository
from pmbot.demo.scratch import clone_folder
from pmbot.demo.state import AlreadyRunning, State, StateFolder
from pmbot.demo.terminal import EndOfInput, print_diff, read_line, visible
from pmbot.errors import Unavailable
from pmbot.v1 import approval_pb2, inbox_pb2, interrupt_pb2

from .kit import Project, start_demo


def state_folder(project: Project) -> StateFolder:
    return StateFolder(project.root, "a server")


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_the_state_is_on_disk_before_the_first_call(project: Project, nowhere: str) -> None:
    head = project.commit({"a.txt": b"a\n"})
    folder = state_folder(project)
    state = State(repository=str(project.root), base_commit=head)
    with connect(nowhere, "token", retry_seconds=0) as client, pytest.raises(Unavailable) as refused:
        register(client, folder, state, find_repository(project.root))
    kept = folder.load()
    assert kept == state
    assert kept is not None and refused.value.request_id == kept.workspace_request_id


def test_a_state_comes_back_as_it_was_and_repeats_its_request_ids(project: Project) -> None:
    folder = state_folder(project)
    state = State(repository="r", base_commit="c", run_id="run_1")
    state.answers["appr_1"] = {"yes": True, "reason": "", "payload_hash": "h"}
    folder.save(state)
    kept = folder.load()
    assert kept == state
    assert kept is not None and kept.decision_request_id("appr_1") == state.decision_request_id("appr_1")
    assert kept.decision_request_id("appr_1") != kept.decision_request_id("appr_2")
    assert StateFolder(project.root, "another server").load() is None


def test_a_kill_while_saving_leaves_the_old_state(project: Project) -> None:
    folder = state_folder(project)
    folder.save(State(repository="r", base_commit="c"))
    (folder.folder / "state.aside").write_text('{"repos')
    assert folder.load() is not None


def test_a_damaged_state_is_said_with_the_way_out(project: Project) -> None:
    folder = state_folder(project)
    folder.save(State(repository="r", base_commit="c"))
    for damaged in ("{", "[]", '{"repository": "r"}'):
        (folder.folder / "state.json").write_text(damaged)
        with pytest.raises(ValueError, match="--new"):
            folder.load()


def test_two_demos_of_one_repository_do_not_run_at_once(project: Project) -> None:
    with state_folder(project).lock(), pytest.raises(AlreadyRunning), state_folder(project).lock():
        pytest.fail("both hold it")
    with state_folder(project).lock():
        pass


@pytest.mark.parametrize("run_id", ["", "run_1", "../" + "0" * 32, "run_" + "0" * 32 + "/..", "run_" + "0" * 32 + "\n"])
def test_only_the_id_of_a_run_names_a_folder(run_id: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a run"):
        clone_folder(run_id)


def approval() -> inbox_pb2.InboxItem:
    return inbox_pb2.InboxItem(
        approval=approval_pb2.Approval(
            approval_id="appr_1", run_id="run_1", kind=approval_pb2.APPROVAL_KIND_RUN_START, payload_hash="h",
            payload_json='{"goal": "it\'s a goal"}',
        )
    )  # fmt: skip


def interrupt() -> inbox_pb2.InboxItem:
    payload = {"title": "Write", "actions": [{"id": "apply", "name": "apply_diff", "args": {"diff": ""}}]}
    return inbox_pb2.InboxItem(
        interrupt=interrupt_pb2.Interrupt(
            interrupt_id="intr_1", run_id="run_1", payload_hash="h", payload_json=json.dumps(payload)
        )
    )


def test_answers_name_what_was_shown() -> None:
    assert item_of(approval()).request(Answer(True)) == {
        "approval_id": "appr_1",
        "status": "APPROVAL_STATUS_APPROVED",
        "payload_hash": "h",
    }
    [refusal] = item_of(interrupt()).request(Answer(False, "why"))["decisions"]
    assert (refusal["interrupt_id"], refusal["payload_hash"], refusal["notes"]) == ("intr_1", "h", "why")
    assert json.loads(refusal["decision_json"]) == {
        "decisions": [{"action_id": "apply", "type": "reject", "message": "why"}]
    }


@pytest.mark.parametrize("answer", [Answer(True), Answer(False, 'it\'s "not" $(good) `enough`')])
def test_the_command_line_for_elsewhere_survives_a_shell(answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "it's here" / "tokens").mkdir(parents=True)
    (tmp_path / "it's here" / "tokens" / "operator.token").write_text("secret\n")
    for item in (item_of(approval()), item_of(interrupt())):
        line = item.grpcurl(answer, "127.0.0.1:7433", str(tmp_path / "it's here"))
        program = f"{shlex.quote(sys.executable)} -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
        shown = subprocess.run(
            ["sh", "-c", line.replace("grpcurl", program, 1)], check=True, capture_output=True, text=True
        ).stdout
        arguments = json.loads(shown)
        assert arguments[:4] == ["-plaintext", "-H", "authorization: Bearer secret", "-d"]
        assert json.loads(arguments[4]) == item.request(answer)
        assert arguments[5] == "127.0.0.1:7433" and arguments[6].startswith("pmbot.v1.")


def test_nothing_in_what_is_shown_can_move_the_cursor_or_hide() -> None:
    assert visible("a\x1b[2Jb\r\u202ec\u200b\n\té") == "a\\x1b[2Jb\\r\\u202ec\\u200b\n\té"


def test_a_diff_is_shown_in_full_and_its_signs_are_not_taken_for_headers() -> None:
    out = io.StringIO()
    diff = (
        "diff --git a/x b/x\n--- a/x\t\n+++ b/x\t\n@@ -1,2 +1 @@\n--- [bold]no header[/bold] \n-" + "y" * 300 + "\n+z\n"
    )
    print_diff(Console(file=out, width=40, force_terminal=True, color_system="standard"), diff)
    shown = out.getvalue()
    assert "y" * 300 in shown
    assert "\x1b[31m--- [bold]no header[/bold]\x1b[0m\x1b[7;31m \x1b[0m" in shown


class Terminal:
    """A real pseudo-terminal as standard input."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, line_editing: bool = False) -> None:
        self.person, program = pty.openpty()
        if not line_editing:
            tty.setcbreak(program)
        monkeypatch.setattr(sys, "stdin", os.fdopen(program, encoding="utf-8"))
        self.console = Console(file=io.StringIO())

    def type(self, text: bytes) -> None:
        os.write(self.person, text)


def test_an_answer_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    pieces = [b"n\xc3", b"\xa9", b" \n"]

    def still_wanted() -> bool:
        if pieces:
            terminal.type(pieces.pop(0))
        return True

    assert read_line(terminal.console, "? ", still_wanted) == "né"


def test_what_was_typed_before_the_question_stood_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    terminal.type(b"y\n")
    later = [b"n\n"]

    def still_wanted() -> bool:
        if later:
            terminal.type(later.pop())
        return True

    assert read_line(terminal.console, "? ", still_wanted) == "n"


def test_a_question_that_was_answered_elsewhere_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_line(Terminal(monkeypatch).console, "? ", lambda: False) is None


def test_the_end_of_input_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, line_editing=True)

    def still_wanted() -> bool:
        terminal.type(b"\x04")
        return True

    with pytest.raises(EndOfInput):
        read_line(terminal.console, "? ", still_wanted)


def test_a_terminal_that_is_gone_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    os.close(terminal.person)
    with pytest.raises(EndOfInput):
        read_line(terminal.console, "? ", lambda: True)


def test_facts_are_one_short_line() -> None:
    assert facts('{"a": "x", "b": {"c": 1}, "d": "two\\nlines", "e": 3, "f": ""}') == "a=x e=3"
    assert facts("no json") == "" and facts("[1]") == ""
    assert facts(json.dumps({"run_id": "run_" + "0" * 32, "hash": "0" * 64, "kind": "log"})) == "kind=log"
    assert len(facts(json.dumps({f"k{number}": "v" * 20 for number in range(20)}))) == 121


def run_demo(folder: Path, address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    tokens = {"PMBOT_ADDRESS": address, "PMBOT_TOKEN": "token", "PMBOT_WORKER_TOKEN": "token"}
    with start_demo(folder, tokens, *arguments) as process:
        out, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def test_no_repository_is_said_with_exit_code_2(tmp_path: Path, project: Project, nowhere: str) -> None:
    done = run_demo(tmp_path, nowhere)
    assert done.returncode == 2
    assert "is not inside a git work tree" in done.stderr and "--repo" in done.stderr
    done = run_demo(tmp_path, nowhere, "--repo", str(project.root))
    assert (done.returncode, "no commit yet" in done.stderr) == (2, True)


def test_no_server_is_said_with_exit_code_1(project: Project, nowhere: str) -> None:
    project.commit({"a.txt": b"a\n"})
    done = run_demo(project.root, nowhere)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 2
    assert "Traceback" not in done.stderr
