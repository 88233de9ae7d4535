"""Read segments back: one bounded line at a time, each checked against the one before it.

A crash tears the end of the newest segment: the last line lacks its newline, and after a power loss blocks
that never reached the disk read as NUL. Both are a torn tail, no corruption. Everything else that does not
fit is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, BinaryIO

from sandboxd.log.records import GENESIS, MAX_LINE_BYTES, Link, unseal
from sandboxd.log.segments import first_seq_of, open_for_reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK_BYTES = 65536


class ChainError(Exception):
    """The chain is broken: in which file, at which line (1-based), and how."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class Scan:
    """One pass over one segment; iterate it once, then read what it found.

    Args:
        path: the segment.
        link: the last record of the segment before it; None when that is not here (archived).
        newest: whether a torn tail is tolerated.

    Attributes:
        link: the last intact record so far.
        intact_bytes: where the intact part ends.
        torn_bytes: length of the torn tail.
        torn_sha256: hash of the torn tail, "" when there is none.
    """

    def __init__(self, path: Path, link: Link | None, *, newest: bool) -> None:
        self.path = path
        self.link = link
        self.line = 0
        self.intact_bytes = 0
        self.torn_bytes = 0
        self.torn_sha256 = ""
        self._newest = newest

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            file = open_for_reading(self.path)
        except (OSError, ValueError) as error:
            raise self._broken(f"cannot be read: {error}") from None
        with file:
            yield from self._records(file)

    def _records(self, file: BinaryIO) -> Iterator[dict[str, Any]]:
        self._check_name()
        # A line longer than ours can be is never read whole.
        while line := file.readline(MAX_LINE_BYTES + 1):
            self.line += 1
            if not line.endswith(b"\n"):
                self._take_torn_tail(file, line)
                return
            record = self._check(line)
            self.intact_bytes += len(line)
            yield record
        if not self.line and not self._newest:
            raise self._broken("the segment is empty")

    def _check_name(self) -> None:
        try:
            first = first_seq_of(self.path)
        except ValueError as error:
            raise self._broken(str(error)) from None
        if self.link is not None and first != self.link.seq + 1:
            raise self._broken(f"records {self.link.seq + 1} to {first - 1} are missing before this segment")

    def _check(self, line: bytes) -> dict[str, Any]:
        try:
            record = unseal(line)
        except ValueError as error:
            raise self._broken(f"the line {error}") from None
        expected = self.link or self._first_link(record)
        if record["seq"] != expected.seq + 1:
            raise self._broken(f"record {record['seq']} stands where {expected.seq + 1} belongs")
        if record["prev"] != expected.hash:
            raise self._broken("the line does not continue the line before it")
        self.link = Link(record["seq"], record["hash"])
        return record

    def _first_link(self, record: dict[str, Any]) -> Link:
        # Older segments may be archived: then the first line here is taken as it is. Record 1 has no excuse.
        first = first_seq_of(self.path)
        return Link(first - 1, GENESIS if first == 1 else record["prev"])

    def _take_torn_tail(self, file: BinaryIO, line: bytes) -> None:
        # Part of a line, then nothing but NUL to the end. Anything looser would let one NUL byte, put into a
        # finished line, pass all the records after it off as a crash's doing.
        written = line.rstrip(b"\0")
        digest, size = hashlib.sha256(line), len(line)
        torn = self._newest and len(written) <= MAX_LINE_BYTES and b"\0" not in written
        while torn and (chunk := file.read(_CHUNK_BYTES)):
            digest.update(chunk)
            size += len(chunk)
            torn = not chunk.strip(b"\0")
        if not torn:
            raise self._broken("the line is cut short, damaged or too long")
        self.torn_bytes, self.torn_sha256 = size, digest.hexdigest()

    def _broken(self, reason: str) -> ChainError:
        return ChainError(self.path.name, self.line, reason)
