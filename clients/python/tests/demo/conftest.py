"""What every test of the demo stands on."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kit import Project


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
