"""Runs LangGraph graphs under pm-bot's control plane.

`Worker` claims approved runs and carries them out; what a graph stops at becomes a question in the inbox, and its
answer resumes the graph. Inside a node, `Runtime[RunContext]` gives access to the run, and `interrupts` has typed
helpers to ask with.
"""

import re as _re
from importlib.metadata import version as _version


def require_langgraph(installed: str) -> None:
    """Raises an ImportError unless this version of LangGraph can be used."""
    numbers = tuple(int(part) for part in _re.findall(r"\d+", installed)[:3])
    if numbers < (1, 2, 20):
        # Before 1.2.20 all questions that a node asks one after the other share one id.
        raise ImportError(
            f"pmbot needs langgraph 1.2.20 or newer, and {installed} is installed: older ones give several questions "
            "the same id, so that an answer could reach the wrong one. Upgrade it: pip install -U 'langgraph>=1.2.20'"
        )


require_langgraph(_version("langgraph"))

from pmbot.langgraph import interrupts
from pmbot.langgraph.appliers import ApplyContext
from pmbot.langgraph.context import RunContext
from pmbot.langgraph.worker import Worker

__all__ = ["ApplyContext", "RunContext", "Worker", "interrupts", "require_langgraph"]
