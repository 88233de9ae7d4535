"""Paths below /work as callers write them, and errno names as callers understand them."""

from __future__ import annotations

import unicodedata
from typing import Any

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import FileStat

MAX_PATH_BYTES = 1024
ROOT = "/work"

_ERRORS = {
    "ENOENT": (Code.FILE_NOT_FOUND, "does not exist"),
    "ENOTDIR": (Code.FILE_NOT_FOUND, "is not below a directory"),
    "ELOOP": (Code.FILE_PATH_INVALID, "leads through a symbolic link"),
    "EXDEV": (Code.FILE_PATH_INVALID, "leads out of /work"),
    "EINVAL": (Code.FILE_PATH_INVALID, "is no path for this operation"),
    "EEXIST": (Code.FILE_FAILED, "is there already, and is no directory"),
    "EACCES": (
        Code.FILE_FAILED,
        "cannot be reached: the mode that a program gave it, or its directory, forbids it",
    ),
    "EBUSY": (Code.FILE_FAILED, "was replaced by a program while it was written"),
    "ENOMEM": (Code.FILE_FAILED, "cannot be served: the session's memory is used up"),
    "ENAMETOOLONG": (Code.FILE_PATH_INVALID, "is too long"),
    "EISDIR": (Code.FILE_NOT_REGULAR, "is a directory"),
    "ENXIO": (Code.FILE_NOT_REGULAR, "is neither a file nor a directory"),
    "ENOTEMPTY": (Code.FILE_NOT_REGULAR, "is a directory that is not empty"),
    "ENOSPC": (Code.FILE_TOO_LARGE, "does not fit: the session's disk limit is reached"),
    "EFBIG": (Code.FILE_TOO_LARGE, "is larger than the session's disk limit"),
    "ESTALE": (Code.SESSION_NOT_FOUND, "belongs to a session that is gone"),
}


def relative(path: str) -> str:
    """Return a path relative to /work, "." for /work itself.

    Raises:
        SandboxdError: FILE_PATH_INVALID.
    """
    inner = path[len(ROOT) :].lstrip("/") if path == ROOT or path.startswith(ROOT + "/") else path
    parts = [part for part in inner.split("/") if part not in ("", ".")]
    too_long = len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES
    if inner.startswith("/") or ".." in parts or too_long or not all(map(_may_stand, path)):
        raise SandboxdError(
            Code.FILE_PATH_INVALID,
            f"The path {path[:80]!r} is not below /work.",
            remedy="Use a printable path relative to /work, without '..'.",
        )
    return "/".join(parts) or "."


def _may_stand(character: str) -> bool:
    """Tell whether a path may hold it: no control, no invisible one, no half of a pair; spaces of all kinds."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def failure(path: str, error: str) -> SandboxdError:
    """Return the error for an errno name."""
    code, text = _ERRORS.get(error, (Code.FILE_FAILED, f"failed with {error}"))
    return SandboxdError(code, f"{path[:200]!r} {text}.")


def file_stat(raw: dict[str, Any]) -> FileStat:
    """Return what pid 1 says of a file."""
    return FileStat(str(raw["path"]), int(raw["size"]), str(raw["kind"]), float(raw["mtime"]))
