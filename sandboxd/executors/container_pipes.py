"""From a container's channels to descriptors and back: what the daemon reads and writes are pipes, as in a jail.

A pipe holds what a window lets come, so a piece is nearly always passed on at once. Where its reader is slow the rest is
kept, no more than the window, and no more comes until it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from sandboxd.executors.container_stream import Stream

READ_BYTES = 32768


class Inward:
    """Passes a channel on to a descriptor, which it owns.

    Args:
        stream: the container's.
        channel: on it.
        fd: the writing end.
        on_broken: called once when its reader is gone.
        on_idle: called when all that came is passed on.
    """

    def __init__(
        self,
        stream: Stream,
        channel: int,
        fd: int,
        on_broken: Callable[[], None] = lambda: None,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._stream, self._channel, self._fd = stream, channel, fd
        self._on_broken, self._on_idle = on_broken, on_idle
        self._loop = asyncio.get_running_loop()
        self._kept = bytearray()
        self._ending = False
        os.set_blocking(fd, False)

    @property
    def idle(self) -> bool:
        """Tell whether nothing is kept."""
        return not self._kept

    def take(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._fd < 0:
            self._stream.passed_on(self._channel, len(data))
            return
        waiting = bool(self._kept)
        self._kept += data
        if not waiting:
            self._write()
            if self._kept:
                self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        self._write()
        if self._fd >= 0 and not self._kept:
            self._loop.remove_writer(self._fd)
            if self._ending:
                self.close()
            self._on_idle()

    def _write(self) -> None:
        while self._kept:
            try:
                sent = os.write(self._fd, self._kept)
            except BlockingIOError:
                return
            except OSError:
                self._stream.passed_on(self._channel, len(self._kept))
                self._kept.clear()
                self.close()
                self._on_broken()
                return
            del self._kept[:sent]
            self._stream.passed_on(self._channel, sent)

    def end(self) -> None:
        """Close the descriptor once everything is passed on."""
        self._ending = True
        if not self._kept:
            self.close()

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1


class Outward:
    """Sends what a descriptor gives on a channel, as its window goes.

    Args:
        stream: the container's.
        channel: on it.
        fd: the reading end; owned here unless `keep`.
        on_end: called once at its end of file, when everything is sent.
        keep: whether somebody else closes it.
    """

    def __init__(
        self,
        stream: Stream,
        channel: int,
        fd: int,
        on_end: Callable[[], None] = lambda: None,
        *,
        keep: bool = False,
    ) -> None:
        self._stream, self._channel, self._fd = stream, channel, fd
        self._on_end, self._keep = on_end, keep
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)

    def room(self) -> None:
        """The window has opened."""
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        room = self._stream.room(self._channel)
        if not room:
            self._loop.remove_reader(self._fd)  # until it is granted more
            return
        try:
            data = os.read(self._fd, min(room, READ_BYTES))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._stream.data(self._channel, data)
        else:
            self.close()
            self._on_end()

    def close(self) -> None:
        """Stop reading, and close the descriptor. Idempotent."""
        if self._fd >= 0:
            with contextlib.suppress(ValueError):
                self._loop.remove_reader(self._fd)
            if not self._keep:
                os.close(self._fd)
            self._fd = -1
