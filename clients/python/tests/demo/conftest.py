"""What every test of the demo stands on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Server

from .kit import Project
from .whole import Demo


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache directory of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty repository."""
    return Project(tmp_path / "project")


@pytest.fixture
def demo(project: Project, server: Server) -> Iterator[Demo]:
    """A demo on a server of its own."""
    demo = Demo(project, server)
    yield demo
    demo.client.close()
