"""The package can be installed the ways that people install it, each with its stubs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent

pytestmark = pytest.mark.timeout(300)


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def check_wheel(folder: Path) -> None:
    (wheel,) = folder.glob("pmbot-*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {"pmbot/py.typed", "pmbot/langgraph/worker.py", "pmbot/cli.py"} <= names
    for stub in ("run_pb2.py", "run_pb2.pyi", "run_pb2_grpc.py", "run_pb2_grpc.pyi", "__init__.py"):
        assert f"pmbot/v1/{stub}" in names
    assert not [name for name in names if name.startswith(("buf/", "google/", "tests/"))]
    # Imported from the wheel alone, without the source tree: -I also keeps an editable install's folder out.
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "from pmbot.v1 import run_pb2, run_pb2_grpc, server_pb2\n"
        f"assert run_pb2.__file__.startswith({str(wheel)!r}), run_pb2.__file__\n"
        "assert not run_pb2.Run.DESCRIPTOR.fields_by_name['run_id'].GetOptions().ByteSize()"
    )
    run(sys.executable, "-c", program)


def test_wheel_from_the_repository(tmp_path: Path) -> None:
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, PROJECT)
    check_wheel(tmp_path)


def test_wheel_from_an_sdist(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, PROJECT)
    (sdist,) = tmp_path.glob("pmbot-*.tar.gz")
    with tarfile.open(sdist) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    assert {"proto/pmbot/v1/run.proto", "build_support/buf/validate/validate.proto", "hatch_build.py"} <= names
    assert not [name for name in names if name.startswith("src/pmbot/v1/")], "generated again from the contract"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, sdist)
    check_wheel(tmp_path)
