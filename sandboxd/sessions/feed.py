"""One stream's view of a session: where it stands in the events, and the answers that concern it alone."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandboxd.sessions.answers import Answer
    from sandboxd.sessions.ring import EventRing, RingEvent

BACKLOG_MAX = 64
TAKE_BYTES = 256 << 10  # of output at a time: what is taken is out of the ring's bounds until it is written
LINGER_SECONDS = 0.002
"""How long a verdict or output waits for company: each message costs more than most snippets."""
BUSY_LINGER_SECONDS, QUIET_SECONDS, ENOUGH_BYTES = 0.01, 0.05, 16 << 10
"""The same for output that follows other output, until there is enough of it: a stream under load comes in large pieces."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event on its way to a stream. Sequence 0: an answer to this stream alone."""

    request_id: int
    execution_id: str
    sequence: int
    event: RingEvent | Answer


class Feed:
    """Hands a stream its events in order. One task takes; the session, on the same loop, wakes it."""

    def __init__(self, ring: EventRing, after_sequence: int) -> None:
        self.request_id = 0  # of the request that the ring's events answer; 0 after a re-attach
        self.ended: str | None = None
        self.half_closed = False  # the client asks nothing more: end with the running execution
        self._ring = ring
        self._cursor = after_sequence
        self._backlog: deque[Item] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._room: asyncio.Future[None] | None = None
        self._woken_at = 0.0  # for output that had waited

    def wake_soon(self) -> None:
        """Say that there is something to take that may wait a moment for what comes next."""
        if self._ring.waiting_bytes >= ENOUGH_BYTES:
            self.wake()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            busy = loop.time() - self._woken_at < QUIET_SECONDS
            self._timer = loop.call_later(BUSY_LINGER_SECONDS if busy else LINGER_SECONDS, self._wake_late)

    def _wake_late(self) -> None:
        self._woken_at = asyncio.get_running_loop().time()
        self.wake()

    def wake(self) -> None:
        """Say that there may be something to take."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def answer(self, request_id: int, execution_id: str, event: RingEvent | Answer) -> None:
        """Queue an answer for this stream alone."""
        self._backlog.append(Item(request_id, execution_id, 0, event))
        self.wake()

    def keep(self) -> None:
        """Take over what the stream has not read, before the ring forgets it for the next execution."""
        self._backlog.extend(self._fresh())

    def rewind(self, request_id: int) -> None:
        """Start again with the first event of the ring's execution, as the answer to another request."""
        self.request_id = request_id
        self._cursor = self._ring.first_sequence - 1
        self.wake()

    def end(self, reason: str) -> None:
        """Let the stream end after what is there."""
        if self.ended is None:
            self.ended = reason
            self.wake()

    async def take(self) -> list[Item]:
        """Wait for events; an empty list says that the feed has ended."""
        while True:
            if self._backlog:
                return self._drain()
            fresh = self._fresh(TAKE_BYTES)
            if fresh:
                return fresh
            if self.ended is not None:
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def room(self) -> None:
        """Wait until the backlog was taken: a client that only asks and never reads stops being read."""
        while len(self._backlog) >= BACKLOG_MAX:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def _fresh(self, most_bytes: int | None = None) -> list[Item]:
        entries = self._ring.after(self._cursor, most_bytes)
        if not entries:
            return []
        self._cursor = entries[-1].sequence
        execution_id = self._ring.execution_id
        return [Item(self.request_id, execution_id, entry.sequence, entry.event) for entry in entries]

    def _drain(self) -> list[Item]:
        items = list(self._backlog)
        self._backlog.clear()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return items
