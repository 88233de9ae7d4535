"""The acceptor alone, before a backend that echoes: every byte in order, and bounded memory before a slow reader."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket

import pytest

from sandboxd.server.acceptor import Acceptor
from sandboxd.server.sockets import PublicSocket

MANY = 8 << 20


class Backend:
    """Counts what arrives; reads only while it may."""

    def __init__(self) -> None:
        self.received = 0
        self.reading = asyncio.Event()
        self.reading.set()
        self.peers: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(writer.get_extra_info("peername"))
        with contextlib.suppress(ConnectionError):
            while data := await self._read(reader):
                self.received += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        await self.reading.wait()
        return await reader.read(65536)


@pytest.fixture
async def accepted(short_dir):
    public = PublicSocket(f"unix:{short_dir}/s/public.sock", mode=0o660)
    backend = Backend()
    server = await asyncio.start_unix_server(backend.serve, path=str(public.private / "grpc"))
    async with asyncio.TaskGroup() as group:
        acceptor = Acceptor(
            public.listener,
            private=public.private,
            backend=public.private / "grpc",
            max_connections=4,
            only_uid=None,
            group=group,
        )
        await acceptor.start()
        yield public, backend, acceptor
        backend.reading.set()
        acceptor.close()
        server.close()
        await asyncio.sleep(0.05)
    public.close()


async def connect(public):
    return await asyncio.open_unix_connection(str(public.path))


async def test_every_byte_goes_both_ways_in_order_under_the_peers_name(accepted):
    public, backend, _ = accepted
    reader, writer = await connect(public)
    data = os.urandom(MANY)

    async def send() -> None:
        for at in range(0, MANY, 100_000):
            writer.write(data[at : at + 100_000])
            await writer.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        assert await reader.readexactly(MANY) == data
    assert re.fullmatch(
        rf".*/u{os.geteuid()}\.g{os.getegid()}\.p{os.getpid()}\.[0-9a-f]{{16}}", backend.peers[0]
    )
    writer.close()
    await writer.wait_closed()


async def test_a_reader_that_stands_still_stops_the_sender(accepted):
    public, backend, _ = accepted
    backend.reading.clear()
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        client.connect(str(public.path))
        sent, idle = 0, 0
        while idle < 20 and sent < 4 * MANY:
            try:
                sent += client.send(b"x" * 65536)
                idle = 0
            except BlockingIOError:
                idle += 1
                await asyncio.sleep(0.01)
        # Kernel buffers on both sides and ours between them, but not all that the sender has.
        assert sent < 4 << 20


async def test_the_end_of_one_side_is_the_end_of_the_other(accepted):
    public, backend, acceptor = accepted
    for _ in range(20):  # more than may be open: each one's place is free again
        reader, writer = await connect(public)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await asyncio.sleep(0.01)
    assert acceptor._open == {}
    assert len(backend.peers) == 20


async def test_connections_beyond_the_cap_are_closed_at_once(accepted):
    public, _, acceptor = accepted
    held = [await connect(public) for _ in range(4)]
    for reader, writer in held:
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    reader, writer = await connect(public)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    assert sum(acceptor._open.values()) == 4
    for _, one in [*held, (reader, writer)]:
        one.close()
        with contextlib.suppress(ConnectionError):
            await one.wait_closed()


async def test_without_a_backend_a_connection_ends(accepted):
    public, _, _ = accepted
    (public.private / "grpc").unlink()
    reader, writer = await connect(public)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert [one.name for one in public.private.iterdir()] == []
