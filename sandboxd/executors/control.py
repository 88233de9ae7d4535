"""A guest's control socket on the event loop: frames in and out, bounded both ways, all of them hostile until parsed.

Who does not read what it is sent, or asks faster than it is answered, is not read any more: what it has in the air stays
in its own socket's buffer. So a flood costs its sender, and the loop a few frames a turn.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

from sandboxd.executors.outline import outline

MAX_FRAME_BYTES = 16 << 20
# Of a frame, outside its strings: some 5 ms of the parser. A display of many forms is the most that a guest has a use for.
MAX_OUTLINE_BYTES, MAX_STRINGS = 64 << 10, 16_000
# Beyond which the guest is not read until it has read. Far above what the calls in the air come to: a guest that is about to
# send, and reads nothing meanwhile, must be able to, or the two would wait for each other.
MAX_UNSENT_BYTES = 64 << 20
FRAMES_A_TURN = 16
READ_BYTES = 65536
_LENGTH = struct.Struct(">I")
_BROKEN_FORM = (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error)


class Control:
    """One end of a control socket.

    Args:
        fd: the socket; owned from here on.
        on_frame: takes each frame, a JSON object; what it raises for a bad form is the guest's violation.
        on_violation: called when the guest breaks the protocol; nothing of it is read after that.
    """

    def __init__(
        self, fd: int, on_frame: Callable[[dict[str, Any]], None], on_violation: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._on_frame = on_frame
        self._on_violation = on_violation
        self._buffer = bytearray()
        self._unsent = bytearray()
        self._held = self._ended = self._due = False
        self._listening = False
        self._listen()

    def send(self, body: bytes) -> None:
        """Send a frame; what the socket does not take now goes when it does."""
        data = _LENGTH.pack(len(body)) + body
        if self._unsent:
            self._unsent += data
        else:
            self._write(data)

    def hold(self) -> None:
        """Take no more frames until `release`."""
        self._held = True
        self._listen()

    def release(self) -> None:
        """Go on with the next turn of the loop."""
        if self._held:
            self._held = False
            self._deliver_soon()

    def close(self) -> bool:
        """Close the socket. Idempotent; tells whether it was open."""
        if self._socket.fileno() < 0:
            return False
        self._ended = True
        self._listen()
        self._loop.remove_writer(self._socket)
        self._socket.close()
        return True

    def _write(self, data: bytes | bytearray) -> None:
        try:
            sent = self._socket.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # dead: its death is reported by the launcher
        self._unsent = bytearray(memoryview(data)[sent:])
        if self._unsent:
            self._loop.add_writer(self._socket, self._writable)
            self._listen()

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        unsent, self._unsent = self._unsent, bytearray()
        self._write(unsent)
        if not self._unsent:
            self._deliver_soon()

    @property
    def _stopped(self) -> bool:
        return self._held or self._ended or len(self._unsent) > MAX_UNSENT_BYTES

    def _listen(self) -> None:
        """Read or leave off, as it stands; while frames of the buffer are due, nothing is added to it."""
        wanted = not self._stopped and not self._due
        if wanted != self._listening:
            self._listening = wanted
            if wanted:
                self._loop.add_reader(self._socket, self._readable)
            else:
                self._loop.remove_reader(self._socket)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended = True
            self._listen()
            return
        self._buffer += data
        self._deliver()

    def _deliver_soon(self) -> None:
        if not self._due and not self._ended:
            self._due = True
            self._listen()
            self._loop.call_soon(self._deliver_due)

    def _deliver_due(self) -> None:
        self._due = False
        self._deliver()
        self._listen()

    def _deliver(self) -> None:
        try:
            for _ in range(FRAMES_A_TURN):
                if self._stopped or (frame := self._next_frame()) is None:
                    return
                self._on_frame(frame)
        except _BROKEN_FORM:
            self._buffer.clear()
            self._ended = True
            self._listen()
            self._on_violation()
        else:
            self._deliver_soon()

    def _next_frame(self) -> dict[str, Any] | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME_BYTES:
            raise ValueError("frame too long")
        if len(self._buffer) < _LENGTH.size + length:
            return None
        body = bytes(memoryview(self._buffer)[_LENGTH.size : _LENGTH.size + length])
        del self._buffer[: _LENGTH.size + length]
        if length > MAX_OUTLINE_BYTES:
            outside = outline(body, strings=MAX_STRINGS)
            if outside is None or len(outside) > MAX_OUTLINE_BYTES:
                raise ValueError("a frame of many parts")
        frame = json.loads(body)
        if not isinstance(frame, dict):
            raise TypeError("frame is no object")
        return frame
