"""A file to the sandbox and back, beside a copy of as many bytes on a memory file system, where a sandbox's files are."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandboxd_client import Limits, Sandbox

from tests.bench.measure import interleave, timed
from tests.bench.rows import Row
from tests.bench.setup import Daemon, Setup

_MB = 10**6


def rows(setup: Setup, daemon: Daemon, policy: str) -> Iterator[Row]:
    """Upload and download; the copy is hashed too, as every transfer is at both ends."""
    size = setup.pick(100, 4) * _MB
    data = os.urandom(size)
    with (
        tempfile.TemporaryDirectory(prefix="sbx-bench-", dir="/dev/shm") as memory,
        Sandbox(policy, daemon.address, limits=Limits(memory_bytes=1 << 30)) as sandbox,
    ):
        copy = Path(memory) / "copy"
        (Path(memory) / "file").write_bytes(data)

        def copied() -> None:
            read = (Path(memory) / "file").read_bytes()
            hashlib.sha256(read).digest()
            copy.write_bytes(read)

        def read_back() -> None:
            if len(sandbox.files.read("file", format="bytes")) != size:
                raise RuntimeError("another size came back")

        operations = [timed(lambda: sandbox.files.write("file", data)), timed(read_back), timed(copied)]
        up, down, plain = interleave(operations, rounds=setup.pick(7, 2), each=1, warm_up=1)
    note = f"{size / _MB:g} MB in a call, hashed at both ends; {size / _MB / up.p50:,.0f} and {size / _MB / down.p50:,.0f} MB/s"
    baseline = "read, SHA-256 and write of as much on tmpfs"
    yield Row(f"upload of {setup.pick(100, 4)} MB", baseline, up, plain, note=note)
    yield Row(f"download of {setup.pick(100, 4)} MB", baseline, down, plain)
