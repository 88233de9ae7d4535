"""Where a root file system comes from, apart from the host's own Python: a tar, debootstrap, or an image the engine has."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from sandboxd.errors import Code, SandboxdError
from sandboxd.images.archive import copy_tar, write_layer
from sandboxd.images.engine import ImageEngine

_PYTHON = re.compile(r"(?:\./)?(usr/(?:local/)?bin/python(3\.\d+))")
_SUITE = re.compile(r"[a-z][a-z0-9-]{1,40}")
# The packages' caches and lists, and what differs in every run: logs, ids.
_RUBBISH = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "var/cache/ldconfig",
    "etc/machine-id",
    "var/cache/debconf",
)


def from_tar(source: Path, work: Path) -> list[Path]:
    """Return the layers of a root file system's tar.

    Raises:
        SandboxdError: INVALID_REQUEST.
    """
    layer = work / "rootfs.tar"
    try:
        copy_tar(source, layer)
        with tarfile.open(layer):
            pass
    except (OSError, EOFError, tarfile.TarError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"{source} is no readable tar ({error}).",
            remedy="Name a tar, plain or compressed with gzip, bzip2 or xz.",
        ) from error
    return [layer]


def from_debootstrap(suite: str, work: Path, progress: Callable[[str], None]) -> list[Path]:
    """Return the layer of a fresh Debian or Ubuntu with nothing but Python in it. Needs root and a mirror.

    Raises:
        SandboxdError: INVALID_REQUEST, ENVIRONMENT_FAILED.
    """
    program = shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if _SUITE.fullmatch(suite) is None or program is None or os.geteuid() != 0:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            "debootstrap needs a suite's name, the program of that name, and root.",
            remedy="apt-get install debootstrap; then: sudo sandboxd image build NAME --debootstrap bookworm",
        )
    root = work / "rootfs"
    command = [program, "--variant=minbase", "--include=python3-minimal,libpython3-stdlib", suite, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.strip()
            progress(last)
    if process.returncode:
        raise SandboxdError(Code.ENVIRONMENT_FAILED, f"debootstrap failed: {last[:300]}")
    for name in _RUBBISH:
        _clear(root / name)
    layer = work / "rootfs.tar"
    progress("Writing the root file system")
    write_layer(layer, {"/" + entry.name: entry for entry in root.iterdir()}, {}, {})
    return [layer]


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        path.mkdir()
    else:
        path.unlink(missing_ok=True)


def from_image(engine: ImageEngine, reference: str, work: Path) -> list[Path]:
    """Return the layers of an image that the engine has; its entry point, variables and the like stay behind.

    Raises:
        SandboxdError: ENVIRONMENT_NOT_FOUND: it is not there, and nothing is pulled.
    """
    if engine.inspect(reference) is None:
        raise SandboxdError(
            Code.ENVIRONMENT_NOT_FOUND,
            f"The engine has no image {reference[:200]}.",
            remedy="Load or pull it yourself first: sandboxd pulls nothing.",
        )
    saved = work / "base.tar"
    engine.save(reference, saved)
    layers = []
    with tarfile.open(saved) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        for number, name in enumerate(json.load(manifest)[0]["Layers"]):
            member = tar.extractfile(name)
            assert member is not None
            layer = work / f"base-{number}.tar"
            with layer.open("wb") as file:
                shutil.copyfileobj(member, file, 1 << 20)
            layers.append(layer)
    saved.unlink()
    return layers


def find_python(layers: list[Path]) -> tuple[str, str]:
    """Return the newest Python's path in an image, and its version.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED.
    """
    found: dict[tuple[int, ...], tuple[str, str]] = {}
    for layer in layers:
        with tarfile.open(layer) as tar:
            for member in tar:
                match = _PYTHON.fullmatch(member.name)
                if match is not None and (member.isreg() or member.issym()):
                    found[tuple(map(int, match[2].split(".")))] = ("/" + match[1], match[2])
    if not found:
        raise SandboxdError(
            Code.ENVIRONMENT_FAILED,
            "There is no /usr/bin/python3.N and no /usr/local/bin/python3.N in it.",
            remedy="Take a root file system with CPython 3.9 or newer.",
        )
    return found[max(found)]
