"""The guest's code as containers mount it: a copy of two packages, compiled once, named after what is in it."""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import secrets
import shutil
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_PARTS = ("guest", "jail")
_PREFIX = "guest-"


def stage_guest(parent: Path) -> Path:
    """Return a directory below `parent` with the guest's code; made whole or not at all, older ones removed.

    Containers run under ids of their own, so all of it is for everybody to read; it holds no secret.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sources = _sources()
    place = parent / (_PREFIX + _digest(sources))
    if not place.is_dir():
        making = parent / f".{_PREFIX}{secrets.token_hex(8)}"
        try:
            _copy(sources, making)
            making.rename(place)
        except OSError:
            shutil.rmtree(making, ignore_errors=True)
            if not place.is_dir():  # else another was faster
                raise
    for other in parent.glob(f"{_PREFIX}*"):
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    return place


def _sources() -> list[Path]:
    found = [path for part in _PARTS for path in (_PACKAGE / part).rglob("*.py")]
    return [_PACKAGE / "__init__.py", *sorted(found)]


def _digest(sources: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _copy(sources: list[Path], making: Path) -> None:
    making.mkdir(mode=0o755)
    for source in sources:
        target = making / "sandboxd" / source.relative_to(_PACKAGE)
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    # For images with this interpreter's version; others compile as they import. By hash: the copy's times mean nothing.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        making, quiet=2, invalidation_mode=mode, stripdir=making, prependdir="/opt/sandboxd"
    )
    for directory, names, files in os.walk(making):
        for name in names:
            (Path(directory) / name).chmod(0o755)
        for name in files:
            (Path(directory) / name).chmod(0o644)
    making.chmod(0o755)
