"""Builds the package's stubs, `pmbot.v1`, from the contract in `proto/` while hatchling builds the package.

The contract is beside this file in an sdist and two folders up in the repository. Three steps: compile it, against our
stand-in for protovalidate, to a descriptor set; strip the stand-in and its options from that, because no such module
exists at run time; generate messages, services and their type stubs from what is left.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path("pmbot") / "v1"
VALIDATE = "buf/validate/validate.proto"


class GenerateStubs(BuildHookInterface[Any]):
    """Hatchling's hook: runs before the wheel's files are collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates into the source tree, where wheel and editable installs both look."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        with tempfile.TemporaryDirectory() as folder:
            generated = generate(find_contract(root), root / "build_support", Path(folder))
            target = root / "src" / PACKAGE
            target.mkdir(parents=True, exist_ok=True)
            for stale in {path.name for path in target.glob("*.py*")} - {path.name for path in generated}:
                (target / stale).unlink()
            for path in generated:
                shutil.copyfile(path, target / path.name)


def find_contract(root: Path) -> Path:
    """The folder that holds `pmbot/v1/*.proto`."""
    for candidate in (root / "proto", root.parent.parent / "proto"):
        if (candidate / PACKAGE / "run.proto").is_file():
            return candidate
    raise FileNotFoundError(f"no contract (pmbot/v1/*.proto) in {root / 'proto'} or {root.parent.parent / 'proto'}")


def generate(contract: Path, stand_in: Path, work: Path) -> list[Path]:
    """Generates the stubs into the folder `work`; answers the files of the package `pmbot.v1`."""
    from google.protobuf import descriptor_pb2

    names = sorted(path.relative_to(contract).as_posix() for path in (contract / PACKAGE).glob("*.proto"))
    compiled = work / "contract.binpb"
    protoc(
        f"--proto_path={contract}",
        f"--proto_path={stand_in}",
        f"--proto_path={common_protos()}",
        f"--proto_path={resources.files('grpc_tools') / '_proto'}",
        "--include_imports",
        "--include_source_info",  # the contract's comments become the stubs' docstrings
        f"--descriptor_set_out={compiled}",
        *names,
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    compiled.write_bytes(strip_validation(files).SerializeToString())
    protoc(
        f"--descriptor_set_in={compiled}",
        f"--plugin=protoc-gen-mypy={plugin('protoc-gen-mypy')}",
        f"--plugin=protoc-gen-mypy_grpc={plugin('protoc-gen-mypy_grpc')}",
        f"--python_out={work}",
        f"--grpc_python_out={work}",
        f"--mypy_out=quiet:{work}",
        f"--mypy_grpc_out=quiet:{work}",
        *names,
    )
    (work / PACKAGE / "__init__.py").write_text('"""Generated from proto/pmbot/v1; see hatch_build.py."""\n')
    return sorted(path for path in (work / PACKAGE).iterdir() if path.suffix in (".py", ".pyi"))


def strip_validation(files: Any) -> Any:
    """The same files without protovalidate: not imported, and no option of it set."""
    kept = type(files)()
    for file in files.file:
        if file.name == VALIDATE:
            continue
        copy = kept.file.add()
        copy.CopyFrom(file)
        copy.dependency[:] = [name for name in file.dependency if name != VALIDATE]
    # Python does not know the stand-in's extensions, so its options are exactly the unknown fields.
    kept.DiscardUnknownFields()
    return kept


def protoc(*arguments: str) -> None:
    """Runs the compiler of grpcio-tools; it has named the fault on stderr when this raises."""
    from grpc_tools import protoc as compiler

    if compiler.main(["protoc", *arguments]) != 0:
        raise RuntimeError("protoc could not generate the stubs; what it found is printed above")


def common_protos() -> Path:
    """The folder of googleapis-common-protos that `google/rpc/*.proto` is in."""
    from google.rpc import error_details_pb2

    return Path(error_details_pb2.__file__).parents[2]


def plugin(name: str) -> str:
    """The path of one of mypy-protobuf's programs, which an isolated build has on its own PATH."""
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: it comes with mypy-protobuf")
    return found
