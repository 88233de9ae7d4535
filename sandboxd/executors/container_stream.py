"""The daemon's end of a container's attached stream: the engine's framing, and ours (`sandboxd.jail.mux`) inside it.

What comes is hostile until parsed: a container that breaks either framing, or sends beyond its window, is ended.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from sandboxd.jail import mux

READ_BYTES = 65536
MAX_DIAGNOSTIC_BYTES = 4096
_ENGINE_HEADER = struct.Struct(
    ">B3xI"
)  # stream, length: Docker Engine API, "Attach to a container", stream format
_FROM_STDOUT, _FROM_STDERR = 1, 2
_TURNS = 16  # reads in one turn of the loop: one chatty container must not keep it from its timers


class Stream:
    """One container's stream on the event loop.

    Args:
        sock: attached; owned from here on.
        on_order: takes init's orders.
        on_data: takes a channel's bytes, at once; `passed_on` lets more come.
        on_room: called with a channel that was full and is not any more.
        on_end: called once, with a reason, when the stream is over.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_order: Callable[[mux.Order], None],
        on_data: Callable[[int, bytes], None],
        on_room: Callable[[int], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._sock.setblocking(False)
        self._on_order, self._on_data, self._on_room, self._on_end = on_order, on_data, on_room, on_end
        self._windows = mux.Windows()
        self._splitter = mux.Splitter()
        self._engine = _EngineFrames()
        self._out = bytearray()
        self._loop.add_reader(sock, self._readable)

    @property
    def diagnostics(self) -> str:
        """Return what init wrote to stderr: it is asked for when a container ends before it was ready."""
        return bytes(self._engine.diagnostics).decode("utf-8", "replace")

    # ---- sending --------------------------------------------------------------------------------------------

    def order(self, message: mux.Order) -> None:
        """Send an order."""
        self._send(mux.order(message))

    def room(self, channel: int) -> int:
        """Return how much may be sent on a channel now."""
        return self._windows.room(channel)

    def data(self, channel: int, data: bytes) -> None:
        """Send bytes, no more than there is room for."""
        self._windows.sent(channel, len(data))
        self._send(mux.frame(channel, data))

    def passed_on(self, channel: int, size: int) -> None:
        """Let as much more come as was passed on."""
        if grant := self._windows.passed_on(channel, size):
            self._send(grant)

    def forget(self, channel: int) -> None:
        """Begin a channel anew."""
        self._windows.forget(channel)

    def _send(self, data: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        waiting = bool(self._out)
        self._out += data
        if not waiting:
            self._write()
            if self._out:
                self._loop.add_writer(self._sock, self._writable)

    def _writable(self) -> None:
        self._write()
        if not self._out:
            self._loop.remove_writer(self._sock)

    def _write(self) -> None:
        try:
            sent = self._sock.send(self._out, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            self._out.clear()  # its end is read
            return
        del self._out[:sent]

    # ---- hearing --------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(_TURNS):
            try:
                data = self._sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(str(error.strerror))
                return
            if not data:
                self._end("the container ended")
                return
            try:
                self._take(data)
            except (mux.MuxError, ValueError, KeyError, TypeError) as error:
                self._end(f"the container broke the protocol: {error!s:.200}")
                return
            if self._sock.fileno() < 0:
                return

    def hear(self) -> None:
        """Take what has come by now, without waiting for the loop's turn."""
        if self._sock.fileno() >= 0:
            self._readable()

    def _take(self, data: bytes) -> None:
        for channel, payload in self._splitter.feed(self._engine.feed(data)):
            if channel == mux.ORDERS:
                self._on_order(mux.parse_order(payload))
            elif channel == mux.GRANTS:
                granted, size = mux.parse_grant(payload)
                self._windows.granted(granted, size)
                self._on_room(granted)
            else:
                self._windows.came(channel, len(payload))
                self._on_data(channel, payload)

    def _end(self, reason: str) -> None:
        if self._sock.fileno() >= 0:
            self.close()
            self._on_end(reason)

    def close(self) -> None:
        """Close the stream: init ends with it. No callback follows. Idempotent."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()


class _EngineFrames:
    """Takes the engine's framing off: stdout is our stream, stderr diagnostics of which the first bytes are kept."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0
        self._stream = 0
        self.diagnostics = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Return what of these bytes is stdout.

        Raises:
            ValueError: no framing of the engine's.
        """
        found = bytearray()
        at = 0
        while at < len(data):
            if not self._left:
                wanted = _ENGINE_HEADER.size - len(self._header)
                self._header += data[at : at + wanted]
                at += wanted
                if len(self._header) == _ENGINE_HEADER.size:
                    self._begin()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._stream == _FROM_STDOUT:
                found += piece
            else:
                self.diagnostics += piece[: MAX_DIAGNOSTIC_BYTES - len(self.diagnostics)]
        return bytes(found)

    def _begin(self) -> None:
        self._stream, self._left = _ENGINE_HEADER.unpack(self._header)
        self._header.clear()
        if self._stream not in {_FROM_STDOUT, _FROM_STDERR}:
            raise ValueError("not the engine's framing")
