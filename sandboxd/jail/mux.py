"""One stream for all that a container and its daemon say to each other: channels, frames, and windows.

The engine gives a container one attached stream. On it travel orders (JSON), the guest's control socket, its two outputs,
and files. Each data channel has a window: its sender may have so many bytes on their way and no more, until the receiver
grants what it has passed on. So no channel can hold up another, and neither end ever buffers without a bound, whatever the
other one does. A frame is a channel number and a length, big-endian, and the payload.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Optional, Tuple

ORDERS, GRANTS, CONTROL, STDOUT, STDERR = range(5)
FIRST_TRANSFER = 16
LAST_CHANNEL = 0xFFFF
WINDOW_BYTES = (
    65536  # what a pipe holds: the receiver passes a whole window on without having to keep any of it
)
MAX_DATA_BYTES = 32768  # of one frame: the engine's own copy buffer
MAX_ORDER_BYTES = 1 << 20
# A path of 4,096 of them, and some: a megabyte of `[],` would keep the front, which serves all, for a tenth of a second.
MAX_ORDER_BRACKETS = 8192

_HEADER = struct.Struct(">HI")
_GRANT = struct.Struct(">HI")

Order = Dict[str, Any]
Frame = Tuple[int, bytes]


class MuxError(Exception):
    """The peer broke the protocol: it can no longer be understood."""


def frame(channel: int, payload: bytes) -> bytes:
    """Return one frame."""
    return _HEADER.pack(channel, len(payload)) + payload


def order(message: Order) -> bytes:
    """Return the frame of an order.

    Raises:
        MuxError: it is too large.
    """
    raw = json.dumps(message, separators=(",", ":")).encode()
    if len(raw) > MAX_ORDER_BYTES:
        raise MuxError("an order of %d bytes" % len(raw))
    return frame(ORDERS, raw)


def grant(channel: int, size: int) -> bytes:
    """Return the frame that lets the peer send more on a channel."""
    return frame(GRANTS, _GRANT.pack(channel, size))


def parse_order(payload: bytes) -> Order:
    """Return the order of a payload.

    Raises:
        MuxError: it is no object with an "op".
    """
    if payload.count(b"[") + payload.count(b"{") > MAX_ORDER_BRACKETS:
        raise MuxError("an order of many parts")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise MuxError("an order that is no JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise MuxError("an order without a name")
    return message


def parse_grant(payload: bytes) -> Tuple[int, int]:
    """Return the channel and the bytes of a grant.

    Raises:
        MuxError: it has another size.
    """
    if len(payload) != _GRANT.size:
        raise MuxError("a grant of another size")
    channel, size = _GRANT.unpack(payload)
    return channel, size


class Splitter:
    """Cuts a stream into frames, of bounded size each."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> List[Frame]:
        """Take bytes, return the frames that they complete.

        Raises:
            MuxError: a frame is longer than its channel allows.
        """
        self._buffer += data
        frames = []
        while (found := self._next()) is not None:
            frames.append(found)
        return frames

    def _next(self) -> Optional[Frame]:
        if len(self._buffer) < _HEADER.size:
            return None
        channel, length = _HEADER.unpack_from(self._buffer)
        if length > (MAX_ORDER_BYTES if channel == ORDERS else MAX_DATA_BYTES):
            raise MuxError("a frame of %d bytes on channel %d" % (length, channel))
        if len(self._buffer) < _HEADER.size + length:
            return None
        payload = bytes(self._buffer[_HEADER.size : _HEADER.size + length])
        del self._buffer[: _HEADER.size + length]
        return channel, payload


class Windows:
    """Both ends' accounts of what is on its way, by channel. A channel that was never named has a full window."""

    def __init__(self) -> None:
        self._may_send: Dict[int, int] = {}
        self._may_come: Dict[int, int] = {}
        self._passed_on: Dict[int, int] = {}

    def room(self, channel: int) -> int:
        """Return the bytes that may be sent now, as one frame."""
        return min(self._may_send.get(channel, WINDOW_BYTES), MAX_DATA_BYTES)

    def sent(self, channel: int, size: int) -> None:
        """Note what was sent."""
        self._may_send[channel] = self._may_send.get(channel, WINDOW_BYTES) - size

    def granted(self, channel: int, size: int) -> None:
        """Note what the peer grants. What was on its way when a channel was forgotten is for nothing.

        Raises:
            MuxError: more than a window.
        """
        if channel not in self._may_send:
            return
        self._may_send[channel] += size
        if self._may_send[channel] > WINDOW_BYTES:
            raise MuxError("more granted than was sent on channel %d" % channel)

    def came(self, channel: int, size: int) -> None:
        """Note what the peer sent.

        Raises:
            MuxError: more than it may.
        """
        self._may_come[channel] = self._may_come.get(channel, WINDOW_BYTES) - size
        if self._may_come[channel] < 0:
            raise MuxError("channel %d is over its window" % channel)

    def passed_on(self, channel: int, size: int) -> bytes:
        """Note what was passed on; returns the grant to send, empty while it is not worth a frame."""
        due = self._passed_on.get(channel, 0) + size
        if due < WINDOW_BYTES // 2:
            self._passed_on[channel] = due
            return b""
        self._passed_on[channel] = 0
        self._may_come[channel] = self._may_come.get(channel, WINDOW_BYTES) + due
        return grant(channel, due)

    def forget(self, channel: int) -> None:
        """Begin a channel anew: both ends do, at the order that ends what used it."""
        for account in (self._may_send, self._may_come, self._passed_on):
            account.pop(channel, None)
