"""HTTP/1.0 over the engine's unix socket: one connection a call, a deadline each, every answer bounded.

Rejected: the `docker` library. It picks errors by fragments of English, has no deadline for a whole call, brings `requests`,
and hands out the attached stream's descriptor by a private attribute alone. HTTP/1.0, so that no answer comes in chunks.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_ANSWER_BYTES = 16 << 20
MAX_HEAD_BYTES = 16 << 10
MAX_EVENT_BYTES = 1 << 20
READ_BYTES = 65536
CONNECT_SECONDS = 5.0


class EngineError(Exception):
    """The engine answered with an error status. Its text is for people alone."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class EngineGoneError(Exception):
    """The engine cannot be reached, said what is no HTTP, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine, by its socket. `api` is the version prefix of paths, "" before it is known."""

    path: Path
    api: str = ""

    async def call(self, method: str, path: str, body: Any = None, *, seconds: float) -> Any:
        """Make a call and return its JSON, None for an empty answer.

        Args:
            method: of HTTP.
            path: below the version, with its query; quoted by the caller.
            body: sent as JSON.
            seconds: for all of it.

        Raises:
            EngineError: the engine refuses.
            EngineGoneError: see there.
        """
        sock = await self._send(method, path, body, seconds)
        with sock:
            try:
                async with asyncio.timeout(seconds):
                    status, rest = await _head(sock)
                    raw = await _all(sock, rest)
            except TimeoutError:
                raise EngineGoneError(f"{method} {_shown(path)}: no answer in {seconds:g} s") from None
            except OSError as error:
                raise EngineGoneError(f"{method} {_shown(path)}: {error}") from None
        return _parsed(status, raw)

    async def attach(self, container: str, *, seconds: float) -> socket.socket:
        """Attach to a container's streams; what comes back is no HTTP any more, and the caller's to close.

        Raises:
            EngineError: the engine refuses.
            EngineGoneError: see there.
        """
        path = f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        sock = await self._send("POST", path, None, seconds)
        try:
            async with asyncio.timeout(seconds):
                # Byte by byte: what follows the head is the container's, and somebody else's to read.
                status, _ = await _head(sock, 1)
                if status not in {101, 200}:
                    _parsed(status, await _all(sock, b""))
        except TimeoutError:
            sock.close()
            raise EngineGoneError(f"attach: no answer in {seconds:g} s") from None
        except BaseException:
            sock.close()
            raise
        return sock

    async def events(self, filters: dict[str, list[str]]) -> AsyncIterator[dict[str, Any]]:
        """Yield the engine's events from now on, until the engine goes away.

        Raises:
            EngineError: the engine refuses.
            EngineGoneError: it is gone.
        """
        quoted = quote(json.dumps(filters))
        sock = await self._send("GET", f"/events?filters={quoted}", None, CONNECT_SECONDS)
        with sock:
            try:
                status, buffer = await _head(sock)
                if status != 200:  # noqa: PLR2004
                    _parsed(status, await _all(sock, buffer))
                async for line in _lines(sock, buffer):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event
            except (OSError, ValueError) as error:
                raise EngineGoneError(f"events: {error}") from None

    async def _send(self, method: str, path: str, body: Any, seconds: float) -> socket.socket:
        raw = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {self.api}{path} HTTP/1.0\r\nHost: engine\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            async with asyncio.timeout(min(seconds, CONNECT_SECONDS)):
                await loop.sock_connect(sock, str(self.path))
                await loop.sock_sendall(sock, head.encode("ascii") + raw)
        except TimeoutError:
            sock.close()
            raise EngineGoneError(f"{self.path} does not take calls") from None
        except OSError as error:
            sock.close()
            raise EngineGoneError(f"{self.path}: {error.strerror}") from None
        except BaseException:
            sock.close()
            raise
        return sock


def quote(text: str) -> str:
    """Quote a value for a query."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._~") else _percent(c) for c in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _shown(path: str) -> str:
    return path.partition("?")[0]


async def _head(sock: socket.socket, step: int = READ_BYTES) -> tuple[int, bytes]:
    """Read up to the end of the head; return the status and what was read of the body."""
    loop, raw = asyncio.get_running_loop(), b""
    while b"\r\n\r\n" not in raw:
        piece = await loop.sock_recv(sock, step)
        raw += piece
        if not piece or len(raw) > MAX_HEAD_BYTES + READ_BYTES:
            raise EngineGoneError("the engine's answer has no head")
    head, _, rest = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():  # noqa: PLR2004
        raise EngineGoneError("the engine's answer is no HTTP")
    return int(words[1]), rest


async def _all(sock: socket.socket, raw: bytes) -> bytes:
    loop, body = asyncio.get_running_loop(), bytearray(raw)
    while piece := await loop.sock_recv(sock, READ_BYTES):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise EngineGoneError("the engine's answer is too long")
    return bytes(body)


async def _lines(sock: socket.socket, raw: bytes) -> AsyncIterator[bytes]:
    loop, buffer = asyncio.get_running_loop(), bytearray(raw)
    while True:
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if line.strip():
                yield line
        piece = await loop.sock_recv(sock, READ_BYTES)
        buffer += piece
        if not piece or len(buffer) > MAX_EVENT_BYTES:
            raise EngineGoneError("the engine's events ended")


def _parsed(status: int, raw: bytes) -> Any:
    try:
        answer = json.loads(raw) if raw.strip() else None
    except (ValueError, RecursionError):
        answer = None
    if 200 <= status < 300:  # noqa: PLR2004
        return answer
    said = answer.get("message") if isinstance(answer, dict) else None
    raise EngineError(status, str(said or "no reason given")[:500])
