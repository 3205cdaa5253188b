"""The command line, as a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pmbot


def pmbot_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from pmbot.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb", **environment},
    )


def test_version() -> None:
    done = pmbot_command("--version")
    assert (done.returncode, done.stdout) == (0, f"pmbot {pmbot.__version__}\n")


def test_wrong_usage_is_2() -> None:
    done = pmbot_command("nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_an_error_says_what_and_how_to_mend_it(tmp_path: Path) -> None:
    environment = {"PMBOT_ADDRESS": "example.org:1", "PMBOT_TOKEN": "x"}
    program = "from pmbot.cli import app, main\nimport pmbot\napp.command('probe')(lambda: pmbot.connect())\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program, "probe"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 1
    what, how = done.stderr.splitlines()
    assert what.startswith("error: example.org:1 is not on this machine")
    assert how.startswith("fix: Forward the port")


def test_not_allowed_is_4() -> None:
    program = (
        "from pmbot.cli import app, main\nfrom pmbot.errors import NotAllowed\n"
        "@app.command()\ndef probe():\n    raise NotAllowed('No.')\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program, "probe"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "error: No."
