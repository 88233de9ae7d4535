"""A SEQPACKET socket on the event loop: ordered, bounded, never blocking."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from sandboxd.jail import wire

MAX_QUEUED = 10_000

OnMessage = Callable[[wire.Message, list[int]], None]


class Channel:
    """One end of a message socket.

    State: `_queue` holds what the kernel would not take yet (descriptors duplicated); touched on the loop only.

    Args:
        sock: a connected SOCK_SEQPACKET socket; the channel owns it from now on.
        on_message: takes each message with its descriptors, which it then owns.
        on_end: called once when the peer is gone or sent what is no message.
    """

    def __init__(self, sock: socket.socket, on_message: OnMessage, on_end: Callable[[str], None]) -> None:
        self._sock = sock
        self._on_message = on_message
        self._on_end = on_end
        self._queue: deque[tuple[wire.Message, list[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._loop.add_reader(sock, self.hear)

    def send(self, message: wire.Message, fds: Sequence[int] = ()) -> None:
        """Send a message. A peer that is gone is reported by `on_end`, not here.

        Raises:
            wire.WireError: the message is too large.
        """
        if self._sock.fileno() < 0:
            return
        if not self._queue:
            try:
                wire.send(self._sock, message, fds)
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._writable)
            except OSError:
                return
            else:
                return
        if len(self._queue) >= MAX_QUEUED:
            self._end("the peer does not read")
            return
        self._queue.append((message, [os.dup(fd) for fd in fds]))

    def _writable(self) -> None:
        while self._queue:
            message, fds = self._queue[0]
            try:
                wire.send(self._sock, message, fds)
            except BlockingIOError:
                return
            except OSError:
                break
            self._queue.popleft()
            _close_all(fds)
        self._loop.remove_writer(self._sock)

    def hear(self) -> None:
        """Take the messages that are there. Never blocks."""
        # A few a turn: one chatty peer must not keep the loop from its timers.
        for _ in range(16):
            if self._sock.fileno() < 0:
                return
            try:
                message, fds = wire.receive(self._sock)
            except BlockingIOError:
                return
            except EOFError:
                self._end("closed")
                return
            except (OSError, wire.WireError) as error:
                self._end(str(error))
                return
            self._on_message(message, fds)

    def _end(self, reason: str) -> None:
        if self._sock.fileno() >= 0:
            self.close()
            self._on_end(reason)

    def close(self) -> None:
        """Close the socket; no callback follows. Idempotent."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        while self._queue:
            _close_all(self._queue.popleft()[1])


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
