"""Makes calls on a real server, and holds what it answers and lists against what the model says."""

from __future__ import annotations

import json
import mmap
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

import pmbot
from pmbot.errors import PmbotError, from_status
from pmbot.v1 import (
    approval_pb2,
    approval_pb2_grpc,
    artifact_pb2,
    audit_pb2,
    changeset_pb2,
    inbox_pb2,
    inbox_pb2_grpc,
    interrupt_pb2,
    interrupt_pb2_grpc,
    repo_pb2,
    run_pb2,
    run_pb2_grpc,
    workspace_pb2,
)

from .control_plane import ANYTHING, REPEATED, Caller, ControlPlane, Refused
from .rows import Run, Workspace

NAME = re.compile(r"@[a-z]+\.\d+@")
"""One of the model's own names for what the server makes up."""
TIME = "google.protobuf.Timestamp"
DURATION = "google.protobuf.Duration"
PAGE = 500
SERVICES = {
    "workspaces": workspace_pb2, "repos": repo_pb2, "runs": run_pb2, "approvals": approval_pb2,
    "interrupts": interrupt_pb2, "artifacts": artifact_pb2, "changesets": changeset_pb2, "audit": audit_pb2,
}  # fmt: skip
METHODS = {
    method.name: (stub, method.input_type)
    for stub, module in SERVICES.items()
    for service in module.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
    for method in service.methods
}


class Clock:
    """The server's clocks, which stand still until they are turned: a file that it has mapped (`pmbot.clock.file`)."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(8))
        self.option = f"-Dpmbot.clock.file={file}"
        with file.open("r+b") as mapped:
            self._nanos = memoryview(mmap.mmap(mapped.fileno(), 8)).cast("q")
        self.micros = time.time_ns() // 1000

    @property
    def micros(self) -> int:
        """Microseconds since the epoch."""
        return self._nanos[0] // 1000

    @micros.setter
    def micros(self, micros: int) -> None:
        self._nanos[0] = micros * 1000


@dataclass
class Listed:
    """What was read of a run or a workspace; the inbox only of a workspace."""

    runs: Sequence[Message]
    approvals: Sequence[Message]
    interrupts: Sequence[Message]
    inbox: Sequence[Message] | None


class Lists:
    """Reads several lists at a time, as a reader."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._identity = (("authorization", f"Bearer {token}"),)
        self._runs = run_pb2_grpc.RunServiceStub(channel)
        self._approvals = approval_pb2_grpc.ApprovalServiceStub(channel)
        self._interrupts = interrupt_pb2_grpc.InterruptServiceStub(channel)
        self._inbox = inbox_pb2_grpc.InboxServiceStub(channel)

    def of_workspace(self, workspace_id: str) -> Listed:
        """Its runs, approvals and interrupts, and its inbox."""
        named = {"workspace_id": workspace_id}
        runs, approvals, interrupts, inbox = self._read(
            (self._runs.ListRuns, run_pb2.ListRunsRequest(page_size=PAGE, **named)),
            *self._asked(named),
            (self._inbox.ListInbox, inbox_pb2.ListInboxRequest(filter=named, page_size=PAGE)),  # type: ignore[arg-type]
        )
        return Listed(runs.runs, approvals.approvals, interrupts.interrupts, _items(inbox.items))

    def of_run(self, run_id: str) -> Listed:
        """The run, and its approvals and interrupts."""
        named = {"run_id": run_id}
        run, approvals, interrupts = self._read(
            (self._runs.GetRun, run_pb2.GetRunRequest(**named)), *self._asked(named)
        )
        return Listed([run.run], approvals.approvals, interrupts.interrupts, None)

    def _asked(self, named: Any) -> list[tuple[Any, Message]]:
        return [
            (self._approvals.ListApprovals, approval_pb2.ListApprovalsRequest(filter=named, page_size=PAGE)),
            (self._interrupts.ListInterrupts, interrupt_pb2.ListInterruptsRequest(filter=named, page_size=PAGE)),
        ]

    def _read(self, *requests: tuple[Any, Message]) -> list[Any]:
        calls = [method.future(request, timeout=60, metadata=self._identity) for method, request in requests]
        answers = [call.result() for call in calls]
        assert not any(getattr(answer, "next_page_token", "") for answer in answers)
        return answers


@dataclass
class Bench:
    """A server whose clocks stand still, with clients of it, and the counts of what was done."""

    clock: Clock
    clients: dict[Caller, pmbot.Client]
    reader: pmbot.Client
    lists: Lists
    steps: int = 0
    sequences: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def counts(self) -> str:
        """What was done, to be read."""
        lines = [f"{self.steps} steps in {self.sequences} sequences"]
        return "\n".join(lines + [f"  {count:6d} {name}" for name, count in sorted(self.outcomes.items())])


@dataclass
class Comparison:
    """The server and the model, side by side, over one sequence of calls."""

    bench: Bench
    model: ControlPlane
    _servers: dict[str, str] = field(default_factory=dict)
    _models: dict[str, str] = field(default_factory=dict)
    _replies: dict[tuple[str, str], Message] = field(default_factory=dict)
    _compared: dict[int, tuple[Message, dict[str, Any]]] = field(default_factory=dict)
    """What each row was found to be the same as, and how it was then: what did not change is not compared anew."""

    def call(self, caller: Caller, method: str, request_id: str, request: dict[str, Any]) -> str:
        """Makes a call on both, and fails when they differ; what came of it, in a word."""
        expected: Any = None
        refusal: Refused | None = None
        try:
            expected = self.model.call(caller, method, request_id, request)
        except Refused as refused:
            refusal = refused
        said = self._send(caller, method, request_id, request)
        if refusal:
            assert isinstance(said, PmbotError), f"{method} is to be refused: {refusal}, but was answered:\n{said}"
            self._same_refusal(said, refusal)
            return refusal.reason
        assert not isinstance(said, PmbotError), f"{method} is allowed, but was refused: {said.reason} {said}"
        key = (caller.role, request_id)
        if expected is REPEATED:
            assert said == self._replies[key], f"{method} repeated: not the first answer, but {said}"
        else:
            self._same(said, expected, method)
        outcome = "repeated" if key in self._replies else "ok"
        self._replies.setdefault(key, said)
        return outcome

    def _send(self, caller: Caller, method: str, request_id: str, request: dict[str, Any]) -> Any:
        stub, kind = METHODS[method]
        content = request.get("content")
        fields = {name: value for name, value in self._to_server(request).items() if name != "content"}
        if content is None:
            message = self._message(kind, {**fields, "request_id": request_id})
        else:
            header = artifact_pb2.ArtifactHeader.DESCRIPTOR
            parts = [artifact_pb2.UploadArtifactRequest(chunk=content)]
            announced = self._message(header, {**fields, "request_id": request_id})
            message = iter([artifact_pb2.UploadArtifactRequest(header=announced), *parts])
        try:
            return getattr(getattr(self.bench.clients[caller], stub), method)(message)
        except PmbotError as error:
            return error

    def _message(self, kind: Any, fields: dict[str, Any]) -> Any:
        """A message, with enums given as the specification's words."""
        values: dict[str, Any] = {}
        for name, value in fields.items():
            one = kind.fields_by_name[name]
            if one.enum_type:
                word = _prefix(one.enum_type) + (value.upper() or "UNSPECIFIED")
                values[name] = one.enum_type.values_by_name[word].number
            elif one.message_type and isinstance(value, Sequence):
                values[name] = [self._message(one.message_type, each) for each in value]
            else:
                values[name] = value
        return kind._concrete_class(**values)

    def _to_server(self, value: Any) -> Any:
        """A value with the server's names in place of the model's."""
        if isinstance(value, str):
            return NAME.sub(lambda name: self._servers[name[0]], value) if "@" in value else value
        if isinstance(value, dict):
            return {name: self._to_server(one) for name, one in value.items()}
        return [self._to_server(one) for one in value] if isinstance(value, list) else value

    def _same_refusal(self, said: PmbotError, refusal: Refused) -> None:
        expected = {name: self._to_server(value) for name, value in refusal.metadata.items()}
        metadata = {name: _sorted(said.metadata.get(name, "")) for name in expected}
        expected = {name: _sorted(value) for name, value in expected.items()}
        assert (said.reason, metadata) == (refusal.reason, expected), f"refused otherwise: {said.reason} {said}"

    def _same(self, said: Any, expected: Any, path: str, left_out: Sequence[str] = ()) -> None:
        """Holds a message, a list or a value against what the model says."""
        if expected is ANYTHING:
            return
        if isinstance(expected, Refused):
            self._same_refusal(from_status(said.error), expected)
        elif is_dataclass(expected):
            if isinstance(said, interrupt_pb2.ResolveInterruptResult):
                said, left_out = said.interrupt, ("payload_json", "decision_json")
            if self._compared.get(id(expected)) != (said, vars(expected)):
                for name, value in plain(said):
                    self._same(value, "" if name in left_out else getattr(expected, name), f"{path}.{name}")
                if not left_out:
                    self._compared[id(expected)] = (said, dict(vars(expected)))
        elif isinstance(expected, dict) and isinstance(said, Message):
            fields = dict(plain(said))
            assert set(fields) == set(expected), f"{path}: {set(fields) ^ set(expected)}"
            for name, value in fields.items():
                self._same(value, expected[name], f"{path}.{name}")
        elif isinstance(expected, dict):
            wanted = self._to_server(json.dumps(expected))
            assert json.loads(said) == json.loads(wanted), f"{path}: {said}, not {wanted}"
        elif isinstance(expected, list):
            assert len(said) == len(expected), f"{path}: {len(said)}, not {len(expected)}: {said}"
            for index, (one, other) in enumerate(zip(said, expected, strict=True)):
                self._same(one, other, f"{path}[{index}]")
        elif isinstance(expected, str) and "@" in expected:
            if NAME.fullmatch(expected) and expected not in self._servers:
                assert said and said not in self._models, f"{path}: {said!r} is {self._models.get(said)} already"
                self._servers[expected], self._models[said] = said, expected
            known = self._models.get(said, "unknown")
            assert said == self._to_server(expected), f"{path}: {said}, which is {known}, not {expected}"
        else:
            assert said == expected, f"{path}: {said!r}, not {expected!r}"

    # What is listed.

    def compare_lists(self, part: Workspace | Run) -> None:
        """What is listed of a run, or of all runs of a workspace and its inbox."""
        model, lists = self.model, self.bench.lists
        if isinstance(part, Run):
            said = lists.of_run(self._to_server(part.run_id))
        else:
            said = lists.of_workspace(self._to_server(part.workspace_id))
        self._same(said.runs, _newest(model.runs, part), "runs")
        self._same(said.approvals, _newest(model.approvals, part), "approvals")
        self._same(said.interrupts, _newest(model.interrupts, part), "interrupts")
        if isinstance(part, Workspace):
            self._same(said.inbox, model.inbox(part), "inbox")

    def compare_pages(self, workspace: Workspace, page_size: int, status: str) -> None:
        """The same page by page, and of some status."""
        workspace_id, reader, model = self._to_server(workspace.workspace_id), self.bench.reader, self.model
        request = self._message(
            run_pb2.ListRunsRequest.DESCRIPTOR,
            {"workspace_id": workspace_id, "page_size": page_size, "status": status},
        )
        runs = [run for run in _newest(model.runs, workspace) if status in ("", run.status)]
        self._same(self._list(reader.runs.ListRuns, request), runs, "ListRuns")
        approvals = approval_pb2.ListApprovalsRequest(filter={"workspace_id": workspace_id}, page_size=page_size)
        said = self._list(reader.approvals.ListApprovals, approvals)
        self._same(said, _newest(model.approvals, workspace), "ListApprovals")
        interrupts = interrupt_pb2.ListInterruptsRequest(filter={"workspace_id": workspace_id}, page_size=page_size)
        said = self._list(reader.interrupts.ListInterrupts, interrupts)
        self._same(said, _newest(model.interrupts, workspace), "ListInterrupts")
        inbox = inbox_pb2.ListInboxRequest(filter={"workspace_id": workspace_id}, page_size=page_size)
        self._same(_items(self._list(reader.inbox.ListInbox, inbox)), model.inbox(workspace), "ListInbox")

    def compare_rest(self, workspace: Workspace) -> None:
        """What changes seldom: the workspace itself, its repos, changesets and artifacts."""
        workspace_id, reader, model = self._to_server(workspace.workspace_id), self.bench.reader, self.model
        named = workspace_pb2.GetWorkspaceRequest(workspace_id=workspace_id)
        self._same(reader.workspaces.GetWorkspace(named).workspace, workspace, "GetWorkspace")
        repos = repo_pb2.ListReposRequest(workspace_id=workspace_id)
        self._same(self._list(reader.repos.ListRepos, repos), _newest(model.repos, workspace), "ListRepos")
        changesets = changeset_pb2.ListChangesetsRequest(filter={"workspace_id": workspace_id})
        said = self._list(reader.changesets.ListChangesets, changesets)
        self._same(said, _newest(model.changesets, workspace), "ListChangesets")
        artifacts = artifact_pb2.ListArtifactsRequest(workspace_id=workspace_id)
        said = self._list(reader.artifacts.ListArtifacts, artifacts)
        self._same(said, _newest(model.artifacts, workspace), "ListArtifacts")

    def compare_record(self, workspace: Workspace) -> None:
        """Every change is on the record once, with those of its transaction, in a chain that verifies."""
        workspace_id, audit = self._to_server(workspace.workspace_id), self.bench.reader.audit
        request = audit_pb2.ListEventsRequest(filter={"workspace_id": workspace_id}, page_size=PAGE)
        said = list(reversed(self._list(audit.ListEvents, request)))
        assert [event.seq for event in said] == list(range(1, len(said) + 1))
        expected = [event for event in self.model.events if event.workspace_id == workspace.workspace_id]
        for run_id in {event.run_id for event in expected}:
            about = [event for event in expected if event.run_id == run_id]
            transactions = _transactions(about, "transaction")
            found = _transactions([event for event in said if event.run_id == self._to_server(run_id)], "tx_first_seq")
            assert found == transactions, f"the record of {run_id} is\n{found}, not\n{transactions}"
        assert len(said) == len(expected)
        verified = audit.VerifyChain(audit_pb2.VerifyChainRequest(workspace_id=workspace_id))
        assert verified.valid and verified.verified_events == len(said), verified

    def compare_decisions(self) -> None:
        """What WatchDecisions begins with, for all runs."""
        told: list[Any] = []
        if self.model.runs:
            run_ids = [self._to_server(run.run_id) for run in self.model.runs[-100:]]
            worker = self.bench.clients[Caller("worker", "w1")]
            stream = worker.interrupts.WatchDecisions(interrupt_pb2.WatchDecisionsRequest(run_ids=run_ids), timeout=60)
            for message in stream:
                if message.HasField("synced"):
                    break
                told += _items(message.transaction.items)
            stream.cancel()  # type: ignore[attr-defined]
        deliver = [*self.model.decisions_to_deliver(), *self.model.approvals_to_deliver()]
        deliver = [one for one in deliver if one.run in self.model.runs[-100:]]
        self._same(told, deliver, "WatchDecisions")

    def compare_one(self, row: Any, missing: str) -> None:
        """Reads one row by its id, and one that is not there."""
        field_name = next(iter(vars(row)))
        method = f"Get{type(row).__name__}"
        stub, kind = METHODS[method]
        read = getattr(getattr(self.bench.reader, stub), method)
        answer = read(kind._concrete_class(**{field_name: self._to_server(getattr(row, field_name))}))
        self._same(getattr(answer, next(iter(answer.DESCRIPTOR.fields_by_name))), row, method)
        try:
            read(kind._concrete_class(**{field_name: missing}))
        except PmbotError as error:
            self._same_refusal(error, Refused("NOT_FOUND", id=missing))
        else:
            raise AssertionError(f"{method} found {missing}")

    def _list(self, method: Any, request: Message) -> list[Any]:
        return list(self.bench.reader.paged(method, request))


def plain(message: Message) -> Iterator[tuple[str, Any]]:
    """A message's fields: times in microseconds, enums as the specification's words, None for what is absent."""
    for one in message.DESCRIPTOR.fields:
        value = getattr(message, one.name)
        if one.has_presence and not message.HasField(one.name):
            value = None
        elif one.message_type and one.message_type.full_name in (TIME, DURATION):
            value = value.seconds * 1_000_000 + value.nanos // 1000
        elif one.enum_type:
            name = one.enum_type.values_by_number[value].name
            value = name.removeprefix(_prefix(one.enum_type)).lower() if value else ""
        yield one.name, value


@cache
def _prefix(enum: Any) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"


def _sorted(text: Any) -> list[str]:
    return sorted(str(text).split(","))


def _items(items: Sequence[Any]) -> list[Any]:
    return [getattr(item, item.WhichOneof("item")) for item in items]


def _newest(rows: Sequence[Any], part: Workspace | Run) -> list[Any]:
    if isinstance(part, Run):
        return [row for row in reversed(rows) if row.run_id == part.run_id]
    return [row for row in reversed(rows) if row.workspace_id == part.workspace_id]


def _transactions(events: Sequence[Any], transaction: str) -> list[list[tuple[str, str]]]:
    return [sorted((one.type, one.actor) for one in group) for _, group in groupby(events, attrgetter(transaction))]
