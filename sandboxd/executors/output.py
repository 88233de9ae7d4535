"""The head-and-tail gate for what a program prints: bounded, in order, never waiting for the reader."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

from sandboxd.events import Output

Emit = Callable[[Output], None]
HEAD_SHARE = 3 / 4  # of the limit goes out as it comes; the rest is kept from the end
TAIL_MAX_BYTES = 1 << 20  # of which so much at most: it is memory of the daemon's


class OutputGate:
    """Passes the first part of an execution's output, keeps the last part, counts what falls between.

    Args:
        limit_bytes: for both streams together.
        emit: takes what goes out.
        on_limit: called once, when more than the limit has been printed.
    """

    def __init__(self, limit_bytes: int, emit: Emit, on_limit: Callable[[], None]) -> None:
        self._limit = limit_bytes
        self._tail_limit = min(limit_bytes - int(limit_bytes * HEAD_SHARE), TAIL_MAX_BYTES)
        self._head_left = limit_bytes - self._tail_limit
        self._tails = {"stdout": _Tail(), "stderr": _Tail()}
        self._order = itertools.count()
        self._emit = emit
        self._on_limit = on_limit
        self.total_bytes = 0

    def feed(self, stream: str, data: bytes) -> None:
        """Take a piece of a stream."""
        before = self.total_bytes
        self.total_bytes += len(data)
        head, rest = data[: self._head_left], data[self._head_left :]
        if head:
            self._head_left -= len(head)
            self._emit(Output(stream, head))
        if rest:
            self._head_left = 0
            self._keep(stream, rest)
        if before <= self._limit < self.total_bytes:
            self._on_limit()

    def _keep(self, stream: str, data: bytes) -> None:
        self._tails[stream].append(next(self._order), data)
        while sum(tail.size for tail in self._tails.values()) > self._tail_limit:
            # The larger one gives way: a flood on one stream leaves the other's last words, often a traceback.
            larger = max(self._tails.values(), key=lambda tail: tail.size)
            larger.shorten(sum(tail.size for tail in self._tails.values()) - self._tail_limit)

    def finish(self) -> dict[str, int]:
        """Emit the kept tails in the order of printing; return the dropped bytes by stream."""
        unsaid = {stream: tail.dropped_bytes for stream, tail in self._tails.items()}
        pieces = [
            (number, stream, data) for stream, tail in self._tails.items() for number, data in tail.take()
        ]
        for _, stream, data in sorted(pieces):
            self._emit(Output(stream, data, unsaid.pop(stream, 0)))
        for stream, dropped in unsaid.items():
            if dropped:
                self._emit(Output(stream, b"", dropped))
        return {stream: tail.dropped_bytes for stream, tail in self._tails.items()}


class _Tail:
    """The last pieces of one stream."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, bytes]] = deque()
        self.size = 0
        self.dropped_bytes = 0

    def append(self, number: int, data: bytes) -> None:
        self._pieces.append((number, data))
        self.size += len(data)

    def shorten(self, over: int) -> None:
        """Drop up to `over` bytes of the oldest piece."""
        number, first = self._pieces.popleft()
        gone = min(over, len(first))
        if gone < len(first):
            self._pieces.appendleft((number, first[gone:]))
        self.size -= gone
        self.dropped_bytes += gone

    def take(self) -> list[tuple[int, bytes]]:
        taken = list(self._pieces)
        self._pieces.clear()
        return taken
