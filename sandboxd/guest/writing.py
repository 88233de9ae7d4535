"""Whether a cell may have changed files: a hint to the host, which then looks for itself.

A cell that changes a file without changing how much the file system holds would else go unseen, and asking after each cell
costs as much as a short one. It is a hint, no more: a hostile program can only keep out of sight what it wrote itself.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from typing import Any, Tuple

_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Beside `open`: what gives a file another name or time, and what may do anything (audit events of CPython's library).
_TELLING = frozenset(
    (
        *("os.rename", "os.link", "os.symlink", "os.truncate", "os.utime", "os.chmod"),
        *("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system", "subprocess.Popen"),
        *("ctypes.dlopen", "sqlite3.connect", "mmap.__new__"),
    )
)
_fstat, _listdir, _fcntl, _is_regular = os.fstat, os.listdir, fcntl.fcntl, stat.S_ISREG


class Writing:
    """Watches one guest. The flag is set from any thread."""

    __slots__ = ("_ever", "_now")

    def __init__(self) -> None:
        self._now = self._ever = False
        sys.addaudithook(self._hear)

    def begin(self) -> None:
        """Forget what cells before this one did, but for the files that they left open."""
        self._now = False

    def seen(self) -> bool:
        """Tell whether the cell may have changed files."""
        return self._now or (self._ever and _holds_a_file())

    def _hear(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if type(flags) is not int or flags & _FOR_WRITING:
                self._now = self._ever = True
        elif event in _TELLING:
            self._now = self._ever = True


def _holds_a_file() -> bool:
    """Tell whether a regular file is open for writing."""
    try:
        return any(_is_written(int(name)) for name in _listdir("/proc/self/fd"))
    except Exception:  # no descriptor is left, or the program made this impossible
        return True


def _is_written(number: int) -> bool:
    try:
        return bool(_fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE) and _is_regular(_fstat(number).st_mode)
    except OSError:  # the one that the listing itself had open
        return False
