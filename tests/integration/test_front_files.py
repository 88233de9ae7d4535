"""Files over the wire: whole or not at all, bounded by what was declared and by the policy."""

from __future__ import annotations

import hashlib

import grpc
import pytest
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected, error_info, new_id, stdout

pytestmark = pytest.mark.userns
CHUNK = 256 << 10


@pytest.fixture
async def wire(daemon):
    async with connected(daemon.address) as found:
        yield found


@pytest.fixture
async def stream(wire):
    found = await wire.open(policy="unscreened")
    yield found
    found.cut()


async def upload(wire, stream, path, data, *, size=None, sha256=None, chunk=CHUNK):
    async def parts():
        yield pb.UploadRequest(
            start=pb.UploadStart(
                session_id=stream.opened.session_id,
                path=path,
                size_bytes=len(data) if size is None else size,
                sha256=hashlib.sha256(data).hexdigest() if sha256 is None else sha256,
            )
        )
        for at in range(0, len(data), chunk):
            yield pb.UploadRequest(chunk=data[at : at + chunk])

    return await wire.sandbox.Upload(parts())


async def download(wire, stream, path):
    request = pb.DownloadRequest(session_id=stream.opened.session_id, path=path)
    parts = [part async for part in wire.sandbox.Download(request)]
    return parts[0].file, b"".join(part.chunk for part in parts), parts[-1].sha256


async def listed(wire, stream):
    answer = await wire.sandbox.ListFiles(pb.ListFilesRequest(session_id=stream.opened.session_id))
    return sorted(one.path.rpartition("/")[2] for one in answer.files)


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 3_000_001])
async def test_a_file_goes_in_and_comes_out(wire, stream, size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    answer = await upload(wire, stream, "data.bin", data)
    assert (answer.file.size_bytes, answer.file.kind) == (size, pb.FILE_KIND_FILE)
    events = await stream.run("import os; print(os.stat('/work/data.bin').st_size)")
    assert stdout(events) == f"{size}\n".encode()
    file, received, digest = await download(wire, stream, "data.bin")
    assert (file.size_bytes, received, digest) == (size, data, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"sha256": "0" * 64}, "FILE_HASH_MISMATCH"),
        ({"sha256": "not-a-hash"}, "INVALID_REQUEST"),
        ({"size": 3}, "INVALID_REQUEST"),
        ({"size": 1_000}, "INVALID_REQUEST"),
        ({"size": 1 << 50}, "FILE_TOO_LARGE"),
    ],
)
async def test_an_upload_that_is_not_as_declared_leaves_nothing(wire, stream, wrong, reason):
    info = await wire.refusal(upload(wire, stream, "data.bin", b"0123456789", **wrong))
    assert info.reason == reason
    assert await listed(wire, stream) == []


async def test_a_chunk_above_its_bound_is_refused(wire, stream):
    info = await wire.refusal(upload(wire, stream, "big", b"x" * (CHUNK + 1), chunk=CHUNK + 1))
    assert info.reason == "INVALID_REQUEST"
    assert await listed(wire, stream) == []


async def test_a_client_that_leaves_in_mid_upload_leaves_nothing(wire, stream):
    call = wire.sandbox.Upload()
    start = pb.UploadStart(
        session_id=stream.opened.session_id, path="half", size_bytes=10_000_000, sha256="0" * 64
    )
    await call.write(pb.UploadRequest(start=start))
    for _ in range(10):
        await call.write(pb.UploadRequest(chunk=b"x" * CHUNK))
    call.cancel()
    await upload(wire, stream, "whole", b"1")  # waits for the one before: one upload at a time
    assert await listed(wire, stream) == ["whole"]
    events = await stream.run("import os; print(sorted(os.listdir('/work')))")
    assert stdout(events) == b"['whole']\n"


@pytest.mark.parametrize("path", ["../etc/passwd", "/etc/passwd", "a/../../b", "", "nul\0", "x" * 5000])
async def test_a_path_outside_work_is_refused(wire, stream, path):
    info = await wire.refusal(upload(wire, stream, path, b"1"))
    assert info.reason in {"FILE_PATH_INVALID", "FILE_NOT_FOUND"}


@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/self/environ"])
async def test_a_link_out_of_work_is_not_followed(wire, stream, target):
    await stream.run(f"import os; os.symlink({target!r}, '/work/link')")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await download(wire, stream, "link")
    assert error_info(caught.value).reason in {"FILE_NOT_REGULAR", "FILE_PATH_INVALID", "FILE_NOT_FOUND"}


@pytest.mark.parametrize("make", ["os.mkdir('/work/odd')", "os.mkfifo('/work/odd')"])
async def test_what_is_no_regular_file_is_refused_and_does_not_hang(wire, stream, make):
    made = (await stream.run(f"import os; {make}"))[-1].result.outcome == pb.OUTCOME_OK
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await download(wire, stream, "odd")
    # Where the jail lets no pipe be made there is nothing to open.
    assert error_info(caught.value).reason == ("FILE_NOT_REGULAR" if made else "FILE_NOT_FOUND")


async def test_stat_and_remove(wire, stream):
    await upload(wire, stream, "a.txt", b"12345")
    session_id = stream.opened.session_id
    answer = await wire.sandbox.StatFile(pb.StatFileRequest(session_id=session_id, path="a.txt"))
    assert answer.file.size_bytes == 5
    await wire.sandbox.RemoveFile(pb.RemoveFileRequest(session_id=session_id, path="a.txt"))
    info = await wire.refusal(wire.sandbox.StatFile(pb.StatFileRequest(session_id=session_id, path="a.txt")))
    assert info.reason == "FILE_NOT_FOUND"


async def test_rename_and_make_directory(wire, stream):
    session_id = stream.opened.session_id
    await upload(wire, stream, "a.txt", b"12345")
    made = await wire.sandbox.MakeDirectory(pb.MakeDirectoryRequest(session_id=session_id, path="d/e"))
    again = await wire.sandbox.MakeDirectory(pb.MakeDirectoryRequest(session_id=session_id, path="d/e"))
    assert (made.file.kind, again.file.kind) == (pb.FILE_KIND_DIRECTORY, pb.FILE_KIND_DIRECTORY)
    request = pb.RenameFileRequest(session_id=session_id, path="a.txt", new_path="/work/d/new/b.txt")
    answer = await wire.sandbox.RenameFile(request)
    assert (answer.file.path, answer.file.size_bytes) == ("d/new/b.txt", 5)
    assert await listed(wire, stream) == ["d"]
    assert (await download(wire, stream, "d/new/b.txt"))[1] == b"12345"
    info = await wire.refusal(wire.sandbox.RenameFile(request))
    assert info.reason == "FILE_NOT_FOUND"
    info = await wire.refusal(
        wire.sandbox.MakeDirectory(pb.MakeDirectoryRequest(session_id=session_id, path="d/new/b.txt/c"))
    )
    assert info.reason == "FILE_NOT_FOUND"


async def test_a_rename_and_a_directory_are_recorded(wire, stream, daemon):
    session_id, name = stream.opened.session_id, new_id()
    await wire.sandbox.MakeDirectory(pb.MakeDirectoryRequest(session_id=session_id, path=name))
    await wire.sandbox.RenameFile(
        pb.RenameFileRequest(session_id=session_id, path=name, new_path=f"{name}-new")
    )
    await wire.sandbox.RemoveFile(pb.RemoveFileRequest(session_id=session_id, path=f"{name}-new"))
    await stream.run("1")  # its intent is durable, and so is what stands before it
    log = b"".join(path.read_bytes() for path in sorted((daemon.state_dir / "log").glob("*")))
    lines = [line for line in log.splitlines() if name.encode() in line]
    for kind, line in zip((b"directory_made", b"file_renamed", b"file_removed"), lines, strict=True):
        assert kind in line
    assert f"{name}-new".encode() in lines[1]


async def test_files_need_the_sessions_token(wire, stream):
    info = await wire.refusal(
        wire.sandbox.ListFiles(pb.ListFilesRequest(session_id=stream.opened.display_id))
    )
    assert info.reason == "SESSION_NOT_FOUND"


async def test_file_operations_are_recorded_without_content(wire, stream, daemon):
    name = f"{new_id()}.txt"
    secret = b"content-that-is-nobodys-business"
    await upload(wire, stream, name, secret)
    await download(wire, stream, name)
    await stream.run("1")  # its intent is durable, and so is what stands before it
    log = b"".join(path.read_bytes() for path in sorted((daemon.state_dir / "log").glob("*")))
    for kind in (b"file_written", b"file_read"):
        line = next(line for line in log.splitlines() if kind in line and name.encode() in line)
        assert hashlib.sha256(secret).hexdigest().encode() in line
    assert secret not in log
