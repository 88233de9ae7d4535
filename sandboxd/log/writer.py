"""Number, chain and admit records: the one way into the log.

Admission keeps a promise: what was accepted can be ended. A record that `owes` another one (an intent its
outcome) is accepted only while that other one still fits below the cap as well; beside it a reserve is kept
for what else must be said.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError, StartError
from sandboxd.log.committers import Committer, InlineCommitter, ThreadCommitter
from sandboxd.log.records import JsonValue, Link, Sealed, seal
from sandboxd.log.recovery import Tail, recover
from sandboxd.log.scan import ChainError
from sandboxd.log.segments import Segments, list_segments, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_logger = logging.getLogger(__name__)

DURABILITIES = ("fsync", "write")
OWED_BYTES = 3072
"""Room kept for each owed record; `executions` keeps its outcomes below it."""
_RESERVE_BYTES = 1 << 20
_RECHECK_SECONDS = 1.0


class Log:
    """The write-ahead log of one daemon.

    Use it from one thread, the event loop's. The mutable state is `_link`, `size_bytes`, `_owed` and
    `_dropped`, all touched only there.
    """

    def __init__(
        self, segments: Segments, committer: Committer, tail: Tail, *, size_bytes: int, max_total_bytes: int,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.size_bytes = size_bytes
        self._segments = segments
        self._committer = committer
        self._link = tail.link
        self._max_total_bytes = max_total_bytes
        self._reserve_bytes = min(_RESERVE_BYTES, max_total_bytes // 8)
        self._clock = clock
        self._owed = 0
        self._dropped = 0
        self._checked_at_seconds = float("-inf")
        self._closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        durability: str,
        rotate_bytes: int,
        max_total_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> Log:
        """Open the log in a directory, repair what a crash tore, and go on with the chain.

        Args:
            directory: made 0700 when it is not there; the caller holds the state directory's lock.
            durability: "fsync" (records survive a power loss) or "write" (they survive the daemon).
            rotate_bytes: size at which a new segment begins.
            max_total_bytes: size of all segments beyond which nothing new begins.
            clock: Unix time in seconds.

        Raises:
            StartError: LOG_BROKEN when the newest segment does not verify, LOG_FAILED when it cannot be
            opened. ValueError: an unknown durability.
        """
        if durability not in DURABILITIES:
            raise ValueError(f"durability is one of {DURABILITIES}, not {durability!r}")
        durable = durability == "fsync"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            if durable:
                sync_directory(directory.parent)
            tail = recover(directory, now_seconds=clock())
            size_bytes = sum(path.stat().st_size for path in list_segments(directory))
            segments = Segments(directory, tail.newest, rotate_bytes=rotate_bytes, durable=durable)
        except ChainError as error:
            raise _broken(directory, error) from None
        except OSError as error:
            raise _unusable(directory, error) from error
        committer = ThreadCommitter(segments) if durable else InlineCommitter(segments)
        return cls(
            segments, committer, tail, size_bytes=size_bytes, max_total_bytes=max_total_bytes, clock=clock
        )

    @property
    def failed(self) -> bool:
        """Whether a write failed: nothing runs any more until a restart."""
        return self._committer.failure is not None

    @property
    def last(self) -> Link:
        """The last record's number and hash; kept elsewhere, it lets an auditor see a cut tail."""
        return self._link

    async def before(self, kind: str, fields: Mapping[str, JsonValue], *, owes: bool = False) -> None:
        """Record what is about to happen; on return the record is as durable as the log's durability says.

        A caller that is cancelled while it waits must take the record as written.

        Args:
            kind: what it is, for example `execution_intent`.
            fields: what to record, bounded by `records`.
            owes: that a record with `owed=True` will follow; room is kept for it.

        Raises:
            SandboxdError: LOG_FULL, LOG_FAILED.
        """
        self._refuse_when_failed()
        record = self._seal(kind, fields)
        promised = self._owed + (OWED_BYTES if owes else 0) + self._reserve_bytes
        if not self._fits(len(record.line) + promised):
            raise self._full()
        if self._dropped:
            record = self._confess(kind, fields)
        self._take(record)
        if owes:
            self._owed += OWED_BYTES
        if not await self._committer.commit(record):
            raise self._failure()

    def after(self, kind: str, fields: Mapping[str, JsonValue], *, owed: bool = False) -> None:
        """Record what has happened. Never waits and never raises for the log's state.

        What is owed always fits. Anything else beyond the cap is dropped; how much is recorded once there is
        room again.

        Args:
            kind: what it was.
            fields: what to record, bounded by `records`.
            owed: that a `before` announced it.
        """
        if self._closed or self.failed:
            return
        record = self._seal(kind, fields)
        if owed:
            self._owed = max(0, self._owed - OWED_BYTES)
        elif not self._fits(len(record.line) + self._owed):
            self._drop()
            return
        elif self._dropped:
            record = self._confess(kind, fields)
        self._take(record)
        self._committer.submit(record)

    def close(self) -> None:
        """Write what waits and close. Idempotent."""
        if not self._closed:
            self._closed = True
            self._committer.close()

    def _seal(self, kind: str, fields: Mapping[str, JsonValue]) -> Sealed:
        return seal(self._link, kind, fields, now_seconds=self._clock())

    def _take(self, record: Sealed) -> None:
        self._link = Link(record.seq, record.hash)
        self.size_bytes += len(record.line)

    def _fits(self, more_bytes: int) -> bool:
        if self.size_bytes + more_bytes <= self._max_total_bytes:
            return True
        now = self._clock()
        if abs(now - self._checked_at_seconds) >= _RECHECK_SECONDS:  # abs: the clock may be set back
            self._checked_at_seconds = now
            self.size_bytes -= self._segments.forget_removed()
        return self.size_bytes + more_bytes <= self._max_total_bytes

    def _drop(self) -> None:
        if not self._dropped:
            _logger.error(
                "log full, records that nothing waits for are dropped size_bytes=%d", self.size_bytes
            )
        self._dropped += 1

    def _confess(self, kind: str, fields: Mapping[str, JsonValue]) -> Sealed:
        """Record how much was dropped, and chain the waiting record behind that."""
        confession = self._seal("records_dropped", {"count": self._dropped})
        self._dropped = 0
        self._take(confession)
        self._committer.submit(confession)
        return self._seal(kind, fields)

    def _refuse_when_failed(self) -> None:
        if self._closed or self.failed:
            raise self._failure()

    def _failure(self) -> SandboxdError:
        return SandboxdError(
            Code.LOG_FAILED,
            "the log is closed" if self._closed else f"the log cannot be written: {self._reason()}",
            remedy="Nothing runs without a log: make room on the disk of `state_dir`, restart the daemon.",
            failure=FailureClass.NOT_STARTED,
        )

    def _reason(self) -> str:
        failure = self._committer.failure
        return str(failure.strerror) if isinstance(failure, OSError) else type(failure).__name__

    def _full(self) -> SandboxdError:
        return SandboxdError(
            Code.LOG_FULL,
            f"the log holds {self.size_bytes} of {self._max_total_bytes} bytes",
            remedy="Raise `log_max_bytes`, or move the oldest segments (log-*.jsonl) to an archive: "
            "the daemon notices within a second.",
            failure=FailureClass.NOT_STARTED,
        )


def _broken(directory: Path, error: ChainError) -> StartError:
    return StartError(
        Code.LOG_BROKEN,
        f"the log in {directory} does not verify: {error}",
        remedy="Run `sandboxd audit verify`; keep the log directory as evidence and start with an empty one.",
        file=error.file,
        line=str(error.line),
    )


def _unusable(directory: Path, error: OSError) -> StartError:
    return StartError(
        Code.LOG_FAILED,
        f"the log in {directory} cannot be opened: {error}",
        remedy="Make `state_dir` a directory on a local disk with room, owned by the daemon's user.",
    )
