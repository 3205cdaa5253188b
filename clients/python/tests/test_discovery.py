"""Where the client finds server and token, and what it says when it does not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmbot.discovery import find
from pmbot.errors import NotConfigured


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


def leave_server(folder: Path, data: Path, address: str = "127.0.0.1:7433", **tokens: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"address": address, "data_directory": str(data), "version": "0.1.0", "pid": 4711}
    (folder / "server.json").write_text(json.dumps(content))
    (data / "tokens").mkdir(parents=True, exist_ok=True)
    for role, token in tokens.items():
        (data / "tokens" / f"{role}.token").write_text(token + "\n")


def test_arguments_win(tmp_path: Path) -> None:
    leave_server(tmp_path / "data", tmp_path / "data", operator="left")
    environment = {"PMBOT_ADDRESS": "127.0.0.1:1", "PMBOT_TOKEN": "named"}
    found = find("localhost:2", "given", environment=environment)
    assert (found.address, found.token) == ("localhost:2", "given")


def test_environment_before_discovery(tmp_path: Path) -> None:
    leave_server(tmp_path / "data", tmp_path / "data", operator="left")
    (tmp_path / "token").write_text(" from a file \n")
    environment = {"PMBOT_ADDRESS": "127.0.0.1:1", "PMBOT_TOKEN_FILE": str(tmp_path / "token")}
    found = find(environment=environment)
    assert (found.address, found.token) == ("127.0.0.1:1", "from a file")


def test_data_folder_then_runtime_directory_then_home(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path / "runtime"), "HOME": str(tmp_path / "home")}
    leave_server(tmp_path / "home" / ".pmbot", tmp_path / "c", "127.0.0.1:3", operator="home")
    assert find(environment={"HOME": environment["HOME"]}).token == "home"
    leave_server(tmp_path / "runtime" / "pmbot", tmp_path / "b", "127.0.0.1:2", operator="runtime")
    assert find(environment=environment).token == "runtime"
    leave_server(tmp_path / "data", tmp_path / "data", "127.0.0.1:1", operator="data")
    assert find(environment=environment).token == "data"
    assert find(environment=environment, data_dir=tmp_path / "data").address == "127.0.0.1:1"


@pytest.mark.parametrize("role", ["operator", "worker", "reader"])
def test_each_role_has_its_token(tmp_path: Path, role: str) -> None:
    leave_server(tmp_path / "data", tmp_path / "data", operator="o", worker="w", reader="r")
    assert find(role=role, environment={}).token == role[0]  # type: ignore[arg-type]


def test_worker_token_order(tmp_path: Path) -> None:
    leave_server(tmp_path / "data", tmp_path / "data", worker="left")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "operator.token").write_text("operator")
    beside = {"PMBOT_TOKEN_FILE": str(secrets / "operator.token")}
    assert find(role="worker", environment=beside).token == "left"
    (secrets / "worker.token").write_text("beside")
    assert find(role="worker", environment=beside).token == "beside"
    assert find(role="worker", environment={**beside, "PMBOT_WORKER_TOKEN": "own"}).token == "own"


def test_worker_takes_the_general_token_last() -> None:
    environment = {"PMBOT_ADDRESS": "127.0.0.1:1", "PMBOT_TOKEN": "whatever"}
    assert find(role="worker", environment=environment).token == "whatever"


def test_tokens_of_another_server_are_not_shown(tmp_path: Path) -> None:
    leave_server(tmp_path / "data", tmp_path / "data", "127.0.0.1:1", operator="secret")
    with pytest.raises(NotConfigured, match=r"not used: its server's address is 127\.0\.0\.1:1"):
        find("127.0.0.1:2", environment={})


def test_nothing_found_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured) as refused:
        find(environment={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert "PMBOT_ADDRESS" in str(refused.value)
    assert "data/server.json" in str(refused.value)
    assert str(tmp_path / "pmbot" / "server.json") in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"address": "x"}', "\x00"])
def test_damaged_discovery_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "server.json").write_text(content)
    with pytest.raises(NotConfigured, match=r"server\.json cannot be read"):
        find(environment={})


@pytest.mark.parametrize("address", ["example.org:7433", "10.0.0.1:7433", "[2001:db8::1]:7433", "0.0.0.0:7433"])
def test_no_token_leaves_the_machine(address: str) -> None:
    with pytest.raises(NotConfigured, match="clear text"):
        find(address, "token")


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", ":", "host:port"])
def test_address_has_a_port(address: str) -> None:
    with pytest.raises(NotConfigured, match="host:port"):
        find(address, "token")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "127.8.8.8:1", "unix:/run/pmbot"])
def test_local_addresses(address: str) -> None:
    assert find(address, "token").address == address


def test_token_is_not_printed() -> None:
    assert "hush" not in repr(find("127.0.0.1:1", "hush"))
