"""Where the server is, and which token to show it.

A server leaves `server.json` in its data directory and in the user's run-time directory, so on its own machine nothing
needs to be said. What is said explicitly wins: arguments, then the environment, then that file.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pmbot.errors import NotConfigured

Role = Literal["operator", "worker", "reader"]
ROLES: tuple[Role, ...] = ("operator", "worker", "reader")


@dataclass(frozen=True)
class Endpoint:
    """A server, and the token to call it with."""

    address: str
    """`host:port`."""
    token: str = field(repr=False)


@dataclass(frozen=True)
class _Discovered:
    """What a `server.json` says."""

    address: str
    data_directory: Path


def find(
    address: str | None = None,
    token: str | None = None,
    role: Role = "operator",
    data_dir: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Endpoint:
    """Finds address and token, in the order: arguments, environment, discovery file.

    Args:
        address: `host:port`; else `PMBOT_ADDRESS`, else `server.json` of `data_dir`, `./data`, or the user's run-time
            directory (`$XDG_RUNTIME_DIR/pmbot`, else `~/.pmbot`).
        token: else, for a worker, `PMBOT_WORKER_TOKEN`, the file `PMBOT_WORKER_TOKEN_FILE`, or `worker.token` beside
            the file that `PMBOT_TOKEN_FILE` names; for the others `PMBOT_TOKEN` or the file `PMBOT_TOKEN_FILE`; else
            `tokens/<role>.token` in the data directory, if its `server.json` is for the same address; a worker without
            any of these takes what the others would.
        role: whose token to look for.
        data_dir: the server's data directory, when it is neither of the usual places.
        environment: the environment variables.

    Raises:
        NotConfigured: naming everything that was looked for.
    """
    if role not in ROLES:
        raise ValueError(f"role is {role!r}; it must be one of {', '.join(ROLES)}")
    places = _places(data_dir, environment)
    discovered = [found for place in places if (found := _read_discovery(place)) is not None]
    chosen = address or environment.get("PMBOT_ADDRESS") or (discovered[0].address if discovered else "")
    if not chosen:
        raise NotConfigured(
            f"No pm-bot server was found: neither an address argument nor PMBOT_ADDRESS, and no "
            f"{' or '.join(str(place) for place in places)}.",
            hint="Start the server (java -jar pmbot.jar serve), or set PMBOT_ADDRESS to host:port.",
        )
    _require_local(chosen)
    return Endpoint(chosen, token or _find_token(chosen, role, discovered, environment))


def _places(data_dir: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> list[Path]:
    """The discovery files, in the order of trust."""
    if data_dir is not None:
        return [Path(data_dir) / "server.json"]
    runtime = environment.get("XDG_RUNTIME_DIR")
    shared = Path(runtime) / "pmbot" if runtime else Path(environment.get("HOME") or Path.home()) / ".pmbot"
    return [Path("data") / "server.json", shared / "server.json"]


def _read_discovery(path: Path) -> _Discovered | None:
    """What the file says; nothing when it is not there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _Discovered(str(content["address"]), Path(content["data_directory"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotConfigured(
            f"{path} cannot be read as a pm-bot server's discovery file: {type(error).__name__}: {error}",
            hint="Restart the server, which writes it anew, or set PMBOT_ADDRESS and PMBOT_TOKEN_FILE.",
        ) from error


def _find_token(address: str, role: Role, discovered: list[_Discovered], environment: Mapping[str, str]) -> str:
    tried: list[str] = []
    first = "PMBOT_WORKER_TOKEN" if role == "worker" else "PMBOT_TOKEN"
    if named := _token_in_environment(first, environment, tried):
        return named
    if role == "worker" and environment.get("PMBOT_TOKEN_FILE"):
        sibling = Path(environment["PMBOT_TOKEN_FILE"]).with_name("worker.token")
        tried.append(str(sibling))
        if sibling.is_file():
            return _read_token(sibling, "beside PMBOT_TOKEN_FILE")
    for found in discovered:
        if found.address != address:
            tried.append(f"{found.data_directory} (not used: its server's address is {found.address})")
            continue
        path = found.data_directory / "tokens" / f"{role}.token"
        tried.append(str(path))
        if path.is_file():
            return _read_token(path, "in the server's data directory")
    # Last for a worker, because it is usually the operator's, which a Worker refuses to run with.
    if role == "worker" and (named := _token_in_environment("PMBOT_TOKEN", environment, tried)):
        return named
    raise NotConfigured(
        f"No {role} token was found for {address}. Looked for: {', '.join(tried)}.",
        hint=f"Set {first}_FILE to tokens/{role}.token in the server's data directory.",
    )


def _token_in_environment(name: str, environment: Mapping[str, str], tried: list[str]) -> str:
    """The token that the variable `name`, or the file that `name`_FILE names, holds; empty when neither is set."""
    tried += [name, f"{name}_FILE"]
    if token := environment.get(name, "").strip():
        return token
    file = environment.get(f"{name}_FILE")
    return _read_token(Path(file), f"from {name}_FILE") if file else ""


def _read_token(path: Path, where: str) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(f"The token file {path} ({where}) cannot be read: {error}") from error
    if not token:
        raise NotConfigured(f"The token file {path} ({where}) is empty.")
    return token


def _require_local(address: str) -> None:
    """Refuses to show a token to another machine in clear text; the server refuses to listen there without TLS too."""
    if address.startswith("unix:"):
        return
    host, separator, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not port.isdigit():
        raise NotConfigured(f"The address {address!r} is not of the form host:port, such as 127.0.0.1:7433.")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost" or host.endswith(".localhost")
    if not local:
        raise NotConfigured(
            f"{address} is not on this machine, and the token would travel to it in clear text.",
            hint="Forward the port to this machine (ssh -L 7433:127.0.0.1:7433 HOST) and use 127.0.0.1:7433.",
        )
