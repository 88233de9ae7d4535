"""The broker's HTTP against engines that are not what they should be: each a typed error, within its deadline and bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sandboxd.broker import facts
from sandboxd.broker.http import MAX_ANSWER_BYTES, Engine, EngineError, EngineGoneError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def answering(short_dir: Path) -> AsyncIterator[Callable[[bytes | Handler], Awaitable[Engine]]]:
    """A function that serves an answer, or what a handler does, on a socket."""
    servers: list[asyncio.Server] = []

    async def serve(answer: bytes | Handler) -> Engine:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                if callable(answer):
                    await answer(reader, writer)
                else:
                    writer.write(answer)
                    await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError):
                return
            finally:
                writer.close()

        path = short_dir / f"engine{len(servers)}"
        servers.append(await asyncio.start_unix_server(handle, path))
        return Engine(path)

    yield serve
    for server in servers:
        server.close()


def http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.0 %d X\r\nContent-Type: application/json\r\n\r\n" % status + body


async def test_an_answer_is_its_json(answering) -> None:
    engine = await answering(http(200, b'{"x": 1}'))
    assert await engine.call("GET", "/x", seconds=5) == {"x": 1}
    assert await (await answering(http(204, b""))).call("POST", "/x", seconds=5) is None


async def test_a_refusal_has_its_status_and_a_bounded_text(answering) -> None:
    engine = await answering(http(409, b'{"message": "' + b"m" * 9000 + b'"}'))
    with pytest.raises(EngineError) as refused:
        await engine.call("GET", "/x", seconds=5)
    assert refused.value.status == 409
    assert len(refused.value.message) <= 500


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.0 abc\r\n\r\n",
        b"HTTP/1.0\r\n\r\n",
        b"x" * 200_000,
        b"HTTP/1.0 200 OK\r\n",
    ],
)
async def test_what_is_no_http_is_an_engine_that_is_gone(answering, answer: bytes) -> None:
    engine = await answering(answer)
    with pytest.raises(EngineGoneError):
        await engine.call("GET", "/x", seconds=5)
    with pytest.raises(EngineGoneError):
        await engine.attach("c", seconds=5)


async def test_an_answer_without_an_end_is_cut_off(answering) -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(200, b""))
        for _ in range(2 * MAX_ANSWER_BYTES // 65536):
            writer.write(b" " * 65536)
            await writer.drain()

    engine = await answering(flood)
    with pytest.raises(EngineGoneError):
        await engine.call("GET", "/x", seconds=30)


async def test_silence_has_a_deadline(answering) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    engine = await answering(silent)
    for call in (engine.call("GET", "/x", seconds=0.2), engine.attach("c", seconds=0.2), facts.find(engine)):
        with pytest.raises(EngineGoneError):
            async with asyncio.timeout(30):
                await call


async def test_a_stream_that_is_attached_has_lost_no_byte(answering) -> None:
    engine = await answering(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nfirst")
    with await engine.attach("c", seconds=5) as sock:
        assert await asyncio.get_running_loop().sock_recv(sock, 64) == b"first"


async def test_events_come_one_by_one_and_end_with_the_engine(answering) -> None:
    engine = await answering(http(200, b'{"n": 1}\n{"n": 2}\n[3]\n'))
    found = []
    with pytest.raises(EngineGoneError):
        async for event in engine.events({}):
            found += [event["n"]]
    assert found == [1, 2]


async def test_a_socket_that_is_not_there_is_an_engine_that_is_gone(short_dir: Path) -> None:
    with pytest.raises(EngineGoneError):
        await Engine(short_dir / "none").call("GET", "/x", seconds=5)
