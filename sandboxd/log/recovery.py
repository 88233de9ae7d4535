"""Find the end of the chain when the log is opened, and repair the tail that a crash tore.

Only the newest segment is read, and the last line of the one before it: opening costs the same however old
the log is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxd.log.records import MAX_LINE_BYTES, START, JsonValue, Link, seal, unseal
from sandboxd.log.scan import ChainError, Scan
from sandboxd.log.segments import first_seq_of, list_segments, open_for_reading

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tail:
    """Where to go on: the last record and the segment to append to (None: begin one)."""

    link: Link
    newest: Path | None


def recover(directory: Path, *, now_seconds: float) -> Tail:
    """Check the newest segment, repair its torn tail, and return the end of the chain.

    Raises:
        ChainError: the newest segment is broken otherwise than by a crash.
        OSError: it cannot be read or repaired.
    """
    segments = list_segments(directory)
    if not segments:
        return Tail(START, None)
    newest = segments[-1]
    before = _last_link(segments[-2]) if len(segments) > 1 else None
    scan = Scan(newest, before, newest=True)
    for _ in scan:
        pass
    link = scan.link or _link_of_empty(newest)
    if scan.torn_bytes:
        link = _repair(scan, link, now_seconds)
    return Tail(link, newest)


def _link_of_empty(newest: Path) -> Link:
    if first_seq_of(newest) != 1:
        raise ChainError(newest.name, 0, "the only segment is empty, so the chain's end is unknown")
    return START


def _last_link(path: Path) -> Link:
    """Read the last record of a closed segment without reading the rest."""
    try:
        with open_for_reading(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MAX_LINE_BYTES - 1))
            record = unseal(file.read().rstrip(b"\n").rpartition(b"\n")[2] + b"\n")
    except ValueError as error:
        raise ChainError(path.name, 0, f"the last line {error}") from None
    return Link(record["seq"], record["hash"])


def _repair(scan: Scan, link: Link, now_seconds: float) -> Link:
    fields: dict[str, JsonValue] = {
        "segment": scan.path.name,
        "torn_bytes": scan.torn_bytes,
        "torn_sha256": scan.torn_sha256,
    }
    record = seal(link, "log_repaired", fields, now_seconds=now_seconds)
    descriptor = os.open(scan.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # Overwrite first, cut after: a crash in between leaves a torn tail again, never an unrecorded cut.
        written = os.pwrite(descriptor, record.line, scan.intact_bytes)
        if written != len(record.line):
            raise OSError(f"wrote {written} of {len(record.line)} bytes")
        os.ftruncate(descriptor, scan.intact_bytes + written)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Link(record.seq, record.hash)
