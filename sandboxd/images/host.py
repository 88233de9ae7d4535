"""A root file system of the host's own Python and nothing else of the host: the interpreter, its library, what they link to.

Smaller than a distribution (some 60 MiB), without a shell, a package manager or one set-id program; made in seconds, with no
network. It is as old as the host's libraries: build it again after they were updated.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sandboxd.environments import Environment
from sandboxd.errors import Code, SandboxdError

_TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# Not for a program in a sandbox: tests, the packager, the editor, headers.
_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "ensurepip",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "dist-packages",
    "__pycache__",
}
_LINKED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_MOUNT_POINTS = ("/work", "/tmp", "/dev/shm", "/proc", "/sys", "/opt/sandboxd")  # noqa: S108
LDD_SECONDS = 60.0


def host_trees(
    environment: Environment, empty: Path
) -> tuple[dict[str, Path], dict[str, str], dict[str, str]]:
    """Return what `archive.write_layer` takes: trees, links and texts.

    Args:
        environment: whose interpreter it is.
        empty: an empty directory, to stand for mount points.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED when what it links to cannot be found out.
    """
    python = Path(environment.python)
    library = _library(environment)
    trees: dict[str, Path] = {str(python): python}
    for entry in sorted(library.iterdir()):
        if entry.name not in _LEFT_OUT and not entry.name.startswith("config-"):
            trees[str(entry)] = entry
    for path in _linked([python, *library.rglob("*.so")]):
        trees[path] = Path(path).resolve()  # the file under the name that the linker asks for
    if (zones := Path("/usr/share/zoneinfo")).is_dir():
        trees[str(zones)] = zones
    trees |= dict.fromkeys(_MOUNT_POINTS, empty)
    return trees, {}, dict(_TEXTS)


def _library(environment: Environment) -> Path:
    prefix = Path(environment.base_prefix)
    version = ".".join(environment.version.split(".")[:2])
    return prefix / "lib" / f"python{version}"


def _linked(binaries: Iterable[Path]) -> set[str]:
    """Return every library that these need, the dynamic linker among them."""
    command = ["/usr/bin/ldd", *map(str, binaries)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LDD_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unknown(str(error)) from error
    found = {os.path.normpath(path) for path in _LINKED.findall(done.stdout)}  # a run path may hold ".."
    if not any("ld-linux" in path for path in found):
        raise _unknown("ldd names no dynamic linker")
    return found


def linked_libraries(directory: Path) -> dict[str, Path]:
    """Return the host's libraries that packages in a directory need and do not bring, by place."""
    modules = sorted(directory.rglob("*.so*"))
    inside = str(directory)
    paths = _linked(modules) if modules else set()
    return {path: Path(path).resolve() for path in paths if not path.startswith(inside)}


def _unknown(reason: str) -> SandboxdError:
    return SandboxdError(
        Code.ENVIRONMENT_FAILED,
        f"What the interpreter links to cannot be found out ({reason}).",
        remedy="Build from --debootstrap SUITE or --from-rootfs TAR instead.",
    )
