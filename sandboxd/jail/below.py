"""What all file operations of pid 1 stand on: paths that lead nowhere but down, and facts of what is there."""

from __future__ import annotations

import json
import os
import stat
from typing import Any, Dict, Tuple

from sandboxd.jail import kernel

RESOLVE = (
    kernel.RESOLVE_BENEATH
    | kernel.RESOLVE_NO_SYMLINKS
    | kernel.RESOLVE_NO_MAGICLINKS
    | kernel.RESOLVE_NO_XDEV
)
TEMPORARY = ".sandboxd-upload"


def split(path: str) -> Tuple[str, str]:
    """Return (directory, name) of a clean relative path; "." is the root itself."""
    parent, name = os.path.split(path)
    if name in ("", ".", ".."):
        raise ValueError(path)
    return parent or ".", name


def directory(root: int, path: str) -> int:
    """Open a directory to work in; O_PATH, for a mode that forbids listing need not forbid that."""
    return kernel.openat2(root, path, kernel.O_PATH | os.O_DIRECTORY, RESOLVE)


def describe(path: str, info: os.stat_result) -> Dict[str, Any]:
    """Put the facts of a file into a reply."""
    kind = "file" if stat.S_ISREG(info.st_mode) else "directory" if stat.S_ISDIR(info.st_mode) else "other"
    return {"path": path, "size": info.st_size, "kind": kind, "mtime": info.st_mtime}


def make_parents(root: int, path: str) -> None:
    """Make a directory and those above it, where they are not there."""
    done = "."
    for part in [p for p in path.split("/") if p not in ("", ".")]:
        if part == "..":
            raise ValueError(path)
        parent = directory(root, done)
        try:
            os.mkdir(part, 0o755, dir_fd=parent)
        except FileExistsError:
            pass
        finally:
            os.close(parent)
        done += "/" + part


def shown(name: str) -> str:
    """Make a name that is no UTF-8 one that can be told, each odd byte escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_memory(body: Dict[str, Any]) -> int:
    """Put what does not fit a message into a memfd."""
    memory = os.memfd_create("list", os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        file.write(json.dumps(body).encode())
    return memory
