"""What waits for the person: one shape for approvals and interrupts, and how each is answered."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pmbot.client import Client
from pmbot.v1 import approval_pb2, inbox_pb2, interrupt_pb2

_TITLES = {
    approval_pb2.APPROVAL_KIND_RUN_START: "Start the run?",
    approval_pb2.APPROVAL_KIND_CHANGESET_APPLY: "Apply the changeset?",
}


@dataclass(frozen=True)
class Answer:
    """A person's yes or no."""

    yes: bool
    reason: str = ""


@dataclass(frozen=True)
class Item:
    """One thing that waits."""

    item_id: str
    run_id: str
    payload_hash: str
    payload: dict[str, Any]
    title: str
    is_interrupt: bool

    def request(self, answer: Answer) -> dict[str, Any]:
        """What resolves it, as the fields of a ResolveApproval or ResolveInterrupt request."""
        fields = {"payload_hash": self.payload_hash}
        if answer.reason:
            fields["notes"] = answer.reason
        if not self.is_interrupt:
            status = "APPROVAL_STATUS_APPROVED" if answer.yes else "APPROVAL_STATUS_REJECTED"
            return {"approval_id": self.item_id, "status": status, **fields}
        decision = {"type": "approve"} if answer.yes else {"type": "reject"}
        if not answer.yes and answer.reason:
            decision["message"] = answer.reason
        decisions = [{"action_id": action["id"], **decision} for action in self.payload["actions"]]
        made = {"interrupt_id": self.item_id, "decision_json": json.dumps({"decisions": decisions}), **fields}
        return {"decisions": [made]}

    def grpcurl(self, answer: Answer, address: str, data_directory: str) -> str:
        """The command line that gives this answer from another terminal."""
        token = str(PurePath(data_directory, "tokens", "operator.token"))
        method = "InterruptService/ResolveInterrupt" if self.is_interrupt else "ApprovalService/ResolveApproval"
        return (
            f'grpcurl -plaintext -H "authorization: Bearer $(cat {shlex.quote(token)})" '
            f"-d {shlex.quote(json.dumps(self.request(answer)))} {shlex.quote(address)} pmbot.v1.{method}"
        )


def item_of(waiting: inbox_pb2.InboxItem) -> Item:
    """Reads what the inbox shows."""
    if waiting.HasField("interrupt"):
        asked = waiting.interrupt
        payload = json.loads(asked.payload_json)
        return Item(asked.interrupt_id, asked.run_id, asked.payload_hash, payload, f"{payload['title']}?", True)
    approval = waiting.approval
    payload = json.loads(approval.payload_json)
    title = _TITLES.get(approval.kind) or f"{payload['title']}?"
    return Item(approval.approval_id, approval.run_id, approval.payload_hash, payload, title, False)


def resolve(client: Client, item: Item, answer: Answer, request_id: str) -> None:
    """Gives the answer. Raises PmbotError; of these AlreadyDecided, QuestionClosed, StaleDecision and NotFound mean
    that somebody else was quicker or the question is gone.
    """
    fields = item.request(answer)
    if item.is_interrupt:
        client.interrupts.ResolveInterrupt(interrupt_pb2.ResolveInterruptRequest(request_id=request_id, **fields))
        return
    status = approval_pb2.ApprovalStatus.Value(fields.pop("status"))
    client.approvals.ResolveApproval(
        approval_pb2.ResolveApprovalRequest(request_id=request_id, status=status, **fields)
    )
