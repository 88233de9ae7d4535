"""Files for restricted code: those below the work directory and the place for temporary ones, by their real paths."""

from __future__ import annotations

import errno
import os
from typing import Any, Optional, Tuple, Union

_open, _realpath = open, os.path.realpath
WORK, TEMPORARY = "/work", "/tmp"  # noqa: S108 - the jail's own


class _Roots:
    """Where files may lie; the guest says it once, before the first program."""

    __slots__ = ("paths",)

    def __init__(self) -> None:
        self.paths: Tuple[str, ...] = ()

    def confine(self, workdir: str) -> None:
        """Set the work directory."""
        self.paths = tuple(_realpath(root) for root in (workdir, TEMPORARY))


_roots = _Roots()
confine = _roots.confine
confine(WORK)


def exact(file: Any) -> Union[str, bytes]:
    """Give a path as an exact string or bytes: a subclass could split itself into one path for the check, another after it.

    Raises:
        TypeError: it is no path.
    """
    path = os.fspath(file)
    return str.__str__(path) if isinstance(path, str) else b"".join((path,))


def real(file: Any, *, follow: bool = True, root: bool = False) -> str:
    """Give the real path of what a program names, if it may.

    Args:
        file: a path; no number: descriptors are the guest's own.
        follow: past a link that stands last, too; what removes or renames takes the link itself.
        root: whether it may be the work directory itself.

    Raises:
        PermissionError: it lies elsewhere.
        TypeError: it is no path.
    """
    path = os.fsdecode(exact(file))
    # As it is after every link: the name that is checked is the name that is opened. An exact string, too.
    if follow:
        found = _realpath(path)
    else:
        folder, last = os.path.split(path.rstrip("/"))
        found = os.path.join(_realpath(folder), last) if last not in ("", ".", "..") else _realpath(path)
    if not any(found.startswith(one + "/") or (root and found == one) for one in _roots.paths):
        raise PermissionError(errno.EACCES, "not available in restricted code", path)
    return found


def open_file(  # noqa: PLR0917 - the builtin's own order
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> Any:
    """Open a file below the work directory and return a stream.

    Raises:
        PermissionError: it lies elsewhere.
        TypeError: it is no path.
    """
    return _open(real(file), mode, buffering, encoding, errors, newline)
