"""Bring sealed records to the disk, in the order they came. Two ways, one per durability.

- `InlineCommitter` ("write"): one write(2) into the page cache on the event loop. That costs a few
  microseconds and survives kill -9 of the daemon; a hop to a thread and back costs ten times as much.
- `ThreadCommitter` ("fsync"): a thread takes all that waits, writes it once, syncs once, and wakes every
  waiter. The event loop never waits for a disk.

Any failure is final: what a failed write or sync left on the disk is unknown, so nothing may be appended
after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd.log.records import Sealed
    from sandboxd.log.segments import Segments

_logger = logging.getLogger(__name__)

LINGER_SECONDS = 0.002
"""How long an outcome waits for an intent to share its sync with."""


class Committer(Protocol):
    """Takes records on the event loop's thread; `failure` is set once one could not be written."""

    failure: Exception | None

    def submit(self, record: Sealed) -> None:
        """Take a record, to be written soon; never waits for the disk's durability."""

    async def commit(self, record: Sealed) -> bool:
        """Take a record and return once it is as durable as this committer makes it; False when it failed."""

    def close(self) -> None:
        """Write what waits and stop."""


class InlineCommitter:
    """Write on the event loop: at once for `commit`, at the end of the loop's turn for `submit`.

    The mutable state is `_queue`, touched by the event loop's thread alone.
    """

    def __init__(self, segments: Segments) -> None:
        self.failure: Exception | None = None
        self._segments = segments
        self._queue: list[Sealed] = []
        self._scheduled = False

    def submit(self, record: Sealed) -> None:
        """Queue the record; the outcomes of one turn of the loop share a write."""
        self._queue.append(record)
        if self._scheduled:
            return
        try:
            asyncio.get_running_loop().call_soon(self._flush)
            self._scheduled = True
        except RuntimeError:  # before the loop runs: at start, orphans get their outcomes
            self._flush()

    async def commit(self, record: Sealed) -> bool:
        """Write the record, and what was queued before it."""
        self._queue.append(record)
        self._flush()
        return self.failure is None

    def close(self) -> None:
        """Write what is queued and close the files."""
        self._flush()
        self._segments.close()

    def _flush(self) -> None:
        self._scheduled = False
        batch, self._queue = self._queue, []
        if self.failure is None and batch:
            self.failure = _append(self._segments, batch)


class ThreadCommitter:
    """Write and sync in a thread of its own, all that waits at a time.

    The mutable state shared with the thread is `_queue`, `_waiters`, `_due` and `_closing`, under `_wake`.
    """

    def __init__(self, segments: Segments) -> None:
        self.failure: Exception | None = None
        self._segments = segments
        self._wake = threading.Condition()
        self._queue: list[Sealed] = []
        self._waiters: list[asyncio.Future[bool]] = []
        self._due = False
        self._closing = False
        self._lingering = False  # the event loop's alone
        self._thread = threading.Thread(target=self._run, name="sandboxd-log", daemon=True)
        self._thread.start()

    def submit(self, record: Sealed) -> None:
        """Queue the record; it goes with the next intent, or alone after `LINGER_SECONDS`."""
        with self._wake:
            self._queue.append(record)
        if self._lingering:
            return
        try:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._flush)
            self._lingering = True
        except RuntimeError:  # before the loop runs: at start, orphans get their outcomes
            self._flush()

    async def commit(self, record: Sealed) -> bool:
        """Queue the record and wait until its batch is on the disk."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        with self._wake:
            self._queue.append(record)
            self._waiters.append(waiter)
            self._due = True
            self._wake.notify()
        return await waiter

    def close(self) -> None:
        """Write what is queued, end the thread and close the files."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._segments.close()

    def _flush(self) -> None:
        self._lingering = False
        with self._wake:
            self._due = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._due or self._closing)
                batch, self._queue = self._queue, []
                waiters, self._waiters = self._waiters, []
                self._due = False
                closing = self._closing
            if self.failure is None and batch:
                self.failure = _append(self._segments, batch)
            _wake_all(waiters, durable=self.failure is None)
            if closing:
                return


def _append(segments: Segments, batch: Sequence[Sealed]) -> Exception | None:
    try:
        segments.append(batch)
    except Exception as error:  # noqa: BLE001 - whatever it is, a waiter must hear of it and nothing may run
        _logger.error("log write failed, nothing runs any more error=%s", error)  # noqa: TRY400 - no use of the stack
        return error
    return None


def _wake_all(waiters: Sequence[asyncio.Future[bool]], *, durable: bool) -> None:
    for loop in {waiter.get_loop() for waiter in waiters}:
        own = [waiter for waiter in waiters if waiter.get_loop() is loop]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_settle, own, durable)


def _settle(waiters: Sequence[asyncio.Future[bool]], durable: bool) -> None:
    for waiter in waiters:
        if not waiter.done():  # its caller may have been cancelled
            waiter.set_result(durable)
