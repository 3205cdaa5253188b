"""What is printed at the end: the run's timeline from the audit log, and whether its chain verifies."""

from __future__ import annotations

import json
from datetime import timezone

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pmbot.client import Client
from pmbot.demo.terminal import visible
from pmbot.v1 import audit_pb2

_FACT_CHARACTERS = 30
"""Fewer than an id or a hash has: those would fill the timeline and tell a person nothing."""


def print_timeline(console: Console, client: Client, run_id: str) -> None:
    """Prints every event of the run, oldest first."""
    request = audit_pb2.ListEventsRequest(filter=audit_pb2.EventFilter(run_id=run_id), page_size=500)
    events: list[audit_pb2.AuditEvent] = list(client.paged(client.audit.ListEvents, request))
    table = Table(title=Text("Timeline"), title_justify="left", box=None, pad_edge=False)
    for heading in ("seq", "time", "who", "what", "facts"):
        table.add_column(
            heading, overflow="fold", no_wrap=heading != "facts", justify="right" if heading == "seq" else "left"
        )
    for event in reversed(events):
        time = event.created_at.ToDatetime(timezone.utc).astimezone().strftime("%H:%M:%S.%f")[:-3]
        cells = (str(event.seq), time, event.actor, event.type, facts(event.payload_json))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table)


def print_chain(console: Console, client: Client, workspace_id: str) -> bool:
    """Lets the server verify the workspace's chain, prints what it found, and returns whether it is whole."""
    answer = client.audit.VerifyChain(audit_pb2.VerifyChainRequest(workspace_id=workspace_id))
    if answer.valid:
        head = answer.head.hash.hex()[:16]
        message = f"Chain verified: {answer.verified_events} events up to seq {answer.head.seq}, head {head}…"
        console.print(Text(message, style="green"), soft_wrap=True)
        return True
    message = f"CHAIN BROKEN at seq {answer.fault.seq}: {visible(answer.fault.description)}"
    console.print(Text(message, style="bold red"), soft_wrap=True)
    return False


def facts(payload_json: str) -> str:
    """The plain values of an event's payload in one short line; what is long or nested is left to the log itself."""
    try:
        payload = json.loads(payload_json)
    except ValueError:
        return ""
    if not isinstance(payload, dict):
        return ""
    plain = {name: str(value) for name, value in payload.items() if value and isinstance(value, str | int | float)}
    line = " ".join(
        f"{name}={value}" for name, value in plain.items() if len(value) <= _FACT_CHARACTERS and "\n" not in value
    )
    return line if len(line) <= 4 * _FACT_CHARACTERS else line[: 4 * _FACT_CHARACTERS] + "…"
