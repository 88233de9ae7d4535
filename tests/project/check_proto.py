"""Write the generated protobuf code; with --check, only say whether what is committed is fresh.

    check_proto.py                  generate beside the .proto
    check_proto.py --check          exit 1 and name the files that differ
    check_proto.py --requirements   print the pinned generators, from pyproject.toml

Run it with an interpreter that has those generators, as `make proto` and `make lint` do.
"""

from __future__ import annotations

import argparse
import importlib.resources
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROTOS = TOP / "protos"


def requirements() -> list[str]:
    """Read the pinned generators from the extra `proto`."""
    with (TOP / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    return list(project["optional-dependencies"]["proto"])


def generate(target: Path) -> None:
    """Generate code and types of every .proto into `target`."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    plugins = Path(sys.executable).parent
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={well_known}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            *(f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")),
            *(str(path) for path in sorted(PROTOS.rglob("*.proto"))),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)


def generated(top: Path) -> dict[str, bytes]:
    """Read every generated file below `top`, by relative path."""
    paths = [path for pattern in ("*_pb2*.py", "*_pb2*.pyi") for path in top.rglob(pattern)]
    return {str(path.relative_to(top)): path.read_bytes() for path in paths}


def differing() -> list[str]:
    """Name what is committed and not fresh, missing, or without a .proto."""
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name))
        fresh, committed = generated(Path(name)), generated(PROTOS)
    return sorted(path for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--requirements", action="store_true")
    arguments = parser.parse_args()
    if arguments.requirements:
        sys.stdout.write("\n".join(requirements()) + "\n")
    elif not arguments.check:
        generate(PROTOS)
    elif stale := differing():
        sys.stderr.write("not fresh, run `make proto`: " + ", ".join(stale) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
