"""A worker as a program of its own, to be killed: `worker_program.py ADDRESS DATA CHECKPOINTS [DIE_AT]`.

With DIE_AT it kills itself, without a word to anybody, at that moment: one is counted before and after each write of
the checkpointer.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from typing import Any

from graphs import BUILDERS
from langgraph.checkpoint.sqlite import SqliteSaver

import pmbot
from pmbot.langgraph import Worker


class MortalSaver(SqliteSaver):
    """LangGraph's saver, in a process that dies at the n-th moment."""

    die_at = 0
    moments = 0
    counting = threading.Lock()

    def put(self, *arguments: Any, **options: Any) -> Any:
        self.moment()
        answer = super().put(*arguments, **options)
        self.moment()
        return answer

    def put_writes(self, *arguments: Any, **options: Any) -> None:
        self.moment()
        super().put_writes(*arguments, **options)
        self.moment()

    def moment(self) -> None:
        with self.counting:
            self.moments += 1
            if self.moments == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Works until SIGTERM."""
    address, data, checkpoints, *rest = sys.argv[1:]
    saver = MortalSaver(sqlite3.connect(checkpoints, check_same_thread=False))
    saver.die_at = int(rest[0]) if rest else 0
    client = pmbot.connect(address, role="worker", data_dir=data)
    worker = Worker(client, {name: build() for name, build in BUILDERS.items()}, checkpointer=saver, concurrency=4)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()
    client.close()


main()
