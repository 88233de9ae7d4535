"""The socket to one screener process, seen from the daemon: one question, one answer, and silence between them.

What comes back was written by a process that read hostile text. An answer is bounded, carries the question's token, and
ends where it says; a word too many, or out of turn, breaks the link for good.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
from typing import Any

MAX_HEAD_BYTES = 512 * 1024
MAX_TAIL_BYTES = 2 * 1024 * 1024
_SIZES = struct.Struct(">II")
_READ_BYTES = 65536
_SEND_BUFFER_BYTES = 1024 * 1024  # a source in one call, where the kernel grants it
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class LinkError(Exception):
    """The process died, was too slow, or sent what is no answer; nothing more can be asked of it."""


class Link:
    """Talks over a connected stream socket, which it owns. Belongs to one event loop."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self.broken = ""
        self._loop.add_reader(sock, self._readable)

    async def ask(
        self, question: dict[str, Any], tail: bytes, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Send a question and return its answer: head and tail.

        Raises:
            LinkError: there is none; the link is broken from now on.
        """
        token = secrets.token_hex(8)
        head = _encode({**question, "token": token}).encode()
        frame = b"".join((_SIZES.pack(len(head), len(tail)), head, tail))
        answer = await self.receive(seconds, frame)
        if answer[0].get("token") != token:
            raise self._break("an answer to another question")
        return answer

    async def receive(self, seconds: float, frame: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Send `frame` and wait for one frame.

        Raises:
            LinkError: as `ask`.
        """
        if self.broken:
            raise LinkError(self.broken)
        answer = self._answer = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._break, f"no answer within {seconds:g} s")
        try:
            if frame:
                await self._send(frame, seconds)
            return self._parsed(await answer)
        except BaseException:
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # it ended while it was asked: known already, and no news for asyncio's log
            self._break("given up")
            raise
        finally:
            self._answer = None
            timer.cancel()

    def close(self) -> None:
        """Close the socket: the process reads its end. Idempotent."""
        self._break("closed")
        self._sock.close()

    async def _send(self, frame: bytes, seconds: float) -> None:
        try:
            sent = self._sock.send(frame)
            if sent < len(frame):
                async with asyncio.timeout(seconds):
                    await self._loop.sock_sendall(self._sock, memoryview(frame)[sent:])
        except TimeoutError:
            raise LinkError(f"not read within {seconds:g} s") from None
        except OSError as error:
            raise LinkError(f"cannot be asked: {error.strerror}") from None

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._break("it ended")
        elif self._answer is None or self._answer.done():
            self._break("it spoke unasked")
        else:
            self._buffer += data
            self._take(self._answer)

    def _take(self, answer: asyncio.Future[bytes]) -> None:
        if len(self._buffer) < _SIZES.size:
            return
        head, tail = _SIZES.unpack_from(self._buffer)
        wanted = _SIZES.size + head + tail
        if head > MAX_HEAD_BYTES or tail > MAX_TAIL_BYTES:
            self._break("the answer is too large")
        elif len(self._buffer) > wanted:
            self._break("more than one answer")
        elif len(self._buffer) == wanted:
            answer.set_result(bytes(self._buffer))
            self._buffer.clear()

    @staticmethod
    def _parsed(frame: bytes) -> tuple[dict[str, Any], bytes]:
        size, _ = _SIZES.unpack_from(frame)
        end = _SIZES.size + size
        try:
            head = _decode(str(frame[_SIZES.size : end], "ascii"))
        except (ValueError, RecursionError) as error:
            raise LinkError(f"no answer: {type(error).__name__}") from None
        if not isinstance(head, dict):
            raise LinkError("the answer has another form")
        return head, frame[end:]

    def _break(self, reason: str) -> LinkError:
        error = LinkError(self.broken or reason)
        if not self.broken:
            self.broken = reason
            self._loop.remove_reader(self._sock)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        return error
