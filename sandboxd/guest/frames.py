"""The control socket: length-prefixed JSON, bounded both ways.

A cell can reach this socket and write to it; the host trusts nothing that comes out of it. When it is closed,
by the host or by a cell that closed descriptors at random, the guest ends: a guest that nobody hears must not
go on.
"""

from __future__ import annotations

import json
import os
import struct
from _thread import allocate_lock
from socket import MSG_DONTWAIT
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

if TYPE_CHECKING:
    import socket

    from sandboxd.guest.interrupts import Gate

MAX_FROM_HOST_BYTES = 8 * 1024 * 1024  # a tool's value is text within text: each quote of it takes two bytes
MAX_TO_HOST_BYTES = 16 * 1024 * 1024

EXIT_CLOSED = 0  # the host closed the control socket
EXIT_FAILED = 70  # the control socket broke, or said what no host says

_exit = os._exit
_LENGTH = struct.Struct(">I")
_RECEIVE_BYTES = 64 * 1024
# Held here: after a cell that spoilt a built-in, an error must still get out.
_len, _bytes, _isinstance = len, bytes, isinstance


class _Encoder(json.JSONEncoder):
    """The standard encoder with its methods held here: programs patch `json.JSONEncoder` to serialize more types."""

    default = json.JSONEncoder.default
    encode = json.JSONEncoder.encode
    iterencode = json.JSONEncoder.iterencode


_encode = _Encoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_scan: Callable[[str, int], Tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class FrameTooLargeError(ValueError):
    """A message does not fit a frame to the host."""


class Channel:
    """Frames to and from the host. Sending is safe from any thread; one thread receives."""

    __slots__ = ("_buffer", "_gate", "_lock", "_receive", "_send_all", "_socket")

    def __init__(self, control: socket.socket, gate: Gate) -> None:
        control.setblocking(True)
        control.set_inheritable(False)
        self._socket = control
        self._receive: Callable[..., bytes] = control.recv
        self._send_all: Callable[[bytes], object] = control.sendall
        self._gate = gate
        self._lock = allocate_lock()
        self._buffer = bytearray()

    def receive(self) -> Dict[str, Any]:
        """Wait for the host's next frame. At the end of the stream the process ends."""
        return _message(self._take(_size(self._take(_LENGTH.size))))

    def pump(self) -> List[Dict[str, Any]]:
        """Read what has come, without waiting. Call it with interrupts held off, while nobody is in `receive`."""
        buffer, messages = self._buffer, []
        try:
            chunk = self._receive(_RECEIVE_BYTES, MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            _exit(EXIT_FAILED)
        if not chunk:
            _exit(EXIT_CLOSED)
        buffer += chunk
        while _len(buffer) >= _LENGTH.size:
            end = _LENGTH.size + _size(buffer)
            if _len(buffer) < end:
                break
            body = _bytes(buffer[_LENGTH.size : end])
            # Before it is parsed: a collection may run a program's `__del__`, and that may come here again.
            del buffer[:end]
            messages.append(_message(body))
        return messages

    def fileno(self) -> int:
        """Give the socket's descriptor, to wait for what comes; -1 in a process that a cell forked."""
        return self._socket.fileno()

    def send(self, message: Dict[str, Any]) -> None:
        """Send one frame whole, whatever interrupts arrive.

        Raises:
            FrameTooLargeError: it is over the host's bound; nothing was sent.
        """
        payload = _encode(message).encode("utf-8", "replace")  # a lone surrogate is no UTF-8
        if _len(payload) > MAX_TO_HOST_BYTES:
            raise FrameTooLargeError(f"a frame of {_len(payload)} bytes")
        self._gate.shielded(self._write, _LENGTH.pack(_len(payload)) + payload)

    def close_in_child(self) -> None:
        """Close the socket in a process that a cell forked: it is no guest, and what it shows goes nowhere."""
        self._socket.close()
        self._send_all = _ignore
        self._lock = allocate_lock()  # another thread may have held it at the fork

    def forget(self) -> None:
        """Drop what was read of the socket that another one has taken the place of."""
        self._buffer.clear()

    def _write(self, data: bytes) -> None:
        with self._lock:
            try:
                self._send_all(data)
            except (BrokenPipeError, ConnectionResetError):
                _exit(EXIT_CLOSED)
            except OSError:
                _exit(EXIT_FAILED)

    def _take(self, size: int) -> bytes:
        buffer = self._buffer
        while _len(buffer) < size:
            try:
                chunk = self._receive(_RECEIVE_BYTES)
            except ConnectionResetError:
                _exit(EXIT_CLOSED)
            except OSError:
                _exit(EXIT_FAILED)
            if not chunk:
                _exit(EXIT_CLOSED)
            buffer += chunk
        taken = _bytes(buffer[:size])
        del buffer[:size]
        return taken


def _size(head: Any) -> int:
    size: int = _LENGTH.unpack_from(head)[0]
    if size > MAX_FROM_HOST_BYTES:
        _exit(EXIT_FAILED)
    return size


def _message(data: bytes) -> Dict[str, Any]:
    message: Dict[str, Any] = _scan(data.decode("utf-8"), 0)[0]
    if not _isinstance(message, dict):
        _exit(EXIT_FAILED)
    return message


def _ignore(_data: bytes) -> None:
    return
