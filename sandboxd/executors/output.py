"""The head-and-tail gate for what a program prints: bounded, in order, never waiting for the reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sandboxd.events import Output

Emit = Callable[[Output], None]
HEAD_SHARE = 3 / 4  # of the limit goes out as it comes; the rest is kept from the end


class OutputGate:
    """Passes the first part of an execution's output, keeps the last part of each stream, counts what falls between.

    Args:
        limit_bytes: for both streams together.
        emit: takes what goes out.
        on_limit: called once, when more than the limit has been printed.
    """

    def __init__(self, limit_bytes: int, emit: Emit, on_limit: Callable[[], None]) -> None:
        self._limit = limit_bytes
        self._head_left = int(limit_bytes * HEAD_SHARE)
        self._emit = emit
        self._on_limit = on_limit
        self._tails = {name: _Tail((limit_bytes - self._head_left) // 2) for name in ("stdout", "stderr")}
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
            self._tails[stream].keep(rest)
        if before <= self._limit < self.total_bytes:
            self._on_limit()

    def finish(self) -> dict[str, int]:
        """Emit the kept tails; return the dropped bytes by stream."""
        for stream, tail in self._tails.items():
            data = tail.take()
            if data or tail.dropped_bytes:
                self._emit(Output(stream, data, tail.dropped_bytes))
        return {stream: tail.dropped_bytes for stream, tail in self._tails.items()}


class _Tail:
    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.dropped_bytes = 0

    def keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        while self._size > self._limit:
            first = self._pieces.popleft()
            over = self._size - self._limit
            if over < len(first):
                self._pieces.appendleft(first[over:])
            gone = min(over, len(first))
            self._size -= gone
            self.dropped_bytes += gone

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
