"""What a download promises and what it sends: bounded by the session's disk, whatever the file does meanwhile."""

from __future__ import annotations

import hashlib
import os
from types import SimpleNamespace

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import FileStat
from sandboxd.service import transfers


class Context:
    def __init__(self) -> None:
        self.sent = []

    async def write(self, message) -> None:
        self.sent.append(message)


async def download(path, size_bytes: int, disk_bytes: int = 1 << 20) -> Context:
    context = Context()
    session = SimpleNamespace(facts=SimpleNamespace(limits=SimpleNamespace(disk_bytes=disk_bytes)))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        await transfers.download(session, descriptor, FileStat("f", size_bytes, "file", 0.0), context)
    finally:
        os.close(descriptor)
    return context


async def test_a_file_that_grows_is_cut_at_what_was_promised(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 200_000)
    context = await download(path, 100_000)
    assert sum(len(message.chunk) for message in context.sent) == 100_000
    assert max(len(message.chunk) for message in context.sent) <= transfers.CHUNK_BYTES
    assert context.sent[-1].sha256 == hashlib.sha256(b"x" * 100_000).hexdigest()


@pytest.mark.parametrize(
    ("promised", "disk", "code"), [(500, 1000, Code.FILE_FAILED), (1 << 40, 1000, Code.FILE_TOO_LARGE)]
)
async def test_a_file_that_shrank_or_is_larger_than_the_disk_is_refused(tmp_path, promised, disk, code):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    with pytest.raises(SandboxdError) as caught:
        await download(path, promised, disk)
    assert caught.value.code == code


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 4097])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(SandboxdError) as caught:
        transfers.checked_path(path)
    assert caught.value.code == Code.FILE_PATH_INVALID
