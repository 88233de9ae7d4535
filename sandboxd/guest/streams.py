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


class _Descriptor:
    """A standard descriptor, and a spare copy to restore it from."""

    __slots__ = ("_identity", "_spare", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._identity = self._identify()
        self._spare = self._copy()

    def restore(self) -> None:
        """Undo what a cell did to the descriptor itself."""
        if self._spare is None or self._identify() == self._identity:
            return
        try:
            _dup2(self._spare, self.number)
        except OSError:
            self._spare = None

    def adopt(self) -> None:
        """Take the descriptor as it is now for what it is to be: another one was put in its place on purpose."""
        if self._spare is not None:
            os.close(self._spare)
        self._identity = self._identify()
        self._spare = self._copy()

    def raw(self, mode: str, name: str) -> io.FileIO:
        """Open the descriptor; what is closed for good is replaced by nothing."""
        # closefd: a cell that closes the stream must not close the descriptor under its successor.
        raw = (
            io.FileIO(os.devnull, mode)
            if self._identify() is None
            else io.FileIO(self.number, mode, closefd=False)
        )
        raw.name = name
        return raw

    def _identify(self) -> Optional[Tuple[int, int]]:
        try:
            status = _fstat(self.number)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _copy(self) -> Optional[int]:
        try:
            return fcntl.fcntl(self.number, fcntl.F_DUPFD_CLOEXEC, _SPARE_FLOOR)
        except OSError:  # RLIMIT_NOFILE is lower, or the stream is closed: nothing to restore from
            return None


class _Output:
    """One output stream and its text layer."""

    __slots__ = ("_descriptor", "_name", "text")

    def __init__(self, number: int, name: str) -> None:
        self._descriptor, self._name = _Descriptor(number), name
        self.text = self._open()

    def adopt(self) -> None:
        """See `_Descriptor.adopt`."""
        self._descriptor.adopt()

    def settle(self) -> None:
        """Flush, and mend what the cell broke."""
        self._descriptor.restore()
        try:
            self.text.flush()
        except (OSError, ValueError, RuntimeError):  # closed, detached, or nobody reads
            self.text = self._open()

    def _open(self) -> io.TextIOWrapper:
        raw = io.BufferedWriter(self._descriptor.raw("w", self._name))
        return io.TextIOWrapper(
            raw, encoding="utf-8", errors="backslashreplace", newline="\n", line_buffering=True
        )


class _Input:
    """stdin: empty, as nobody types here."""

    __slots__ = ("_descriptor", "text")

    def __init__(self) -> None:
        self._descriptor = _Descriptor(_STDIN)
        self.text = self._open()

    def settle(self) -> None:
        """Mend what the cell broke."""
        self._descriptor.restore()
        if self.text.closed:
            self.text = self._open()

    def _open(self) -> io.TextIOWrapper:
        raw = io.BufferedReader(self._descriptor.raw("r", "<stdin>"))
        return io.TextIOWrapper(raw, encoding="utf-8", errors="replace")


class Streams:
    """The three standard streams of the session."""

    __slots__ = ("_gate", "_inherited", "_stderr", "_stdin", "_stdout")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        # Kept, or they would flush here what the zygote had not written yet.
        self._inherited = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        self._stdin = _Input()
        self._stdout, self._stderr = _Output(_STDOUT, "<stdout>"), _Output(_STDERR, "<stderr>")
        self._put_back()

    def adopt(self) -> None:
        """Go on with other descriptors 1 and 2, as a clone does; what was written is flushed."""
        self._stdout.adopt()
        self._stderr.adopt()

    def settle(self) -> None:
        """Flush all output of a cell, and give the next one streams that work. Never raises."""
        self._flush_replaced("stdout")
        self._flush_replaced("stderr")
        self._put_back()  # before flushing: a wrapper that dies here still writes into our buffer
        for stream in (self._stdin, self._stdout, self._stderr):
            stream.settle()
        self._put_back()

    def _flush_replaced(self, name: str) -> None:
        """Flush what a cell put in a stream's place, as its own code."""
        replaced = getattr(sys, name, None)
        if replaced is not None and replaced is not self._stdout.text and replaced is not self._stderr.text:
            self._gate.call(_flush, replaced)

    def _put_back(self) -> None:
        sys.stdin = sys.__stdin__ = self._stdin.text  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self._stdout.text  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr.text  # type: ignore[misc]


def _flush(stream: Any) -> None:
    stream.flush()
