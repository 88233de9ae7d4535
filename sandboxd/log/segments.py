"""The files of the log: `log-<first sequence>.jsonl`, append-only, 0600, a new one by size.

Used by one thread at a time (the committer's); only `forget_removed` may run beside it: dict operations are
atomic.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sandboxd.log.records import Sealed

_NAME = re.compile(r"log-([0-9]{12,})\.jsonl")


def segment_name(first_seq: int) -> str:
    """Name the segment that starts with a record; names sort as their numbers do."""
    return f"log-{first_seq:012d}.jsonl"


def first_seq_of(path: Path) -> int:
    """Read the first sequence number out of a segment's name. Raises ValueError."""
    match = _NAME.fullmatch(path.name)
    if match is None or path.name != segment_name(int(match[1])):
        raise ValueError(f"not a segment's name: {path.name}")
    return int(match[1])


def list_segments(directory: Path) -> list[Path]:
    """List the segments, oldest first. Other files are not ours and are left alone."""
    found = [path for path in directory.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def open_for_reading(path: Path) -> BinaryIO:
    """Open a segment to read it.

    Raises:
        ValueError: it is no regular file.
        OSError: it cannot be opened.
    """
    # Follows no link and waits for no FIFO: who verifies may be root, and the directory written by another.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("is no regular file")
    return file


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it: a full disk gives a short write first and the error only on the next one."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Segments:
    """Append records; start a new file before one would grow beyond `rotate_bytes`.

    Args:
        directory: where the segments are.
        newest: the segment to go on with; None to begin one with the next record.
        rotate_bytes: size of a segment; a single longer batch is spread over several.
        durable: whether what was appended must be on the disk when `append` returns.
    """

    def __init__(self, directory: Path, newest: Path | None, *, rotate_bytes: int, durable: bool) -> None:
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        self._durable = durable
        self._descriptor = -1
        self._current: Path | None = None
        self._size = 0
        self._closed = {path: path.stat().st_size for path in list_segments(directory) if path != newest}
        if newest is not None:
            self._open(newest, os.O_APPEND)
            self._size = newest.stat().st_size
            if durable:  # what the last daemon wrote and did not live to sync
                os.fsync(self._descriptor)

    def append(self, batch: Sequence[Sealed]) -> None:
        """Append records in order with as few writes as rotation allows. Raises OSError."""
        lines: list[bytes] = []
        waiting = 0
        for record in batch:
            used = self._size + waiting
            if self._current is None or (used and used + len(record.line) > self._rotate_bytes):
                self._write(lines)
                self._begin_segment(record.seq)
                lines, waiting = [], 0
            lines.append(record.line)
            waiting += len(record.line)
        self._write(lines)

    def forget_removed(self) -> int:
        """Notice closed segments that were moved away; return how many bytes they had."""
        gone = [path for path in list(self._closed) if not path.exists()]
        return sum(self._closed.pop(path) for path in gone)

    def close(self) -> None:
        """Close the current file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        data = b"".join(lines)
        write_all(self._descriptor, data)
        self._size += len(data)
        if self._durable:
            os.fdatasync(self._descriptor)

    def _begin_segment(self, first_seq: int) -> None:
        if self._current is not None:
            self._closed[self._current] = self._size
        self.close()
        # O_EXCL: a file that is already there is somebody else's doing, and is never appended to.
        self._open(self._directory / segment_name(first_seq), os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._size = 0
        if self._durable:
            sync_directory(self._directory)

    def _open(self, path: Path, flags: int) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        self._current = path
