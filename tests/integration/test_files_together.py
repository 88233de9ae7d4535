"""Files while a snippet runs, while a session rests, from several callers at once, and when one end is killed in mid-way."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import time

import grpc
import pytest
import traces
from mutants import Edit, make_mutant
from sandboxd_client import AsyncSandbox, RefusedError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected

pytestmark = [pytest.mark.userns, pytest.mark.timeout(120)]

MIB = 1 << 20


@pytest.fixture
async def sandbox(daemon):
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as opened:
        await opened.run_code("import os, time, hashlib")
        yield opened


async def test_a_running_snippet_sees_what_is_uploaded(sandbox):
    wait = "while not os.path.exists('in'): time.sleep(0.01)\nopen('out', 'w').write(open('in').read()[::-1])"
    running = asyncio.create_task(sandbox.run_code(wait, timeout=20))
    await sandbox.files.make_dir("d")
    await sandbox.files.write("d/in", "abc")
    await sandbox.files.rename("d/in", "in")
    done = await running
    assert done.ok
    assert [file.path for file in done.files] == ["out"], "what the client put there is not the snippet's"
    assert await sandbox.files.read("out") == "cba"


async def test_a_resting_session_serves_files(sandbox):
    await sandbox.run_code(
        "import threading; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    )
    await asyncio.sleep(0.1)
    await sandbox.files.write("f", b"x" * MIB)
    assert await sandbox.files.read("f", format="bytes") == b"x" * MIB
    await sandbox.files.remove("f")
    assert not await sandbox.files.exists("f")


async def test_uploads_to_one_name_at_once_leave_one_of_them_whole(sandbox):
    contents = [bytes([65 + number]) * (2 * MIB + number) for number in range(6)]
    watch = """
sizes = set()
until = time.monotonic() + 3
while time.monotonic() < until:
    try: data = open('f', 'rb').read()
    except FileNotFoundError: continue
    sizes.add((len(data), len(set(data))))
print(sorted(sizes))
"""
    watching = asyncio.create_task(sandbox.run_code(watch, timeout=20))
    answers = await asyncio.gather(*(sandbox.files.write("f", content) for content in contents))
    assert sorted(answer.size_bytes for answer in answers) == sorted(map(len, contents))
    assert await sandbox.files.read("f", format="bytes") in contents
    assert [file.name for file in await sandbox.files.list()] == ["f"]
    seen = await watching
    assert seen.ok, seen
    assert all(
        (size, kinds) in {(len(one), 1) for one in contents} for size, kinds in ast.literal_eval(seen.stdout)
    )


async def test_a_file_that_shrinks_or_grows_while_it_is_read_is_no_lie(sandbox):
    code = """
until = time.monotonic() + 3
while time.monotonic() < until:
    with open('f', 'wb') as file: file.write(bytes(4 << 20))
    os.truncate('f', 10)
"""
    running = asyncio.create_task(sandbox.run_code(code, timeout=20))
    told = set()
    while not running.done():
        with contextlib.suppress(RefusedError):
            told.add(len(await sandbox.files.read("f", format="bytes")))
    assert (await running).ok
    assert all(size <= 4 * MIB for size in told)


async def test_a_download_that_is_left_ends(sandbox):
    await sandbox.files.write("f", b"x" * (16 * MIB))
    for _ in range(30):  # more than a daemon would hold open for nothing
        async for _part in await sandbox.files.read("f", format="stream"):
            break
    assert len(await sandbox.files.read("f", format="bytes")) == 16 * MIB


async def test_a_download_that_stands_still_ends(daemon, start_daemon, short_dir):
    edit = Edit("service/transfers.py", "_CHUNK_WAIT_SECONDS = 60.0", "_CHUNK_WAIT_SECONDS = 0.5")
    running = start_daemon("--allow-unscreened", tree=make_mutant(short_dir / "tree", [edit]))
    assert not running.error
    async with connected(running.address) as wire:
        stream = await wire.open(policy="unscreened")
        await stream.run("open('f', 'wb').write(bytes(32 << 20))")
        call = wire.sandbox.Download(pb.DownloadRequest(session_id=stream.opened.session_id, path="f"))
        await call.read()
        await asyncio.sleep(1.5)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            while (await call.read()) is not grpc.aio.EOF:
                pass
        assert "stood still" in ended.value.details()
        stream.cut()


async def _half_an_upload(wire, session_id):
    call = wire.sandbox.Upload()
    start = pb.UploadStart(
        session_id=session_id, path="half", size_bytes=8 * MIB, sha256=hashlib.sha256(b"").hexdigest()
    )
    await call.write(pb.UploadRequest(start=start))
    for _ in range(8):
        await call.write(pb.UploadRequest(chunk=b"x" * (256 << 10)))
    return call


async def test_a_client_lost_in_mid_upload_frees_the_space(daemon):
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        used = "import os; s = os.statvfs('/work'); print(s.f_bfree, s.f_ffree)"
        before = [event.stdout.data for event in await stream.run(used)]
        for _ in range(3):
            call = await _half_an_upload(wire, stream.opened.session_id)
            call.cancel()
        deadline = time.monotonic() + 10
        while [event.stdout.data for event in await stream.run(used)] != before:
            assert time.monotonic() < deadline, "an abandoned upload keeps its space"
            await asyncio.sleep(0.05)
        stream.cut()


def _alive(pid):
    process = traces.look(pid)
    return process is not None and process.state not in {"Z", "X"}


async def test_kill_9_of_the_daemon_in_mid_upload_leaves_nothing(start_daemon):
    daemon = start_daemon("--allow-unscreened")
    assert not daemon.error
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        await _half_an_upload(wire, stream.opened.session_id)
        inside = traces.find("pid1", daemon.process.pid) + traces.find("inmate", daemon.process.pid)
        assert inside
        daemon.kill()
        with contextlib.suppress(grpc.aio.AioRpcError):
            await stream.read()
    assert traces.settle(lambda: [str(pid) for pid in inside if _alive(pid)], 10) == []
