"""Answers what the run asks: by `--yes`, at the terminal, or by waiting until somebody answers elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from pmbot.client import Client
from pmbot.demo.items import Answer, Item, resolve
from pmbot.demo.state import State, StateFolder
from pmbot.demo.terminal import EndOfInput, print_diff, read_line, visible
from pmbot.errors import AlreadyDecided, NotFound, PmbotError, QuestionClosed, StaleDecision


class Questions:
    """Answers each item once.

    `always_yes` answers without asking; else `interactive` says whether somebody is at the terminal. `data_directory`
    is the server's, for the lines that answer from elsewhere.
    """

    def __init__(
        self,
        console: Console,
        client: Client,
        folder: StateFolder,
        state: State,
        *,
        data_directory: str,
        always_yes: bool,
        interactive: bool,
    ) -> None:
        self._console = console
        self._client = client
        self._folder = folder
        self._state = state
        self._data_directory = data_directory
        self._always_yes = always_yes
        self._interactive = interactive
        self._dealt_with: set[str] = set()

    def deal_with(self, item: Item, still_wanted: Callable[[], bool]) -> None:
        """Gets an answer to the item and gives it, or says how others can; does nothing the second time.

        `still_wanted` is asked again and again while a person thinks; when it says no, the question is dropped.
        Raises PmbotError when the answer could not be given, though nobody else has given one.
        """
        if item.item_id in self._dealt_with:
            return
        answer = self._recorded(item) or self._decide(item, still_wanted)
        if answer is None:
            self._dealt_with.add(item.item_id)
            return
        # On disk first: a demo that is killed between here and the server's answer gives the same answer again.
        self._state.answers[item.item_id] = {**asdict(answer), "payload_hash": item.payload_hash}
        self._folder.save(self._state)
        self._give(item, answer)
        self._dealt_with.add(item.item_id)

    def _recorded(self, item: Item) -> Answer | None:
        recorded = self._state.answers.get(item.item_id)
        if recorded is None or recorded["payload_hash"] != item.payload_hash:
            return None
        return Answer(recorded["yes"], recorded["reason"])

    def _decide(self, item: Item, still_wanted: Callable[[], bool]) -> Answer | None:
        if self._always_yes:
            self._say(item.title, "bold")
            self._say(_summary(item))
            return Answer(True)
        if self._interactive:
            try:
                answer = self._ask(item, still_wanted)
            except EndOfInput:
                self._interactive = False
            else:
                if answer is None:
                    self._say("No longer waiting for an answer here.", "dim")
                return answer
        else:
            self._say(item.title, "bold")
            self._show(item)
        self._say("Answer it with one of these:", "bold")
        for answer in (Answer(True), Answer(False, "why not")):
            self._say(item.grpcurl(answer, self._client.address, self._data_directory))
        return None

    def _ask(self, item: Item, still_wanted: Callable[[], bool]) -> Answer | None:
        self._console.rule()
        self._show(item)
        self._say("Or from elsewhere: " + item.grpcurl(Answer(True), self._client.address, self._data_directory), "dim")
        while True:
            typed = read_line(self._console, f"{visible(item.title)} [y/n] ", still_wanted)
            if typed is None:
                return None
            if typed.lower() in ("y", "yes"):
                return Answer(True)
            if typed.lower() in ("n", "no"):
                reason = read_line(self._console, "Why not? (Enter for no reason) ", still_wanted)
                return None if reason is None else Answer(False, reason.encode()[:4000].decode("utf-8", "ignore"))

    def _give(self, item: Item, answer: Answer) -> None:
        try:
            resolve(self._client, item, answer, self._state.decision_request_id(item.item_id))
        except (AlreadyDecided, QuestionClosed, StaleDecision, NotFound) as elsewhere:
            self._say(f"Not counted: {elsewhere}", "yellow")
        except PmbotError as refused:
            # The same item was answered differently in an earlier life, whose answer got through.
            if refused.reason != "REQUEST_ID_REUSED":
                raise
            self._say(f"Not counted: {refused}", "yellow")
        else:
            self._say("You said yes." if answer.yes else "You said no.", "green" if answer.yes else "yellow")

    def _show(self, item: Item) -> None:
        self._say(_summary(item))
        for action in item.payload.get("actions", ()):
            self._say(f"{action['name']}: {action.get('description', '')}")
            print_diff(self._console, str(action["args"]["diff"]))
        if "bundle" in item.payload:
            bundle = item.payload["bundle"]
            for file in bundle["files"]:
                self._say(f"  {file['change']} {file['path']}")
            print_diff(self._console, self._patch(bundle))

    def _patch(self, bundle: dict[str, Any]) -> str:
        patch = b"".join(self._client.download_artifact(bundle["patch_artifact_id"]))
        if hashlib.sha256(patch).hexdigest() != bundle["patch_sha256"]:
            return "The stored patch is not the one that is asked about. Say no."
        return patch.decode("utf-8", "backslashreplace")

    def _say(self, words: str, style: str = "") -> None:
        self._console.print(Text(visible(words), style=style), soft_wrap=True)


def _summary(item: Item) -> str:
    payload = item.payload
    if "goal" in payload:
        return f"{payload['goal']}\n  graph {payload.get('graph_id', '')}, repo {payload.get('repo', '')}"
    if "bundle" in payload:
        bundle = payload["bundle"]
        return f"{bundle['title']} (at {bundle['base_commit'][:12]})\n{bundle.get('description', '')}"
    return str(payload.get("description", ""))
