"""The Python client of pm-bot's control plane.

`connect()` finds the server and answers a `Client`; `pmbot.langgraph` runs LangGraph graphs under it; `pmbot.v1` holds
the generated messages. What fails raises one of `pmbot.errors`.
"""

from importlib.metadata import version as _version

__version__ = _version("pmbot")

from pmbot.client import Client, connect
from pmbot.errors import PmbotError

__all__ = ["Client", "PmbotError", "__version__", "connect"]
