"""Replay the recent past, in a stream: one line in memory at a time, and only the segments that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandboxd.errors import Code, StartError
from sandboxd.log.records import parse_time
from sandboxd.log.scan import ChainError, Scan
from sandboxd.log.segments import list_segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_SECONDS = 24 * 3600.0


def read_history(directory: Path, *, back_seconds: float = 2 * DAY_SECONDS) -> Iterator[dict[str, Any]]:
    """Yield the newest records of the log, oldest first, each checked against the one before it.

    They reach back `back_seconds` from the beginning of the newest segment, not from now: after a long outage
    the executions that were running when it began are still found. Twice a day, since what ended within the
    last one may have begun, and be still running, one earlier. Reading begins with a whole segment.

    Args:
        directory: the log's directory; opened before by `Log.open`, which repaired its tail.
        back_seconds: how far back.

    Raises:
        StartError: LOG_BROKEN, when a segment does not verify.
    """
    try:
        yield from _replay(_recent(list_segments(directory), back_seconds))
    except ChainError as error:
        raise StartError(
            Code.LOG_BROKEN,
            f"the log in {directory} does not verify: {error}",
            remedy="Run `sandboxd audit verify`; keep the log as evidence and start with an empty one.",
            file=error.file,
            line=str(error.line),
        ) from None


def _recent(segments: list[Path], back_seconds: float) -> list[Path]:
    since: float | None = None
    for index in range(len(segments) - 1, -1, -1):
        started = _started_at(segments[index])
        if started is None:
            continue
        if since is None:
            since = started - back_seconds
        elif started < since:
            return segments[index:]
    return segments


def _started_at(path: Path) -> float | None:
    first = next(iter(Scan(path, None, newest=True)), None)
    try:
        return None if first is None else parse_time(first["ts"])
    except ValueError:
        raise ChainError(path.name, 1, "the line has no time") from None


def _replay(segments: list[Path]) -> Iterator[dict[str, Any]]:
    link = None
    for path in segments:
        scan = Scan(path, link, newest=path == segments[-1])
        yield from scan
        link = scan.link
