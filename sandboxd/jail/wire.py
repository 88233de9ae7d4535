"""Messages between launcher, zygote and pid 1: one JSON object a SOCK_SEQPACKET packet, descriptors beside it.

Both ends are ours, yet the reading side stays bounded and strict: pid 1 shares a box with hostile code.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any, Dict, List, Optional, Sequence, Tuple

MAX_BYTES = 256 * 1024
MAX_FDS = 8

Message = Dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` makes one a call

# One for all: every user of this module is single-threaded, and a fresh one of this size would be mapped each time.
_buffer = bytearray(MAX_BYTES)


class WireError(Exception):
    """A packet that is no message of ours."""


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message.

    Raises:
        OSError: the peer is gone, or (non-blocking sockets) BlockingIOError.
        WireError: the message is too large.
    """
    raw = _encode(message).encode()
    if len(raw) > MAX_BYTES:
        raise WireError("message of %d bytes" % len(raw))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([raw], ancillary, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket, flags: int = 0) -> Tuple[Message, List[int]]:
    """Receive one message and its descriptors (close-on-exec). `flags` are recvmsg(2)'s.

    Raises:
        EOFError: the peer closed.
        WireError: the packet is truncated or no JSON object with an "op".
    """
    size, ancillary, told, _ = sock.recvmsg_into(
        [_buffer], socket.CMSG_SPACE(MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC | flags
    )
    raw = bytes(memoryview(_buffer)[:size])
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % 4])
    if not raw and not fds:
        raise EOFError
    message = None if told & (socket.MSG_TRUNC | socket.MSG_CTRUNC) else parse(raw)
    if message is None:
        for fd in fds:
            os.close(fd)
        raise WireError("truncated packet, or no message")
    return message, list(fds)


def parse(raw: bytes) -> Optional[Message]:
    """Return the message of a packet, None if it is none."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("op"), str) else None


def pair() -> Tuple[socket.socket, socket.socket]:
    """Return a connected SEQPACKET pair whose buffers take the largest message."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_BYTES)
    return ends
