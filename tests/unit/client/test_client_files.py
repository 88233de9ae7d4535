"""Files: streamed in pieces, sizes and hashes held to."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

import pytest
from sandboxd_client import AsyncSandbox, FaultError, RefusedError, Sandbox
from sandboxd_client._payload import CHUNK_BYTES, Payload
from sandboxd_proto.v1 import sandbox_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fake_daemon import FakeDaemon

BIG = os.urandom(3 * CHUNK_BYTES + 17)


@pytest.mark.parametrize("data", [b"", b"x", BIG, bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_go_there_and_back(sandbox: Sandbox, data: bytes) -> None:
    assert sandbox.files.write("f.bin", data).size_bytes == len(data)
    assert sandbox.files.read("f.bin", format="bytes") == bytes(data)


async def test_the_asynchronous_half_does_the_same(fake: FakeDaemon) -> None:
    async with AsyncSandbox(address=fake.address) as sandbox:
        assert (await sandbox.files.write("f.bin", BIG)).size_bytes == len(BIG)
        assert await sandbox.files.read("f.bin", format="bytes") == BIG
        assert not await sandbox.files.exists("other")
        assert [file.name for file in await sandbox.files.list()] == ["f.bin"]


def test_text_is_utf8_and_nothing_else(sandbox: Sandbox, fake: FakeDaemon) -> None:
    sandbox.files.write("t.txt", "zoë €")
    assert fake.files["t.txt"] == "zoë €".encode()
    assert sandbox.files.read("t.txt") == "zoë €"
    sandbox.files.write("b", b"\xff")
    with pytest.raises(UnicodeDecodeError):
        sandbox.files.read("b")


def test_an_open_file_is_sent_from_where_it_stands(
    sandbox: Sandbox, fake: FakeDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "local"
    path.write_bytes(b"skip" + BIG)
    with path.open("rb") as file:
        file.read(4)
        sandbox.files.write("f", file)
        assert not file.closed
    assert fake.files["f"] == BIG


def test_a_pipe_and_a_text_file_are_sent_too(sandbox: Sandbox, fake: FakeDaemon) -> None:
    read, write = os.pipe()
    os.write(write, b"from a pipe")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        sandbox.files.write("p", pipe)
    sandbox.files.write("t", io.StringIO("tëxt"))
    assert (fake.files["p"], fake.files["t"]) == (b"from a pipe", "tëxt".encode())


def test_paths_and_pieces_are_sent(sandbox: Sandbox, fake: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(BIG)
    sandbox.files.write("f", tmp_path / "local")
    sandbox.files.write("g", (piece for piece in (b"one", "twö", b"")))
    assert (fake.files["f"], fake.files["g"]) == (BIG, b"one" + "twö".encode())


async def test_asynchronous_pieces_are_sent(fake: FakeDaemon) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield BIG

    async with AsyncSandbox(address=fake.address) as sandbox:
        await sandbox.files.write("f", pieces())
        assert fake.files["f"] == b"one" + BIG
        assert (
            b"".join([part async for part in await sandbox.files.read("f", format="stream")]) == b"one" + BIG
        )


def test_a_stream_and_a_copy_on_this_side(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.files.write("f", BIG)
    parts = list(sandbox.files.read("f", format="stream"))
    assert b"".join(parts) == BIG
    assert len(parts) > 1
    sandbox.files.download("f", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == BIG
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_copy_that_is_not_whole_is_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("old")
    with pytest.raises(RefusedError):
        sandbox.files.download("missing", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_payload_leaves_no_file_behind() -> None:
    payload = Payload(io.StringIO("x"))
    owned = payload._owned
    with payload:
        assert (payload.size_bytes, payload.sha256) == (1, hashlib.sha256(b"x").hexdigest())
    assert owned is not None
    assert owned.closed


def _file(size: int) -> pb.DownloadResponse:
    return pb.DownloadResponse(file=pb.FileInfo(path="f", size_bytes=size))


def _chunk(data: bytes) -> pb.DownloadResponse:
    return pb.DownloadResponse(chunk=data)


@pytest.mark.parametrize(
    "parts",
    [
        [_file(2), _chunk(b"abc"), pb.DownloadResponse(sha256=hashlib.sha256(b"abc").hexdigest())],
        [_file(4), _chunk(b"abc"), pb.DownloadResponse(sha256=hashlib.sha256(b"abc").hexdigest())],
        [_file(3), _chunk(b"abd"), pb.DownloadResponse(sha256=hashlib.sha256(b"abc").hexdigest())],
        [_file(3), _chunk(b"abc")],
        [_chunk(b"abc")],
        [],
    ],
)
def test_a_download_that_is_not_what_was_declared_is_a_fault(
    sandbox: Sandbox, fake: FakeDaemon, parts: list[pb.DownloadResponse]
) -> None:
    fake.download = parts
    with pytest.raises(FaultError):
        sandbox.files.read("f", format="bytes")


def test_what_is_not_there_is_refused_by_code(sandbox: Sandbox) -> None:
    with pytest.raises(RefusedError) as caught:
        sandbox.files.read("nowhere")
    assert caught.value.code == "FILE_NOT_FOUND"
    assert not sandbox.files.exists("nowhere")


def test_a_list_says_that_it_is_cut_and_unknown_kinds_are_other(sandbox: Sandbox) -> None:
    sandbox.files.write("dir/a", b"")
    listed = sandbox.files.list()
    assert listed.truncated
    assert [(file.name, file.kind) for file in listed] == [("a", "other")]
