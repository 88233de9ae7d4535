"""Takes connections on a public socket, asks the kernel who it is, and hands them to gRPC under that name.

gRPC tells a handler nothing of a unix peer but its socket's name. So each accepted connection is spliced to
one of our own into gRPC's socket, bound to `u<uid>.g<gid>.p<pid>.<nonce>` in the private directory:
`PeerNames` reads it back. Only this daemon's user can enter that directory, so nobody else can make such a
name.

A connection is two transports that write into each other. Each stops reading while the other cannot write,
so a slow reader on either side costs two buffers and no more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_logger = logging.getLogger(__name__)
_UCRED = struct.Struct("=iII")
_BUFFER_BYTES = 64 << 10
_HIGH_WATER_BYTES = 256 << 10
_SHUT_OUT_LOG_EVERY = 100


class Acceptor:
    """Serves one public socket.

    Args:
        listener: the public socket.
        private: the directory of names, as this process reaches it.
        backend: gRPC's socket in it.
        max_connections: open connections of one user id.
        only_uid: the one user id that may connect; None for whoever the file mode lets in.
        group: what owns the tasks that connect.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        private: Path,
        backend: Path,
        max_connections: int,
        only_uid: int | None,
        group: asyncio.TaskGroup,
    ) -> None:
        self._listener = listener
        self._private = private
        self._backend = str(backend)
        self._max_connections = max_connections
        self._only_uid = only_uid
        self._group = group
        self._open: Counter[int] = Counter()
        self._transports: set[asyncio.Transport] = set()
        self._shut_out = 0
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Side(self._made), sock=self._listener)

    def stop_accepting(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        """Cut every connection."""
        self.stop_accepting()
        for transport in list(self._transports):
            transport.abort()

    def _made(self, side: _Side) -> None:
        transport = side.transport
        assert transport is not None
        try:
            pid, uid, gid = peer_credentials(transport.get_extra_info("socket"))
        except OSError:
            transport.abort()
            return
        if not self._admits(uid):
            transport.abort()
            return
        self._open[uid] += 1
        self._transports.add(transport)
        side.on_lost = lambda: self._gone(uid, transport)
        transport.pause_reading()
        self._group.create_task(self._connect(side, f"u{uid}.g{gid}.p{max(pid, 0)}.{secrets.token_hex(8)}"))

    def _admits(self, uid: int) -> bool:
        if self._only_uid in {None, uid} and self._open[uid] < self._max_connections:
            return True
        # One line for many: whoever is shut out must not fill the log by trying.
        if self._shut_out % _SHUT_OUT_LOG_EVERY == 0:
            _logger.warning("connection shut out", extra={"uid": uid, "open": self._open[uid]})
        self._shut_out += 1
        return False

    def _gone(self, uid: int, transport: asyncio.Transport) -> None:
        self._transports.discard(transport)
        self._open[uid] -= 1
        if not self._open[uid]:
            del self._open[uid]

    async def _connect(self, front: _Side, name: str) -> None:
        loop = asyncio.get_running_loop()
        back = _Side(lambda _: None)
        try:
            connection = await self._named_connection(name)
            await loop.create_unix_connection(lambda: back, sock=connection)
        except OSError as error:
            _logger.warning("connection failed", extra={"errno": error.errno})
            back.close()
        if back.transport is None or front.transport is None or front.transport.is_closing():
            back.close()
            front.close()
            return
        transport = back.transport
        self._transports.add(transport)
        back.on_lost = lambda: self._transports.discard(transport)
        front.link(back)
        back.link(front)
        front.transport.resume_reading()

    async def _named_connection(self, name: str) -> socket.socket:
        connection = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        path = str(self._private / name)
        try:
            connection.bind(path)
            try:
                await asyncio.get_running_loop().sock_connect(connection, self._backend)
            finally:
                os.unlink(path)  # noqa: PTH108  # the peer keeps the name; the directory stays empty
        except BaseException:
            connection.close()
            raise
        return connection


class _Side(asyncio.BufferedProtocol):
    """One end of a splice. What it receives goes out at the other end."""

    def __init__(self, on_made: Callable[[_Side], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.on_lost: Callable[[], None] | None = None
        self._on_made = on_made
        # What came before the other end was there. Pausing does not rule it out: CPython before 3.11.4 forgets a
        # pause made in `connection_made`, and gRPC may greet before this side is linked.
        self._early = b""
        self._view = memoryview(bytearray(_BUFFER_BYTES))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._on_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._view

    def link(self, other: _Side) -> None:
        """Send what comes to `other`, beginning with what has come already."""
        self.other = other
        early, self._early = self._early, b""
        if early and other.transport is not None:
            other.transport.write(early)

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._view[:nbytes])  # a copy: the transport may keep it
        if self.other is None:
            self._early += data
            if self.transport is not None and len(self._early) > _HIGH_WATER_BYTES:
                self.transport.abort()
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        if self.other is not None:
            self.other.close()
        if self.on_lost is not None:
            self.on_lost()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def peer_credentials(connection: socket.socket) -> tuple[int, int, int]:
    """Ask the kernel who connected: process, user and group id at the time of connect()."""
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid, gid
