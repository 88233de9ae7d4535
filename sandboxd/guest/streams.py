"""stdin, stdout and stderr of a cell: text over descriptors 0, 1 and 2.

Cells replace, wrap, detach and close them (`sys.stdout = io.TextIOWrapper(sys.stdout.buffer)` is common, and
closes the shared buffer when it is collected). So they are checked after every cell, down to the descriptor.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, Tuple

if TYPE_CHECKING:
    from sandboxd.guest.interrupts import Gate

_SPARE_FLOOR = 200  # spares sit where programs that count descriptors do not look
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_fstat, _dup2 = os.fstat, os.dup2


class _Stream:
    """One output stream: its text layer, and a spare descriptor to restore it from."""

    __slots__ = ("_fd", "_identity", "_name", "_spare", "text")

    def __init__(self, fd: int, name: str) -> None:
        self._fd, self._name = fd, name
        self._identity = self._identify()
        self._spare = _spare_of(fd)
        self.text = self._open()

    def settle(self) -> None:
        """Flush, and mend what the cell broke."""
        if self._spare is not None and self._identify() != self._identity:
            try:
                _dup2(self._spare, self._fd)
            except OSError:
                self._spare = None
        try:
            self.text.flush()
        except (OSError, ValueError, RuntimeError):  # closed, detached, or nobody reads
            self.text = self._open()

    def _identify(self) -> Optional[Tuple[int, int]]:
        try:
            status = _fstat(self._fd)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _open(self) -> io.TextIOWrapper:
        # closefd: a cell that closes the stream must not close the descriptor under its successor.
        raw = io.FileIO(self._fd, "w", closefd=False) if self._identify() else _null()
        raw.name = self._name
        return io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            line_buffering=True,
        )


class Streams:
    """The three standard streams of the session."""

    __slots__ = ("_gate", "_in", "_stderr", "_stdout")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._stdout, self._stderr = _Stream(_STDOUT, "<stdout>"), _Stream(_STDERR, "<stderr>")
        self._in = _open_stdin()
        self._put_back()

    def settle(self) -> None:
        """Flush all output of a cell, and give the next one streams that work. Never raises."""
        for replaced in (sys.stdout, sys.stderr):
            if replaced is not self._stdout.text and replaced is not self._stderr.text:
                self._gate.call(_flush, replaced)
        replaced = None
        self._put_back()  # before flushing: a wrapper that dies here still writes into our buffer
        self._stdout.settle()
        self._stderr.settle()
        self._put_back()

    def _put_back(self) -> None:
        if self._in.closed:
            self._in = _open_stdin()
        sys.stdin = sys.__stdin__ = self._in  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self._stdout.text  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr.text  # type: ignore[misc]


def _flush(stream: Any) -> None:
    stream.flush()


def _open_stdin() -> io.TextIOWrapper:
    try:
        raw = io.FileIO(_STDIN, "r", closefd=False)
    except OSError:
        raw = io.FileIO(os.devnull, "r")
    raw.name = "<stdin>"
    return io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8", errors="replace")


def _spare_of(fd: int) -> Optional[int]:
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _SPARE_FLOOR)
    except OSError:  # RLIMIT_NOFILE is lower, or the stream is closed: nothing to restore from
        return None


def _null() -> io.FileIO:
    return io.FileIO(os.devnull, "w")
