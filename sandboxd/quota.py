"""Admission: what the daemon takes on at the same time is bounded; a refusal says when to come back.

Sessions are counted, and their memory limits added up, when they open. Running snippets hold one of
`max_concurrent` slots; the next ones wait first in, first out, at most `max_queue` of them. All state
belongs to the event loop: no lock, and a free slot is taken without suspending.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

from sandboxd.errors import Code, FailureClass, SandboxdError

_RETRY_SESSION_SECONDS = 5.0
_RETRY_QUEUE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is admitted; `memory_total_bytes` 0 adds nothing up."""

    max_sessions: int
    max_concurrent: int
    max_queue: int
    memory_total_bytes: int = 0


@dataclass(slots=True)
class _Tree:
    """A session and its clones: one outer memory limit, however many live from it."""

    memory_bytes: int
    places: int = 0


class Admission:
    """Counts sessions, their memory and running snippets against the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.sessions = 0
        self.memory_bytes = 0
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def queued(self) -> int:
        """Count the snippets that wait for a slot."""
        return sum(not waiter.done() for waiter in self._waiting)

    def reserve(self, memory_bytes: int) -> Reservation:
        """Take a session's place and memory.

        Raises:
            SandboxdError: QUOTA_SESSIONS, QUOTA_MEMORY.
        """
        self.check_place()
        bounds = self.bounds
        if bounds.memory_total_bytes and self.memory_bytes + memory_bytes > bounds.memory_total_bytes:
            free = max(0, bounds.memory_total_bytes - self.memory_bytes)
            raise _refusal(
                Code.QUOTA_MEMORY,
                f"The session may use {memory_bytes} bytes of memory and {free} are not reserved yet.",
                "Ask for less memory, close a session, or raise memory_total.",
                _RETRY_SESSION_SECONDS if memory_bytes <= bounds.memory_total_bytes else 0.0,
            )
        self.memory_bytes += memory_bytes
        return Reservation(self, _Tree(memory_bytes))

    def check_place(self) -> None:
        """Refuse one session too many.

        Raises:
            SandboxdError: QUOTA_SESSIONS.
        """
        if self.sessions >= self.bounds.max_sessions:
            raise _refusal(
                Code.QUOTA_SESSIONS,
                f"{self.sessions} sessions are open and max_sessions is {self.bounds.max_sessions}.",
                "Close a session, or raise max_sessions.",
                _RETRY_SESSION_SECONDS,
            )

    async def enter(self) -> None:
        """Take a slot for one running snippet, waiting in turn. Pair with `leave`.

        Raises:
            SandboxdError: QUOTA_QUEUE.
        """
        if self.running < self.bounds.max_concurrent and not self._waiting:
            self.running += 1
            return
        if self.queued >= self.bounds.max_queue:
            raise _refusal(
                Code.QUOTA_QUEUE,
                f"{self.running} snippets run and {self.queued} wait; max_queue is {self.bounds.max_queue}.",
                "Come back later, or raise max_concurrent or max_queue.",
                _RETRY_QUEUE_SECONDS,
            )
        await self._wait()

    def leave(self) -> None:
        """Give the slot back, to the one that waits longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)  # the slot changes hands: `running` stays
                return
        self.running -= 1

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # Cancelled in the same turn in which the slot was handed over: pass it on, or it is lost for
            # good.
            if waiter.done() and not waiter.cancelled():
                self.leave()
            else:
                with contextlib.suppress(ValueError):  # `leave` may have passed over it already
                    self._waiting.remove(waiter)
            raise


class Reservation:
    """A session's place. Its tree's memory is given back with the last place of the tree, whichever that is."""

    def __init__(self, admission: Admission, tree: _Tree) -> None:
        self._admission = admission
        self._tree = tree
        self._released = False
        tree.places += 1
        admission.sessions += 1

    def share(self) -> Reservation:
        """Take a place for a clone, which lives from the same memory.

        Raises:
            SandboxdError: QUOTA_SESSIONS.
        """
        self._admission.check_place()
        return Reservation(self._admission, self._tree)

    def release(self) -> None:
        """Give the place back, and the memory with the tree's last one. Idempotent."""
        if self._released:
            return
        self._released = True
        self._admission.sessions -= 1
        self._tree.places -= 1
        if not self._tree.places:
            self._admission.memory_bytes -= self._tree.memory_bytes


def _refusal(code: Code, message: str, remedy: str, retry_after_seconds: float) -> SandboxdError:
    return SandboxdError(
        code,
        message,
        remedy=remedy,
        failure=FailureClass.NOT_STARTED,
        retry_after_seconds=retry_after_seconds,
    )
