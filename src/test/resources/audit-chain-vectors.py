"""Writes audit-chain-vectors.json: the chain as proto/pmbot/v1/audit.proto documents it, by code that
shares nothing with the server's.

    python3 audit-chain-vectors.py > audit-chain-vectors.json
"""

import hashlib
import json
import struct
import sys

ZERO = bytes(32)
BASE = {
    "workspace_id": "ws_0198c0de00007000800000000000000a",
    "run_id": None,
    "thread_id": None,
    "node_id": None,
    "actor": "local_user",
}
# Name, and what differs from an event about nothing. Each follows the one before it.
EVENTS = [
    ("about no run", {"type": "workspace.created", "payload_json": '{"name":"one"}', "tx_first_seq": 1}),
    (
        "about everything",
        {
            "type": "interrupt.raised",
            "run_id": "run_0198c0de00007000800000000000000b",
            "thread_id": "thread-1",
            "node_id": "agent:tools",
            "actor": "worker:worker-1",
            "payload_json": '{"title":"Delete?"}',
            "tx_first_seq": 2,
        },
    ),
    (
        "a second event of the same transaction",
        {
            "type": "approval.requested",
            "run_id": "run_0198c0de00007000800000000000000b",
            "actor": "worker:worker-1",
            "payload_json": "{}",
            "tx_first_seq": 2,
        },
    ),
    ("absent fields", {"type": "test.absent", "payload_json": "{}", "tx_first_seq": 4}),
    (
        "empty fields, which are not absent ones",
        {
            "type": "test.absent",
            "run_id": "",
            "thread_id": "",
            "node_id": "",
            "payload_json": "{}",
            "tx_first_seq": 5,
        },
    ),
    (
        "text beyond ASCII and beyond the basic plane",
        {
            "type": "test.text",
            "thread_id": "Größe/次/\U0001f600",
            "payload_json": '{"t":"\u00e9\u0301\u4e2d\U0001f600"}',
            "tx_first_seq": 6,
        },
    ),
    ("a time before the epoch", {"type": "test.time", "payload_json": "[]", "created_at": -1, "tx_first_seq": 7}),
    ("a clock that stepped back", {"type": "test.time", "payload_json": '"x"', "created_at": 1_000_000, "tx_first_seq": 8}),
]


def field(value):
    if value is None:
        return b"\x00"
    if isinstance(value, int):
        value = struct.pack(">q", value)
    elif isinstance(value, str):
        value = value.encode()
    return b"\x01" + struct.pack(">I", len(value)) + value


def main():
    vectors = []
    previous = ZERO
    for seq, (about, given) in enumerate(EVENTS, start=1):
        event = {**BASE, "created_at": 1_772_366_400_000_000 + seq, **given, "seq": seq}
        event["event_id"] = f"evt_0198c0de0000700080000000000000{seq:02x}"
        salt = bytes((seq * 16 + index) % 256 for index in range(16))
        payload_hash = hashlib.sha256(salt + event["payload_json"].encode()).digest()
        hashed = b"".join(
            field(value)
            for value in (
                event["workspace_id"],
                event["seq"],
                event["tx_first_seq"],
                event["event_id"],
                event["run_id"],
                event["thread_id"],
                event["node_id"],
                event["actor"],
                event["type"],
                payload_hash,
                event["created_at"],
            )
        )
        digest = hashlib.sha256(b"pmbot.audit.v1" + previous + hashed).digest()
        vectors.append(
            {
                "about": about,
                **event,
                "payload_salt": salt.hex(),
                "payload_hash": payload_hash.hex(),
                "prev_hash": previous.hex(),
                "hash": digest.hex(),
            }
        )
        previous = digest
    json.dump(vectors, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
