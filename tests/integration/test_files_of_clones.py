"""A clone's files are its own: each operation stays in the copy that the clone works in, and so does what a result lists."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from sandboxd_client import AsyncSandbox, RefusedError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected

pytestmark = [pytest.mark.userns, pytest.mark.timeout(120)]


@pytest.fixture
async def family(daemon):
    """A session with a file, and two clones of it."""
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as first:
        await first.run_code("import os, time\nopen('old', 'w').write('from the first')")
        clones = await first.fork(2)
        async with contextlib.AsyncExitStack() as stack:
            for clone in clones:
                await stack.enter_async_context(clone)
            yield [first, *clones]


async def test_each_has_its_own_files(family):
    contents = [bytes([65 + number]) * 1_000_000 for number in range(3)]
    await asyncio.gather(*(one.files.write("same", data) for one, data in zip(family, contents, strict=True)))
    assert [await one.files.read("same", format="bytes") for one in family] == contents
    for number, one in enumerate(family):
        await one.files.make_dir("d")
        await one.files.rename("same", f"d/{number}")
        assert [file.name for file in await one.files.list("d")] == [str(number)]
        assert await one.files.read("old") == "from the first"
    await family[1].files.remove("old")
    assert [await one.files.exists("old") for one in family] == [True, False, True]


async def test_a_result_lists_what_its_own_snippet_made(family):
    await asyncio.sleep(0.05)  # past the tick in which the copies were made
    done = await asyncio.gather(
        *(one.run_code(f"open('made{number}', 'w').write('1')") for number, one in enumerate(family))
    )
    assert [[file.path for file in one.files] for one in done] == [["made0"], ["made1"], ["made2"]]
    assert [(await one.run_code("1 + 1")).files for one in family] == [[], [], []]


async def test_copies_are_not_the_snippet_s(daemon):
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as first:
        await first.run_code("for n in range(50): open(f'f{n}', 'w').write('1')")
        for number in range(5):
            await first.checkpoint("before")
            (clone,) = await first.fork(1)
            async with clone:
                told = (await clone.run_code("open('new', 'w').write('1')")).files
                assert {file.path for file in told} <= {"new"}
            await first.rollback("before")
            told = (await first.run_code(f"open('new{number}', 'w').write('1')")).files
            assert {file.path for file in told} <= {f"new{number}"}


async def test_no_operation_leaves_a_clone_s_own_directory(family):
    first, clone, other = family
    await first.run_code("open('/work/secret', 'w').write('of the first')")
    await other.run_code("open('secret', 'w').write('of the other')")
    places = (await asyncio.gather(*(one.run_code("os.getcwd()") for one in family)))[1:]
    away = "".join(f"os.symlink({place.text}, 'l{number}')\n" for number, place in enumerate(places))
    await clone.run_code(
        f"{away}os.symlink('/work', 'w'); os.symlink('..', 'up'); os.symlink('/work/secret', 'file')"
    )
    for path in ("l1/secret", "w/secret", "up/secret", "file", "../secret", "w/old", "l0/old"):
        for call in (
            lambda path=path: clone.files.read(path),
            lambda path=path: clone.files.write(path + "/new", b"x"),
            lambda path=path: clone.files.list(path),
            lambda path=path: clone.files.rename(path + "/x", "y"),
            lambda path=path: clone.files.make_dir(path + "/made"),
        ):
            with pytest.raises(RefusedError) as refused:
                await call()
            assert refused.value.code in {"FILE_PATH_INVALID", "FILE_NOT_FOUND", "FILE_NOT_REGULAR"}
    assert sorted(file.name for file in await first.files.list()) == ["old", "secret"]
    assert sorted(file.name for file in await other.files.list()) == ["old", "secret"]


async def test_a_clone_that_ends_in_mid_upload_gives_its_space_back(family):
    first, clone, _ = family
    free = "s = os.statvfs('/work'); (s.f_bfree, s.f_ffree)"
    before = (await first.run_code(free)).text

    async with connected(first.address) as wire:
        call = wire.sandbox.Upload()
        start = pb.UploadStart(
            session_id=clone.session_id, path="big", size_bytes=20_000_000, sha256="0" * 64
        )
        await call.write(pb.UploadRequest(start=start))
        for _ in range(40):
            await call.write(pb.UploadRequest(chunk=b"x" * 250_000))
        await clone.close()
        call.cancel()
    # The copy of the file that the clone had is gone too, with its directory.
    deadline = time.monotonic() + 10
    while _pair((await first.run_code(free)).text) <= _pair(before):
        assert time.monotonic() < deadline, "an upload of a clone that has ended keeps its space"
        await asyncio.sleep(0.05)
    await first.files.write("after", b"1")


def _pair(text):
    return tuple(int(part) for part in text.strip("()").split(","))


async def test_what_was_taken_back_made_no_files(daemon):
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as sandbox:
        done = await sandbox.run_code("open('f', 'w').write('1')\nraise ValueError", on_error="rollback")
        assert (done.rolled_back, done.files, done.files_truncated) == (True, [], False)
        assert not await sandbox.files.exists("f")
        await sandbox.run_code("import time; time.sleep(0.02)")
        assert (await sandbox.run_code("open('g', 'w').write('1')")).files[0].path == "g"
