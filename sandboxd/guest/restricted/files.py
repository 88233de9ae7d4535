"""`open` for restricted code: files below the work directory and the place for temporary ones, by their real paths."""

from __future__ import annotations

import errno
import os
from typing import Any, Optional

_open, _realpath = open, os.path.realpath
_TEMPORARY = "/tmp"  # noqa: S108 - the jail's own


class Files:
    """Opens files below the program's directories."""

    __slots__ = ("_roots",)

    def __init__(self, workdir: str) -> None:
        self._roots = tuple(_realpath(root) for root in (workdir, _TEMPORARY))

    def open(  # noqa: PLR0917 - the builtin's own order
        self,
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
            TypeError: it is no path: numbers of descriptors are the guest's own.
        """
        path = os.fspath(file)
        # As it is after every link: the name that is checked is the name that is opened. An exact string, too.
        real = _realpath(os.fsdecode(path))
        if not any(real.startswith(root + "/") for root in self._roots):
            raise PermissionError(errno.EACCES, "not available in restricted code", os.fsdecode(path))
        return _open(real, mode, buffering, encoding, errors, newline)
